"""Small objects that every member of an array has whole: claims on the prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.array.members import Member
from raic.deferreds import async_to_deferred
from raic.errors import ObjectNotFound, OutcomeUnknown, OwnershipUnknown, ProviderError
from raic.interfaces import ISmallObjects
from raic.values import ListedObject, ObjectPage, Stored

T = TypeVar("T")

_MOST_PAGES = 100

_Listed: TypeAlias = "tuple[Member, list[ListedObject]]"


@implementer(ISmallObjects)
class QuorumObjects:
    """Writes each object whole to all members, and reads it from any.

    What it writes is on more than ``total - happy`` members, and it lists at least ``happy`` of
    them: so whoever can write to the array sees every claim, whichever members are away.

    :param members: asked for the present ones: those that take the place of others are given what
        these have, whenever it is listed.
    :param happy: how many members a write of the array needs.
    :param why_not: says by name why a member is not to be asked anything, if it is not.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        members: Callable[[], Sequence[Member]],
        happy: int,
        why_not: Callable[[str], ProviderError | None] = lambda name: None,
    ) -> None:
        self.name = name
        self._members = members
        self._happy = happy
        self._why_not = why_not
        self._copying: Deferred[None] | None = None

    @async_to_deferred
    async def put_object(self, key: str, data: bytes) -> Stored:
        """See :class:`raic.interfaces.ISmallObjects`.

        With fewer members than are to have it, it fails with ``OutcomeUnknown``: some may.
        """
        members = self._members()
        stored, failed = await self._ask(
            members, lambda member: member.provider.put_object(key, data)
        )
        if len(stored) <= len(members) - self._happy:
            raise OutcomeUnknown(self.name, "put_object", _too_few(len(stored), members, failed))
        return Stored(key, len(data))

    @async_to_deferred
    async def get_object(self, key: str, offset: int, length: int) -> bytes:
        """See :class:`raic.interfaces.ISmallObjects`."""
        failed: list[Exception] = []
        members = self._members()
        for member in members:
            reason = self._why_not(member.name)
            if reason is not None:
                failed.append(reason)
                continue
            try:
                return await member.provider.get_object(key, offset, length)
            except ProviderError as error:
                failed.append(error)
        missing = [error for error in failed if isinstance(error, ObjectNotFound)]
        if len(missing) >= self._happy:
            raise missing[0]
        raise OwnershipUnknown(self.name, "get_object", _too_few(len(missing), members, failed))

    @async_to_deferred
    async def list_objects(self, prefix: str, token: str | None) -> ObjectPage:
        """See :class:`raic.interfaces.ISmallObjects`; all in one page.

        Fires as soon as enough members have answered, so that none that is slow holds it up.
        """
        members = self._members()

        def ask(member: Member) -> Deferred[_Listed]:
            listing = _list_all(member.provider, prefix)
            return listing.addCallback(lambda objects: (member, objects))

        listed, failed = await self._ask(members, ask, self._happy)
        if len(listed) < self._happy:
            raise OwnershipUnknown(
                self.name, "list_objects", _too_few(len(listed), members, failed)
            )
        merged = {found.key: found for _, objects in listed for found in objects}
        self._spread(merged, list(listed))
        return ObjectPage(tuple(merged[key] for key in sorted(merged)), None)

    def _spread(self, merged: Mapping[str, ListedObject], listed: Sequence[_Listed]) -> None:
        """Give members what others have, in the background: nobody waits for it."""
        lacking = {
            member: sorted(merged.keys() - {found.key for found in objects})
            for member, objects in listed
        }
        if self._copying is None and any(lacking.values()):
            self._copying = self._copy_all(lacking, merged)
            self._copying.addBoth(self._copied)

    @async_to_deferred
    async def _copy_all(
        self, lacking: Mapping[Member, Sequence[str]], merged: Mapping[str, ListedObject]
    ) -> None:
        for member, keys in lacking.items():
            # What cannot be copied is found again by the next listing.
            with suppress(ProviderError):
                for key in keys:
                    data = await self.get_object(key, 0, merged[key].size)
                    await member.provider.put_object(key, data)

    def _copied(self, result: object) -> None:
        self._copying = None
        if isinstance(result, Failure):
            self._log.failure("{array}: claims were not copied", result, array=self.name)

    def _ask(
        self,
        members: Sequence[Member],
        call: Callable[[Member], Deferred[T]],
        enough: int | None = None,
    ) -> Deferred[tuple[list[T], list[ProviderError]]]:
        """What the members answered, and how those that did not failed.

        :param enough: how many answers suffice; None to wait for all members.
        """
        answers: list[T] = []
        failed: list[ProviderError] = []
        outcome: Deferred[tuple[list[T], list[ProviderError]]] = Deferred()

        def failure(reason: Failure) -> None:
            error = reason.value
            if isinstance(error, ProviderError):
                failed.append(error)
            elif not outcome.called:
                outcome.errback(reason)

        def ended(_: None) -> None:
            is_over = len(answers) + len(failed) == len(members)
            if not outcome.called and (is_over or len(answers) == enough):
                outcome.callback((answers, failed))

        def ask(member: Member) -> Deferred[T]:
            reason = self._why_not(member.name)
            return call(member) if reason is None else fail(reason)

        for asked in [ask(member) for member in members]:
            asked.addCallbacks(answers.append, failure).addCallback(ended)
        return outcome


def _too_few(count: int, members: Sequence[Member], failed: Sequence[Exception]) -> str:
    reasons = "; ".join(str(error) for error in failed)
    return f"only {count} of {len(members)} providers answered: {reasons}"


@async_to_deferred
async def _list_all(provider: ISmallObjects, prefix: str) -> list[ListedObject]:
    found: list[ListedObject] = []
    token = None
    for _ in range(_MOST_PAGES):
        page = await provider.list_objects(prefix, token)
        found += page.objects
        token = page.next_token
        if token is None:
            return found
    raise OwnershipUnknown(provider.name, "list_objects", f"too many objects below {prefix}")
