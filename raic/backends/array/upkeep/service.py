"""The upkeep of one array."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.array.maintenance import (
    ADD,
    DRAIN,
    REPAIR,
    REPLACE,
    SCRUB,
    ArrayStatus,
    Estimate,
    Follower,
    IArrayMaintenance,
    Operation,
    Outcome,
    Progress,
)
from raic.backends.array.provider import ArrayProvider
from raic.backends.array.upkeep.asking import Asking
from raic.backends.array.upkeep.estimates import Estimator
from raic.backends.array.upkeep.handling import Handler
from raic.backends.array.upkeep.inspecting import Inspection
from raic.backends.array.upkeep.jobs import Job, is_cancelled
from raic.backends.array.upkeep.moving import (
    NOTE,
    NUMBER_NOTE,
    MakeMember,
    Move,
    Mover,
    next_number,
)
from raic.backends.array.upkeep.pacing import Pace
from raic.backends.array.upkeep.reached import NOTES, Milestones, Reached
from raic.backends.array.upkeep.refusing import Known, refusal, unknown_provider
from raic.backends.array.upkeep.repairing import Repairer
from raic.backends.array.upkeep.scrubbing import Discard, Scrub, Scrubbed, Unknown
from raic.backends.array.upkeep.sentences import begun, ended
from raic.backends.array.upkeep.statuses import SCRUB_NOTE, status_of
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, IndexStopped
from raic.ledger import IFragmentLedger
from raic.values import ArrayEvent

MOVES = (REPLACE, ADD, DRAIN)


@implementer(IArrayMaintenance)
class ArrayMaintenance:
    """See :class:`raic.backends.array.maintenance.IArrayMaintenance`.

    To be started once the array has been, and its ledger is the index's; to be stopped before them.

    :param random: spreads what is tried again.
    :param make_member: makes a member, not started, of a provider in the configuration; raises
        ``LookupError`` or ``ConfigurationError`` when there is no such provider.
    :param repair_rate: bytes a second that all of it reads and writes at most; None for no limit.
    :param unknown_keys: as ``IIndex.unknown_keys``; without it nothing of no use is deleted.
    :param discard: is given objects to which the index does not refer: those that nobody knows it
        makes garbage of, in the order in which they may go; fires with how many they were.
    :param known: asked for the configuration's providers before an operation is begun or planned;
        raises ``ConfigurationError``.
    """

    _log = Logger()

    def __init__(
        self,
        array: ArrayProvider,
        ledger: IFragmentLedger,
        clock: IReactorTime,
        random: Random,
        make_member: MakeMember,
        repair_rate: int | None = None,
        *,
        unknown_keys: Unknown | None = None,
        discard: Discard | None = None,
        known: Callable[[], Known] | None = None,
    ) -> None:
        self._array = array
        self._ledger = ledger
        self._make_member = make_member
        self._unknown_keys = unknown_keys
        self._discard = discard
        self._known = known
        self._pace = Pace(clock, repair_rate, lambda: array.calls)
        self._handler = Handler(array, ledger, clock, random, self._pace)
        self._repairer = Repairer(self._handler)
        self._asking = Asking(array, ledger, clock)
        self._jobs: dict[Operation, Job] = {}
        self._stopped = False

    @async_to_deferred
    async def start(self) -> None:
        """Repair from now on, and go on with what an earlier process began.

        :return: fails with an ``IndexFailure``.
        """
        notes = await self._ledger.get_notes()
        if NOTE in notes:
            move = Move.load(notes[NOTE])
            self._begin(move.operation, lambda job: self._move(job, move, True), move.began)
        for deep, name in NOTES.items():
            if name in notes:
                reached = Reached.load(notes[name])
                goes_on = partial(self._go_on_scrubbing, reached)
                self._begin(Operation(SCRUB, deep=deep), goes_on, reached.began)
        self._repairer.start()
        self._asking.start()

    @async_to_deferred
    async def inspect(self, object_key: str) -> tuple[str, ...]:
        """Read every fragment of an object; what is not right is repaired.

        :return: fires with what is wrong, by fragment; fails with an ``IndexFailure``, or a
            ``ProviderError`` when the object cannot be found.
        """
        return await Inspection(self._handler, object_key).run()

    def limit_rate(self, rate: int | None) -> None:
        """Read and write no more than so many bytes a second from now on; None for no limit."""
        self._pace.adjust(rate)

    def stop(self) -> Deferred[None]:
        """End everything where it is.

        :return: fires when that is done; never fails.
        """
        self._stopped = True
        self._repairer.stop()
        self._asking.stop()
        for job in list(self._jobs.values()):
            job.stop()
        return succeed(None)

    # What is told

    @async_to_deferred
    async def status(self) -> ArrayStatus:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        under_way = tuple(job.under_way() for job in self._jobs.values())
        return await status_of(self._array, self._ledger, self._repairer, self._pace, under_way)

    @async_to_deferred
    async def plan(self, operation: Operation) -> Estimate:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        self._check(operation)
        return await Estimator(self._array, self._ledger, operation).run()

    def history(self, limit: int) -> Deferred[tuple[ArrayEvent, ...]]:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        return self._ledger.get_events(limit)

    # What is done

    def scrub(self, deep: bool, progress: Follower) -> Deferred[Outcome]:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        operation = Operation(SCRUB, deep=deep)
        return self._follow(operation, self._scrub, progress)

    def repair(self, progress: Follower) -> Deferred[Outcome]:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        return self._follow(Operation(REPAIR), self._repair, progress)

    def replace(self, old: str, new: str, progress: Follower) -> Deferred[Outcome]:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        return self._follow(Operation(REPLACE, (old, new)), self._new_move, progress)

    def add(self, name: str, progress: Follower) -> Deferred[Outcome]:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        return self._follow(Operation(ADD, (name,)), self._new_move, progress)

    def drain(self, name: str, progress: Follower) -> Deferred[Outcome]:
        """See :class:`raic.backends.array.maintenance.IArrayMaintenance`."""
        return self._follow(Operation(DRAIN, (name,)), self._new_move, progress)

    # How it is done

    def _follow(
        self, operation: Operation, run: Callable[[Job], Deferred[Outcome]], progress: Follower
    ) -> Deferred[Outcome]:
        job = self._jobs.get(operation)
        if job is not None:
            return job.follow(progress)
        try:
            self._check(operation)
        except Exception:  # noqa: BLE001 - the caller's Deferred tells it
            return fail(Failure())
        job = Job(operation, self._handler.now())
        following = job.follow(progress)
        self._start_job(job, run)
        return following

    def _begin(
        self, operation: Operation, run: Callable[[Job], Deferred[Outcome]], began: int
    ) -> None:
        """Go on with an operation that nobody follows yet."""
        self._start_job(Job(operation, began), run)

    def _start_job(self, job: Job, run: Callable[[Job], Deferred[Outcome]]) -> None:
        self._jobs[job.operation] = job
        doing = succeed(job).addCallback(run).addErrback(self._broke, job)
        job.begin(doing, self._forget)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.operation, None)

    def _broke(self, failure: Failure, job: Job) -> Failure:
        """Tell the operator of an operation that failed, unless the node just stops."""
        if not (self._stopped or is_cancelled(failure) or failure.check(IndexStopped)):
            self._log.warn(
                "{array}: {kind} {names} ended: {error}",
                array=self._array.name,
                kind=job.operation.kind,
                names=" ".join(job.operation.names),
                error=failure.getErrorMessage(),
            )
        return failure

    def _check(self, operation: Operation) -> None:
        """Raise why an operation must not be begun."""
        moving = next((job.operation for job in self._jobs.values() if _is_move(job)), None)
        problem = refusal(self._array, operation, moving, self._known and self._known())
        if problem is not None:
            raise problem

    async def _event(self, operation: Operation, sentence: str) -> None:
        event = ArrayEvent(self._handler.now(), operation.kind, sentence)
        await self._ledger.add_event(event)

    @async_to_deferred
    async def _scrub(self, job: Job) -> Outcome:
        await self._event(job.operation, begun(job.operation))
        return await self._go_on_scrubbing(Reached(job.began), job)

    @async_to_deferred
    async def _go_on_scrubbing(self, reached: Reached, job: Job) -> Outcome:
        before = self._pace.bytes
        total = (await self._ledger.get_array_totals()).objects

        def told(found: Scrubbed) -> None:
            job.tell(Progress(found.objects, total, self._pace.bytes - before, "comparing"))

        told(reached.found)
        deep = job.operation.deep
        clock = self._handler.clock
        milestones = Milestones(self._ledger, clock.seconds, reached.began, deep=deep)
        scrub = Scrub(
            self._handler,
            self._unknown_keys,
            self._discard,
            told,
            deep=deep,
            after=reached.after,
            result=reached.found,
            reached=milestones.note,
        )
        await milestones.note(scrub)
        found = await scrub.run()
        await milestones.end()
        await self._ledger.set_note(SCRUB_NOTE, str(self._handler.now()))
        outcome = Outcome(
            job.operation,
            objects=found.objects,
            fragments=found.fragments,
            bytes=self._pace.bytes - before,
            missing=found.missing,
            altered=found.altered,
            left=found.unresolved,
        )
        detail = [f"{name}: {error}" for name, error in sorted(found.errors.items())]
        if found.strays:
            detail.append(f"{found.strays} were of no use and will be deleted")
        if found.adopted:
            detail.append(f"{found.adopted} had been made anew before the index was")
        await self._event(job.operation, "; ".join([ended(outcome), *detail]))
        return outcome

    @async_to_deferred
    async def _repair(self, job: Job) -> Outcome:
        before, done = self._pace.bytes, 0
        total = (await self._ledger.get_array_totals()).repairs

        def told() -> None:
            nonlocal done
            done += 1
            job.tell(Progress(done, total, self._pace.bytes - before, "repairing"))

        job.tell(Progress(0, total, text="repairing"))
        await self._event(job.operation, begun(job.operation))
        repaired, left = await self._repairer.repair_all(told)
        outcome = Outcome(
            job.operation,
            objects=repaired + left,
            fragments=repaired,
            bytes=self._pace.bytes - before,
            left=left,
        )
        await self._event(job.operation, ended(outcome))
        return outcome

    @async_to_deferred
    async def _new_move(self, job: Job) -> Outcome:
        """Begin a move: nothing is noted before its new provider has started."""
        kind, names = job.operation.kind, job.operation.names
        placement = self._array.placement()
        if kind == ADD:
            noted = (await self._ledger.get_notes()).get(NUMBER_NOTE)
            numbers: tuple[int, ...] = (next_number(placement.numbers(), noted),)
        else:
            numbers = tuple(
                n
                for n in placement.numbers()
                if names[0] in {member.name for member in placement.where(n)}
            )
        if kind != DRAIN and names[-1] not in {member.name for member in self._array.members()}:
            try:
                member = self._make_member(names[-1])
            except LookupError:
                raise ConfigurationError([unknown_provider(names[-1])]) from None
            await self._array.membership.add(member)
        move = Move(job.operation, job.began, numbers)
        await self._ledger.set_note(NOTE, move.dump())
        await self._event(job.operation, begun(job.operation))
        return await self._move(job, move, False)

    @async_to_deferred
    async def _move(self, job: Job, move: Move, resumed: bool) -> Outcome:
        before = self._pace.bytes
        total = (await self._ledger.get_array_totals()).objects

        def told() -> None:
            report = mover.report
            moved = self._pace.bytes - before
            of = total if report.total is None else report.total
            job.tell(Progress(report.done, max(of, report.done), moved, report.text))

        mover = Mover(
            self._handler,
            self._repairer,
            self._make_member,
            self._unknown_keys,
            self._discard,
            told,
        )
        outcome = await mover.run(move, resumed=resumed)
        await self._event(job.operation, ended(outcome))
        return outcome


def _is_move(job: Job) -> bool:
    return job.operation.kind in MOVES
