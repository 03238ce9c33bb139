"""Giving a member one fragment of every object."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define
from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

from raic.backends.array.members import Member
from raic.backends.array.upkeep.handling import Handler, trouble
from raic.backends.array.upkeep.repairing import Repairer, in_parallel
from raic.backends.array.upkeep.verifying import fragment_size
from raic.backends.array.upkeep.walking import Found, MemberWalk, everything
from raic.errors import KeyTaken, ObjectCorrupt, ObjectNotFound, ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from raic.values import FragmentState

WIDTH = 4
BATCH = 100
_PATIENCE = 8
"""After so many failures of the member in a row the pass is broken off."""


@define
class Filled:
    """What a pass did.

    :ivar there: how many fragments were there already.
    :ivar made: how many were written.
    :ivar failed: how many have to be tried again.
    :ivar lost: how many objects cannot be read any more.
    :ivar error: why something has to be tried again.
    """

    there: int = 0
    made: int = 0
    failed: int = 0
    lost: int = 0
    error: ProviderError | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was left to do."""
        return not self.made and not self.failed


class Filling:
    """Writes the fragments of one number to their home.

    :param source: the member from which they are copied, as they are; without one, and where it
        fails, they are made of others.
    :param told: called with how many were dealt with, whenever that changes.
    """

    _log = Logger()

    def __init__(
        self,
        handler: Handler,
        repairer: Repairer,
        number: int,
        home: Member,
        source: Member | None,
        told: Callable[[int], None],
    ) -> None:
        self._handler = handler
        self._repairer = repairer
        self._ledger = handler.ledger
        self._number = number
        self._home = home
        self._source = source
        self._told = told
        self._filled = Filled()
        self._failures = 0
        self._runs = 0

    async def run(self) -> Filled:
        """Go through all objects once.

        From the second time on, what the home does not list was as a rule written meanwhile: it is
        asked for it, and what it has after all, or is to get as a repair, is not counted as made.
        Otherwise there would be no end while anybody writes.

        Raises an ``IndexFailure``, or what the home fails with when it cannot be listed.
        """
        self._filled = Filled()
        self._failures = 0
        self._runs += 1
        there = MemberWalk(self._home)
        batch: list[Found] = []
        async for found in everything(self._ledger, [there]):
            if there.error is not None:
                raise there.error
            if found.is_referred:
                batch.append(found)
            if len(batch) == BATCH:
                await self._fill_all(batch)
                batch = []
            if self._failures >= _PATIENCE:
                return self._filled
        if there.error is not None:
            raise there.error
        await self._fill_all(batch)
        return self._filled

    async def _fill_all(self, batch: list[Found]) -> None:
        found = {each.object_key: each for each in batch}

        async def one(object_key: str) -> None:
            if self._failures < _PATIENCE:
                await self._fill(found[object_key])

        await in_parallel(one, list(found), WIDTH)

    async def _fill(self, found: Found) -> None:
        clock = self._handler.clock
        began = clock.seconds()
        try:
            made = await self._make_sure(found)
        except ProviderError as error:
            self._note(error)
            return
        self._failures = 0
        if made:
            self._filled.made += 1
        else:
            self._filled.there += 1
        self._told(self._filled.there + self._filled.made)
        turn = self._handler.pace.turn(clock.seconds() - began) if made else None
        if turn is not None:
            await turn

    def _note(self, error: ProviderError) -> None:
        found = trouble(error, self._handler.array.name)
        if found.lasting:
            self._filled.lost += 1
            return
        self._filled.failed += 1
        self._filled.error = error
        if found.member == self._home.name:
            self._failures += 1

    async def _make_sure(self, found: Found) -> bool:
        """Have the fragment be there; fires with whether it was not."""
        state = await self._ledger.lookup(found.object_key)
        attempt = state.attempts.get(self._number, FIRST_ATTEMPT)
        for listed in found.of(self._home.name):
            key = listed.key
            if (key.number, key.attempt) == (self._number, attempt):
                if listed.size == fragment_size(key):
                    return False
                await self._repair(key, f"{listed.size} bytes instead of {fragment_size(key)}")
                return True
        key = await self._handler.counting(found.object_key, self._number)
        is_first = self._runs == 1
        if self._number in state.missing:
            await self._repair(key, "missing")
            return is_first
        if not is_first and await self._is_there(key):
            return False
        await self._bring(key, state)
        return True

    async def _is_there(self, key: FragmentKey) -> bool:
        try:
            return await self._handler.look(key, self._home)
        except ObjectCorrupt:
            return False

    async def _bring(self, key: FragmentKey, state: FragmentState) -> None:
        try:
            if self._source is None:
                await self._handler.make(key, self._home, state)
            else:
                await self._copy(key, self._source, state)
        except KeyTaken:
            # A write meanwhile, or an earlier attempt whose outcome was not known.
            if not await self._is_right(key):
                await maybeDeferred(self._home.provider.delete_objects, [str(key)])
                raise
        await self._repairer.settle(str(key))

    async def _is_right(self, key: FragmentKey) -> bool:
        try:
            await self._handler.verify(key, self._home)
        except (ObjectCorrupt, ObjectNotFound):
            return False
        return True

    async def _copy(self, key: FragmentKey, source: Member, state: FragmentState) -> None:
        try:
            await self._handler.copy(key, source, self._home)
        except ProviderError as error:
            if error.provider != source.name:
                raise
            if isinstance(error, (ObjectNotFound, ObjectCorrupt)):
                await self._repair(key, f"{source.name}: {error.detail}")
            else:
                await self._handler.make(key, self._home, state)

    async def _repair(self, key: FragmentKey, reason: str) -> None:
        await self._ledger.note_missing([str(key)], reason)
        await self._repairer.make_good(str(key))
