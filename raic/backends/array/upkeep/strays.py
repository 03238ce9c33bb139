"""Fragments that are of no use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from raic.backends.array.members import Member, Placement
from raic.backends.array.upkeep.handling import Handler
from raic.backends.array.upkeep.walking import Found
from raic.errors import ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT
from raic.values import FragmentState, Garbage, ListedObject

DAY_SECONDS = 24 * 60 * 60
"""What nobody knows is not deleted before it was known to be there for so long."""


class Strays:
    """Collects what does not count, and has it deleted once the index was asked.

    :param unknown_keys: as ``IIndex.unknown_keys``; None leaves everything as it is.
    :param discard: is given the objects that the index does not refer to; without it their
        fragments are dealt with like others.
    """

    _log = Logger()

    def __init__(
        self,
        handler: Handler,
        unknown_keys: Callable[[Collection[str]], Deferred[frozenset[str]]] | None,
        discard: Callable[[Sequence[ListedObject]], Deferred[int]] | None,
    ) -> None:
        self._handler = handler
        self._unknown_keys = unknown_keys
        self._discard = discard
        self._objects: dict[str, int] = {}
        self._fragments: set[str] = set()
        self._misplaced: dict[str, set[str]] = {}
        self._abandoned: dict[str, set[str]] = {}  # where no deletion would look for them

    def unreferred(self, found: Found, placement: Placement) -> None:
        """The index does not refer to this object; it may know it all the same."""
        for name, listed in found.listed.items():
            for each in listed:
                if name not in _names(placement, each.key.number):
                    self._abandoned.setdefault(name, set()).add(str(each.key))
                elif self._discard is None or each.key.attempt != FIRST_ATTEMPT:
                    self._fragments.add(str(each.key))
                else:
                    self._objects[found.object_key] = each.key.length

    def referred(self, found: Found, state: FragmentState, placement: Placement) -> None:
        """Look for fragments of this object that do not count, or are not where they should be."""
        for name, some in found.listed.items():
            for listed in some:
                key = listed.key
                counts = state.attempts.get(key.number, FIRST_ATTEMPT) == key.attempt
                if name in _names(placement, key.number):
                    if not counts:
                        self._fragments.add(str(key))
                elif self._is_elsewhere(found, str(key), placement, key.number):
                    self._misplaced.setdefault(name, set()).add(str(key))

    def _is_elsewhere(self, found: Found, key: str, placement: Placement, number: int) -> bool:
        """Whether a fragment is not missed where it is: its home has it, or there is none."""
        where = placement.where(number)
        return not where or any(
            str(listed.key) == key for member in where for listed in found.of(member.name)
        )

    async def dispose(self, placement: Placement) -> int:
        """Have deleted what was found.

        :return: how many fragments and objects that were.
        """
        fragments, self._fragments = self._fragments, set()
        misplaced, self._misplaced = self._misplaced, {}
        objects, self._objects = self._objects, {}
        unknown = await self._unknown(fragments)
        if unknown:
            until = self._handler.now() + DAY_SECONDS
            await self._handler.ledger.release([Garbage(key, until) for key in sorted(unknown)])
        count = len(unknown)
        if self._discard is not None and objects:
            count += await self._discard([ListedObject(k, objects[k]) for k in sorted(objects)])
        for name, keys in self._abandoned.items():
            misplaced.setdefault(name, set()).update(await self._unknown(keys))
        self._abandoned = {}
        members = {member.name: member for member in placement.members()}
        for name, keys in misplaced.items():
            count += await self._delete(members[name], keys)
        return count

    async def _unknown(self, keys: Collection[str]) -> Collection[str]:
        if self._unknown_keys is None or not keys:
            return ()
        return await self._unknown_keys(keys)

    async def _delete(self, member: Member, keys: Collection[str]) -> int:
        if not keys:
            return 0
        try:
            left = await maybeDeferred(member.provider.delete_objects, sorted(keys))
        except ProviderError as error:
            self._log.info("{name}: strays stay for now: {error}", name=member.name, error=error)
            return 0
        return len(keys) - len(left)


def _names(placement: Placement, number: int) -> set[str]:
    return {member.name for member in placement.where(number)}
