"""Deleting the fragments of a member that leaves an array."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

from raic.backends.array.members import Member
from raic.backends.array.upkeep.handling import Handler
from raic.backends.array.upkeep.pacing import sleep
from raic.backends.array.upkeep.scrubbing import Unknown
from raic.backends.array.upkeep.verifying import fragment_size
from raic.backends.array.upkeep.walking import Found, Listed, MemberWalk, everything
from raic.errors import ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT

BATCH = 500
_BETWEEN_SECONDS = 0.1
_WAIT_SECONDS = 30.0
_MOST_WAITS = 40
_TRIES = 3


class Clearing:
    """Deletes from one member, of which nothing is needed any more.

    :param source: the member.
    :ivar left: how many fragments could not be deleted.
    """

    _log = Logger()

    def __init__(
        self,
        handler: Handler,
        unknown_keys: Unknown | None,
        source: Member,
        say: Callable[[str], None],
    ) -> None:
        self._handler = handler
        self._unknown_keys = unknown_keys
        self._source = source
        self._say = say
        self._doomed: list[str] = []
        self._lacking = False
        self._waiting = 0
        self._intended: frozenset[str] = frozenset()
        self.left = 0

    async def of_all(self) -> None:
        """Delete every fragment."""

        async def once() -> None:
            walk = MemberWalk(self._source)
            while await walk.head() is not None:
                for listed in await walk.take():
                    await self._doom(listed)
            await self._flush()
            if walk.error is not None:
                raise walk.error

        await self._try(once)

    async def of_moved(self, number: int, home: Member) -> bool:
        """Delete the fragments of one number that are on their new home, or that nobody needs.

        Those of objects that are being written are waited for.  Those of garbage go at once: who
        still reads an object that was just deleted or changed has the fragments of the others.

        :return: fires with False when the new home lacks some.
        """
        for _ in range(_MOST_WAITS):
            self._lacking = False
            self._waiting = 0

            async def once() -> None:
                await self._once(number, home)

            if not await self._try(once):
                return True
            if self._lacking:
                return False
            if not self._waiting:
                return True
            self._say(
                f"waiting, {_MOST_WAITS * _WAIT_SECONDS / 60:.0f} minutes at most, for"
                f" {self._waiting} objects on {self._source.name} that are being written or deleted"
            )
            await sleep(self._handler.clock, _WAIT_SECONDS)
        self.left += self._waiting
        return True

    async def _once(self, number: int, home: Member) -> None:
        self._waiting = 0
        # Before anything is listed: what is committed meanwhile is referred to by then.
        self._intended = await self._handler.ledger.get_intended()
        old, new = MemberWalk(self._source), MemberWalk(home)
        async for found in everything(self._handler.ledger, [old, new]):
            if new.error is not None:
                self._lacking = True  # filling waits until it answers
                return
            for listed in found.of(self._source.name):
                if listed.key.number == number:
                    await self._look(found, listed, home)
        await self._flush()
        if old.error is not None:
            raise old.error

    async def _look(self, found: Found, listed: Listed, home: Member) -> None:
        key = listed.key
        there = any(
            other.key == key and other.size == fragment_size(key) for other in found.of(home.name)
        )
        if there:
            await self._doom(listed)
            return
        if found.is_referred:
            state = await self._handler.ledger.lookup(found.object_key)
            if state.attempts.get(key.number, FIRST_ATTEMPT) == key.attempt:
                self._lacking = True
                return
        if await self._is_needless(str(key), found.object_key):
            await self._doom(listed)
        else:
            self._waiting += 1

    async def _is_needless(self, text: str, object_key: str) -> bool:
        """Whether a fragment that counts for no object may be deleted now."""
        if self._unknown_keys is None or not self._intended.isdisjoint((text, object_key)):
            return False
        array = self._handler.array
        if len(array.placement().lasting()) > array.code.needed:
            return True
        return bool(await self._unknown_keys([text]))

    async def _doom(self, listed: Listed) -> None:
        self._doomed.append(str(listed.key))
        if len(self._doomed) >= BATCH:
            await self._flush()
            await sleep(self._handler.clock, _BETWEEN_SECONDS)

    async def _flush(self) -> None:
        doomed, self._doomed = self._doomed, []
        if doomed:
            self._say(f"deleting fragments from {self._source.name}")
            left = await maybeDeferred(self._source.provider.delete_objects, doomed)
            self.left = len(left)

    async def _try(self, once: Callable[[], Awaitable[None]]) -> bool:
        """Whether it could be done; a member that is gone for good need not be cleared."""
        for _ in range(_TRIES):
            try:
                await once()
            except ProviderError as error:
                last = error
                self._doomed = []
                await sleep(self._handler.clock, _WAIT_SECONDS)
            else:
                return True
        self.left += 1
        self._log.warn(
            "{array}: what {member} still has could not be deleted: {error}",
            array=self._handler.array.name,
            member=self._source.name,
            error=last,
        )
        return False
