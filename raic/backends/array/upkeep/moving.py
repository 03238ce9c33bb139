"""Replacing, adding and draining members."""

from __future__ import annotations

import json
from collections.abc import Callable

from attrs import define, frozen
from twisted.logger import Logger

from raic.backends.array.maintenance import ADD, DRAIN, REPLACE, Operation, Outcome
from raic.backends.array.members import Member
from raic.backends.array.upkeep.clearing import Clearing
from raic.backends.array.upkeep.filling import Filled, Filling
from raic.backends.array.upkeep.handling import Handler
from raic.backends.array.upkeep.pacing import Backoff, sleep
from raic.backends.array.upkeep.repairing import Repairer
from raic.backends.array.upkeep.scrubbing import Discard, Scrub, Scrubbed, Unknown
from raic.backends.array.writing import Write
from raic.errors import ConfigurationError, ProviderError
from raic.fragmentkeys import MAX_NUMBER

NOTE = "operation"
NUMBER_NOTE = "number"

_POLL_SECONDS = 1.0
_PAUSES = (2.0, 60.0)
_PASSES = "passes"

MakeMember = Callable[[str], Member]


@frozen
class Move:
    """An operation that moves fragments, as it is noted.

    :ivar numbers: of the fragments that it is about.
    """

    operation: Operation
    began: int
    numbers: tuple[int, ...]

    def dump(self) -> str:
        """As it is kept in the ledger."""
        return json.dumps(
            {
                "kind": self.operation.kind,
                "names": self.operation.names,
                "began": self.began,
                "numbers": self.numbers,
            }
        )

    @classmethod
    def load(cls, text: str) -> Move:
        """What was kept."""
        kept = json.loads(text)
        operation = Operation(kept["kind"], tuple(kept["names"]))
        return cls(operation, kept["began"], tuple(kept["numbers"]))


@define
class Report:
    """How far a move is.

    :ivar done: how many objects were dealt with, or repairs made.
    :ivar total: of how many; None for all objects.
    """

    done: int = 0
    total: int | None = None
    text: str = ""


