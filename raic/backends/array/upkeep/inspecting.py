"""Verifying all fragments of one object."""

from __future__ import annotations

from collections.abc import Sequence

from raic.backends.array.members import Member
from raic.backends.array.upkeep.handling import Handler
from raic.errors import ObjectCorrupt, ObjectNotFound, ProviderError
from raic.fragmentkeys import FragmentKey


class Inspection:
    """Reads every fragment of an object from beginning to end; what is not right is noted for
    repair.
    """

    def __init__(self, handler: Handler, object_key: str) -> None:
        self._handler = handler
        self._key = object_key
        self._problems: list[str] = []
        self._whole = True

    async def run(self) -> tuple[str, ...]:
        """What is wrong, by fragment; members that cannot be asked just now are passed over.

        Raises an ``IndexFailure``, or a ``ProviderError`` when the object cannot be found.
        """
        placement = self._handler.array.placement()
        state = await self._handler.ledger.lookup(self._key)
        for number in placement.lasting():
            if number in state.missing:
                self._whole = False
                continue
            key = await self._handler.counting(self._key, number)
            await self._look(key, placement.where(number))
        if self._whole:
            await self._handler.ledger.note_verified([self._key], self._handler.now())
        return tuple(self._problems)

    async def _look(self, key: FragmentKey, members: Sequence[Member]) -> None:
        reason = ""
        for member in members:
            try:
                await self._handler.verify(key, member)
            except ObjectNotFound:
                reason = reason or f"{member.name} does not have fragment {key.number}"
            except ObjectCorrupt as error:
                reason = f"{member.name} has altered fragment {key.number}: {error.detail}"
            except ProviderError:
                self._whole = False
                return
            else:
                return
        self._whole = False
        self._problems.append(reason)
        await self._handler.ledger.note_missing([str(key)], reason)
