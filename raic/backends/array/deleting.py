"""Deleting all fragments of objects, or single fragments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.code import Code
from raic.backends.array.lengths import members_of
from raic.backends.array.members import Member, Placement
from raic.backends.array.unwritten import too_few, translated
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.fragmentkeys import (
    FIRST_ATTEMPT,
    FragmentKey,
    all_fragments_prefix,
    parse_fragment_key,
)
from raic.ledger import IFragmentLedger


class Deletion:
    """Deletes once; a key counts as deleted when every member has confirmed it.

    :param codes: all those with which objects were ever written.
    :param length_of: an object's length, if its key tells it; the fragments of others are listed.
    :param is_whole: whether members have an object whole.
    """

    def __init__(
        self,
        name: str,
        placement: Placement,
        codes: Sequence[Code],
        ledger: IFragmentLedger,
        length_of: Callable[[str], int | None],
        is_whole: Callable[[str], bool],
    ) -> None:
        self._name = name
        self._placement = placement
        self._members = {member.name: member for member in members_of(placement)}
        self._codes = codes
        self._ledger = ledger
        self._length_of = length_of
        self._is_whole = is_whole
        self._doomed: dict[str, dict[str, str]] = {name: {} for name in self._members}
        self._listed: set[str] = set()  # the members that were asked for a listing
        self._left: set[str] = set()
        self._errors: dict[str, ProviderError] = {}

    @async_to_deferred
    async def run(self, keys: Collection[str]) -> frozenset[str]:
        """See :meth:`raic.interfaces.IStorageProvider.delete_objects`."""
        for key in keys:
            fragment = parse_fragment_key(key)
            if fragment is not None:
                self._add(fragment, key)
            elif self._is_whole(key):
                for doomed in self._doomed.values():
                    doomed[key] = key
            else:
                await self._add_object(key)
        await gatherResults([self._delete(member) for member in self._members.values()])
        if self._errors and len(self._left) == len(frozenset(keys)):
            asked = self._listed.union(name for name, doomed in self._doomed.items() if doomed)
            if asked <= self._errors.keys():
                what = "no provider could delete anything"
                raise too_few(self._name, "delete_objects", what, self._errors, len(asked) - 1)
        return frozenset(self._left)

    async def _add_object(self, key: str) -> None:
        state = await self._ledger.lookup(key)
        length = self._length_of(key)
        if length is None:
            await gatherResults([self._list(member, key) for member in self._members.values()])
            return
        for code in self._codes:
            for number in self._placement.numbers():
                first = FragmentKey(
                    key, code.needed, code.block_size, length, number, FIRST_ATTEMPT
                )
                self._add(first, key)
                if number in state.attempts:
                    self._add(first.sibling(number, state.attempts[number]), key)

    def _add(self, fragment: FragmentKey, key: str) -> None:
        """Have a fragment deleted wherever it can be.

        :param key: what the caller is told of it.
        """
        for member in self._placement.where(fragment.number):
            self._doomed[member.name][str(fragment)] = key

    @async_to_deferred
    async def _list(self, member: Member, key: str) -> None:
        """Find the fragments of an object whose length is not known."""
        self._listed.add(member.name)
        token = None
        try:
            while True:
                prefix = all_fragments_prefix(key)
                page = await maybeDeferred(member.provider.list_objects, prefix, token)
                for listed in page.objects:
                    if parse_fragment_key(listed.key) is not None:
                        self._doomed[member.name][listed.key] = key
                token = page.next_token
                if token is None:
                    return
        except Exception:  # noqa: BLE001 (whatever it is, the object may still be there)
            self._errors[member.name] = translated(member.name, "list_objects", Failure())
            self._left.add(key)

    def _delete(self, member: Member) -> Deferred[None]:
        doomed = self._doomed[member.name]

        def deleted(left: frozenset[str]) -> None:
            self._left.update(doomed[fragment] for fragment in left)

        def failed(failure: Failure) -> None:
            self._errors[member.name] = translated(member.name, "delete_objects", failure)
            self._left.update(doomed.values())

        if not doomed:
            return gatherResults([]).addCallback(lambda _: None)
        deleting = maybeDeferred(member.provider.delete_objects, list(doomed))
        return deleting.addCallbacks(deleted, failed)