class Mover:
    """Carries out one move, from wherever it is: everything is found by looking.

    :param told: called whenever there is something new in ``report``.
    """

    _log = Logger()

    def __init__(
        self,
        handler: Handler,
        repairer: Repairer,
        make_member: MakeMember,
        unknown_keys: Unknown | None,
        discard: Discard | None,
        told: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._array = handler.array
        self._ledger = handler.ledger
        self._repairer = repairer
        self._make_member = make_member
        self._unknown_keys = unknown_keys
        self._discard = discard
        self._told = told
        self._pauses = Backoff(handler.clock, handler.random, *_PAUSES)
        self._lost = 0
        self._left = 0
        self._made = 0
        self.report = Report()

    async def run(self, move: Move, *, resumed: bool) -> Outcome:
        """Carry it out to its end, however often a member fails.

        Raises an ``IndexFailure``; when a provider that is to be added cannot be made or
        started, what says so, but only if nothing was begun.

        :param resumed: whether an earlier process began it.
        """
        bytes_before = self._handler.pace.bytes
        steps = {REPLACE: self._replace, ADD: self._add, DRAIN: self._drain}
        await steps[move.operation.kind](move, resumed)
        await self._ledger.set_note(NOTE, "")
        totals = await self._ledger.get_array_totals()
        placement = self._array.placement()
        return Outcome(
            move.operation,
            objects=totals.objects,
            fragments=self._made,
            bytes=self._handler.pace.bytes - bytes_before,
            missing=self._lost,
            left=self._left,
            providers=tuple(placement.home(number).name for number in placement.numbers()),
        )

    # What is done

    async def _replace(self, move: Move, resumed: bool) -> None:
        old, new = move.operation.names
        home = await self._member(new)
        placement = self._array.placement()
        numbers = [n for n in move.numbers if n in placement.numbers()]
        for number in numbers:
            if placement.home(number).name == old:
                placement = placement.moving(number, home)
        if placement is not self._array.placement():
            await self._array.place(placement)
        pending = [n for n in numbers if placement.also(n) is not None]
        source = next((m for m in self._array.members() if m.name == old), None)
        if source is None or not pending:
            return
        await self._fill_until_done(pending, source, wait=not resumed)
        clearing = Clearing(self._handler, self._unknown_keys, source, self._say)
        for number in pending:
            while not await clearing.of_moved(number, home):
                # Something came after the last pass: what is not on the new one is not deleted.
                await self._fill_until_done([number], source, wait=False)
        self._left += clearing.left
        placement = self._array.placement()
        for number in pending:
            placement = placement.moved(number)
        await self._array.place(placement)
        await self._array.membership.remove(old)

    async def _add(self, move: Move, resumed: bool) -> None:
        (name,) = move.operation.names
        home = await self._member(name)
        (number,) = move.numbers
        placement = self._array.placement()
        if number not in placement.numbers():
            await self._ledger.set_note(NUMBER_NOTE, str(number + 1))
            await self._array.place(placement.added(number, home))
        else:
            marks = (placement.filling | {number}, placement.leaving)
            await self._array.place(placement.marked(*marks))
        await self._fill_until_done([number], None, wait=not resumed)
        placement = self._array.placement()
        marks = (placement.filling - {number}, placement.leaving)
        await self._array.place(placement.marked(*marks))

    async def _drain(self, move: Move, resumed: bool) -> None:
        (name,) = move.operation.names
        placement = self._array.placement()
        numbers = frozenset(move.numbers).intersection(placement.numbers())
        if numbers:
            await self._array.place(
                placement.marked(placement.filling, placement.leaving | numbers)
            )
            if not resumed:
                await self._writes_ended(self._array.writes(), name)
            await self._make_whole()
            highest = str(max(placement.numbers()) + 1)
            noted = (await self._ledger.get_notes()).get(NUMBER_NOTE, "0")
            await self._ledger.set_note(NUMBER_NOTE, max(highest, noted, key=int))
            placement = self._array.placement()
            for number in numbers:
                placement = placement.without(number)
            await self._array.place(placement)
        try:
            source = await self._member(name)
        except (ProviderError, ConfigurationError, LookupError) as error:
            self._left += 1
            self._log.warn(
                "{array}: what {member} still has is not deleted: {error}",
                array=self._array.name,
                member=name,
                error=error,
            )
            return
        clearing = Clearing(self._handler, self._unknown_keys, source, self._say)
        await clearing.of_all()
        self._left += clearing.left
        await self._array.membership.remove(name)

    # How it is done

    async def _member(self, name: str) -> Member:
        """A member that is started, or will be."""
        for member in self._array.members():
            if member.name == name:
                return member
        member = self._make_member(name)
        await self._array.membership.add(member)
        return member

    async def _fill_until_done(
        self, numbers: list[int], source: Member | None, *, wait: bool
    ) -> None:
        """Fill until a pass that began after all writes to the old place had ended finds nothing
        to do.
        """
        fillings = [
            Filling(
                self._handler,
                self._repairer,
                number,
                self._array.placement().home(number),
                source,
                self._count,
            )
            for number in numbers
        ]
        if wait:
            began = self._array.writes()
            await self._passes(fillings)
            await self._writes_ended(began, None if source is None else source.name)
        self._lost = await self._passes(fillings)

    async def _passes(self, fillings: list[Filling]) -> int:
        """Fill until there is nothing to do.

        :return: how many objects cannot be read any more.
        """
        lost = 0
        for filling in fillings:
            filled = Filled(made=1)
            while not filled.is_clean:
                filled = await self._pass(filling)
            lost += filled.lost
        return lost

    async def _pass(self, filling: Filling) -> Filled:
        self._say("copying fragments")
        try:
            filled = await filling.run()
        except ProviderError as error:
            filled = Filled(failed=1, error=error)
        self._made += filled.made
        if filled.failed:
            await self._pause(f"{filled.failed} have to be tried again: {filled.error}")
        else:
            self._pauses.succeeded(_PASSES)
        return filled

    async def _make_whole(self) -> None:
        """See to it that no object lacks any fragment but those that leave."""
        while True:
            self._say("looking for missing fragments")
            scrub = Scrub(self._handler, self._unknown_keys, self._discard, self._scrubbed)
            found = await scrub.run()
            left = await self._repair()
            lacking = found.missing + found.altered + found.unresolved + left
            if not lacking:
                self._pauses.succeeded(_PASSES)
                return
            if left or found.unresolved:
                await self._pause(
                    f"{left} fragments could not be repaired yet, {found.unresolved} not be looked"
                    " at: the node's log says why"
                )

    async def _repair(self) -> int:
        """Repair what is noted; returns how many fragments could not be."""
        noted = (await self._ledger.get_array_totals()).repairs
        if noted:
            self._say("repairing what is missing", noted)

        def told() -> None:
            self._count(self.report.done + 1)

        made, left = await self._repairer.repair_all(told)
        self._made += made
        return left

    def _scrubbed(self, found: Scrubbed) -> None:
        self._count(found.objects)

    async def _writes_ended(self, began: frozenset[Write], source: str | None) -> None:
        """Wait until what was written to the old places is there and committed, or never will be.

        :param began: the writes that had begun when the places changed.
        :param source: the member that gets none of what began later.
        """
        clock, settings = self._handler.clock, self._array.settings
        self._say("waiting for writes under way")
        while began & self._array.writes():
            await sleep(clock, _POLL_SECONDS)
        latest = clock.seconds() + settings.write_seconds + settings.settle_seconds
        # Some of these began later: whether an object that has been written was, nobody knows.
        waiting = await self._ledger.get_intended() - {each.key for each in self._array.writes()}
        while clock.seconds() < latest:
            waiting &= await self._ledger.get_intended()
            if not waiting and (source is None or not self._array.is_awaited(source)):
                return
            await sleep(clock, _POLL_SECONDS)

    async def _pause(self, text: str) -> None:
        self._say(text)
        self._pauses.failed(_PASSES)
        while not self._pauses.is_ready(_PASSES):
            await sleep(self._handler.clock, _POLL_SECONDS)

    def _count(self, done: int) -> None:
        self.report.done = done
        self._told()

    def _say(self, text: str, total: int | None = None) -> None:
        """:param total: what is counted from now on, if that is not objects."""
        if total is not None or self.report.total is not None:
            self.report.done, self.report.total = 0, total
        self.report.text = text
        self._told()


def next_number(used: tuple[int, ...], noted: str | None) -> int:
    """A number for a provider that is added: one that no provider ever had, if there is any.

    :raises ValueError: all are taken.
    """
    number = max(max(used) + 1, int(noted or 0))
    if number <= MAX_NUMBER:
        return number
    free = [n for n in range(MAX_NUMBER + 1) if n not in used]
    if not free:
        raise ValueError("all fragment numbers are taken")
    return free[0]
