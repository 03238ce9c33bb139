"""Small objects that every member of an array has whole: claims on the prefix."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.array.members import Member
from raic.deferreds import async_to_deferred
from raic.errors import ObjectNotFound, OutcomeUnknown, OwnershipUnknown, ProviderError
from raic.interfaces import IObjectUpload, IStorageProvider
from raic.values import ListedObject, ObjectPage, Space, Stored

T = TypeVar("T")

_MOST_PAGES = 100


@implementer(IStorageProvider)
class QuorumProvider:
    """Writes each object whole to all members, and reads it from any.

    What it writes is on more than ``total - happy`` members, and it lists at least ``happy`` of
    them: so whoever can write to the array sees every claim, whichever members are away.

    It neither starts nor stops the members.

    :param happy: how many members a write of the array needs.
    """

    def __init__(self, name: str, members: Sequence[Member], happy: int) -> None:
        self.name = name
        self._members = tuple(members)
        self._to_write = len(self._members) - happy + 1
        self._to_read = happy

    def start(self) -> Deferred[None]:
        """Nothing: the array starts its members."""
        return _nothing()

    def stop(self) -> Deferred[None]:
        """Nothing: the array stops its members."""
        return _nothing()

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return size

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """Never called: claims are small."""
        raise NotImplementedError("only small objects are written whole to all members")

    def stream_object(self, key: str, offset: int, length: int, consumer: object) -> Deferred[int]:
        """Never called: claims are small."""
        raise NotImplementedError("only small objects are written whole to all members")

    @async_to_deferred
    async def put_object(self, key: str, data: bytes) -> Stored:
        """See :class:`raic.interfaces.IStorageProvider`.

        With fewer members than are to have it, it fails with ``OutcomeUnknown``: some may.
        """
        stored, failed = await self._ask(lambda member: member.provider.put_object(key, data))
        if len(stored) < self._to_write:
            raise OutcomeUnknown(self.name, "put_object", self._too_few(len(stored), failed))
        return Stored(key, len(data))

    @async_to_deferred
    async def get_object(self, key: str, offset: int, length: int) -> bytes:
        """See :class:`raic.interfaces.IStorageProvider`."""
        failed: list[Exception] = []
        for member in self._members:
            try:
                return await member.provider.get_object(key, offset, length)
            except ProviderError as error:
                failed.append(error)
        missing = [error for error in failed if isinstance(error, ObjectNotFound)]
        if len(missing) >= self._to_read:
            raise missing[0]
        raise OwnershipUnknown(self.name, "get_object", self._too_few(len(missing), failed))

    @async_to_deferred
    async def list_objects(self, prefix: str, token: str | None) -> ObjectPage:
        """See :class:`raic.interfaces.IStorageProvider`; all in one page.

        Fires as soon as enough members have answered, so that none that is slow holds it up.
        """

        def ask(member: Member) -> Deferred[list[ListedObject]]:
            return _list_all(member.provider, prefix)

        listed, failed = await self._ask(ask, self._to_read)
        if len(listed) < self._to_read:
            raise OwnershipUnknown(self.name, "list_objects", self._too_few(len(listed), failed))
        merged = {found.key: found for objects in listed for found in objects}
        return ObjectPage(tuple(merged[key] for key in sorted(merged)), None)

    @async_to_deferred
    async def delete_objects(self, keys: Collection[str]) -> frozenset[str]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        left, failed = await self._ask(lambda member: member.provider.delete_objects(keys))
        return frozenset(keys) if failed else frozenset().union(*left)

    @async_to_deferred
    async def get_space(self) -> Space:
        """See :class:`raic.interfaces.IStorageProvider`."""
        spaces, failed = await self._ask(lambda member: member.provider.get_space())
        if not spaces:
            raise failed[0]
        return Space(None, min(space.available for space in spaces))

    def _ask(
        self, call: Callable[[Member], Deferred[T]], enough: int | None = None
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
            is_over = len(answers) + len(failed) == len(self._members)
            if not outcome.called and (is_over or len(answers) == enough):
                outcome.callback((answers, failed))

        for asked in [call(member) for member in self._members]:
            asked.addCallbacks(answers.append, failure).addCallback(ended)
        return outcome

    def _too_few(self, count: int, failed: Sequence[Exception]) -> str:
        reasons = "; ".join(str(error) for error in failed)
        return f"only {count} of {len(self._members)} providers answered: {reasons}"


@async_to_deferred
async def _nothing() -> None:
    pass


@async_to_deferred
async def _list_all(provider: IStorageProvider, prefix: str) -> list[ListedObject]:
    found: list[ListedObject] = []
    token = None
    for _ in range(_MOST_PAGES):
        page = await provider.list_objects(prefix, token)
        found += page.objects
        token = page.next_token
        if token is None:
            return found
    raise OwnershipUnknown(provider.name, "list_objects", f"too many objects below {prefix}")
