"""The upkeep of an array that is nothing but numbers."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
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
    MemberStatus,
    Operation,
    Outcome,
    Progress,
    RepairStatus,
    ScrubStatus,
    Traffic,
    UnderWay,
)
from raic.errors import ConfigurationError, OperationRefused
from raic.values import ArrayEvent

FRAGMENT_BYTES = 65_632
OBJECTS = 40
NOW = 1_900_000_000


class _Job:
    def __init__(self, operation: Operation, end: Callable[[], Outcome]) -> None:
        self.operation = operation
        self.end = end
        self.followers: list[Follower] = []
        self.waiting: list[Deferred[Outcome]] = []

    def tell(self, progress: Progress) -> None:
        for follower in self.followers:
            follower(progress)


@implementer(IArrayMaintenance)
class FakeMaintenance:
    """Keeps the contract; what is under way ends when it is told to.

    :ivar now: what it is told of the array; may be replaced.
    """

    def __init__(self, members: tuple[str, ...] = ("aws", "ovh", "b2"), spare: str = "hz") -> None:
        self._known = (*members, spare)
        self._jobs: list[_Job] = []
        self.events: list[ArrayEvent] = []
        self.now = ArrayStatus(
            name="clouds",
            needed=2,
            happy=3,
            members=tuple(
                MemberStatus(name, (number,), seconds=0.04, held=OBJECTS)
                for number, name in enumerate(members)
            ),
            objects=OBJECTS,
            full=OBJECTS,
            degraded=0,
            at_risk=0,
            repair=RepairStatus(0),
            scrub=ScrubStatus(None, 0, None),
        )

    # For tests

    @property
    def followers(self) -> int:
        """How many follow what is under way."""
        return sum(len(job.followers) for job in self._jobs)

    def tell(self, progress: Progress) -> None:
        """Every operation is so far."""
        for job in self._jobs:
            job.tell(progress)

    def finish(self) -> None:
        """Every operation ends."""
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.tell(Progress(OBJECTS, OBJECTS))
            outcome = job.end()
            self._note(job.operation, "done")
            for waiting in job.waiting:
                waiting.callback(outcome)

    # As the interface says

    def status(self) -> Deferred[ArrayStatus]:
        under_way = tuple(UnderWay(job.operation, Progress(0), NOW) for job in self._jobs)
        return succeed(evolve(self.now, under_way=under_way))

    def plan(self, operation: Operation) -> Deferred[Estimate]:
        error = self._refusal(operation)
        if error is not None:
            return fail(error)
        size = OBJECTS * FRAGMENT_BYTES
        read = size if operation.deep or operation.kind in {REPLACE, ADD, DRAIN} else 0
        members = [member.name for member in self.now.members]
        traffic = {name: Traffic(OBJECTS, downloaded=read) for name in members}
        if operation.kind in {REPLACE, ADD}:
            traffic[operation.names[-1]] = Traffic(OBJECTS, uploaded=size, stored=size)
        return succeed(Estimate(operation, OBJECTS, 3 * OBJECTS, traffic))

    def scrub(self, deep: bool, progress: Follower) -> Deferred[Outcome]:
        operation = Operation(SCRUB, deep=deep)

        def end() -> Outcome:
            self.now = evolve(self.now, scrub=ScrubStatus(NOW, OBJECTS, NOW))
            return Outcome(operation, OBJECTS, 3 * OBJECTS)

        return self._run(operation, progress, end)

    def repair(self, progress: Follower) -> Deferred[Outcome]:
        operation = Operation(REPAIR)

        def end() -> Outcome:
            repair = self.now.repair
            self.now = evolve(self.now, repair=RepairStatus(0, repair.done + repair.queued))
            return Outcome(operation, fragments=repair.queued)

        return self._run(operation, progress, end)

    def replace(self, old: str, new: str, progress: Follower) -> Deferred[Outcome]:
        def end() -> None:
            self.now = evolve(
                self.now,
                members=tuple(
                    evolve(member, name=new) if member.name == old else member
                    for member in self.now.members
                ),
            )

        return self._move(Operation(REPLACE, (old, new)), progress, end)

    def add(self, name: str, progress: Follower) -> Deferred[Outcome]:
        def end() -> None:
            member = MemberStatus(name, (len(self.now.members),), held=OBJECTS)
            self.now = evolve(self.now, members=(*self.now.members, member))

        return self._move(Operation(ADD, (name,)), progress, end)

    def drain(self, name: str, progress: Follower) -> Deferred[Outcome]:
        def end() -> None:
            left = [member for member in self.now.members if member.name != name]
            (drained,) = (member for member in self.now.members if member.name == name)
            left[0] = evolve(left[0], numbers=(*left[0].numbers, *drained.numbers))
            self.now = evolve(self.now, members=tuple(left))

        return self._move(Operation(DRAIN, (name,)), progress, end)

    def history(self, limit: int) -> Deferred[tuple[ArrayEvent, ...]]:
        return succeed(tuple(self.events[::-1][:limit]))

    def _move(
        self, operation: Operation, progress: Follower, change: Callable[[], None]
    ) -> Deferred[Outcome]:
        def end() -> Outcome:
            change()
            names = tuple(member.name for member in self.now.members)
            size = 2 * OBJECTS * FRAGMENT_BYTES
            return Outcome(operation, OBJECTS, OBJECTS, size, providers=names)

        return self._run(operation, progress, end)

    def _run(
        self, operation: Operation, progress: Follower, end: Callable[[], Outcome]
    ) -> Deferred[Outcome]:
        job = next((job for job in self._jobs if job.operation == operation), None)
        if job is None:
            error = self._refusal(operation)
            if error is not None:
                return fail(error)
            job = _Job(operation, end)
            self._jobs.append(job)
            self._note(operation, "begun")
        waiting: Deferred[Outcome] = Deferred()
        job.waiting.append(waiting)
        job.followers.append(progress)
        return waiting

    def _refusal(self, operation: Operation) -> Exception | None:
        old = operation.names[:1] if operation.kind in {REPLACE, DRAIN} else ()
        new = operation.names[-1:] if operation.kind in {REPLACE, ADD} else ()
        members = {member.name for member in self.now.members}
        for name in old:
            if name not in members:
                return ConfigurationError([f"{name} is no provider of {self.now.name}"])
        for name in new:
            if name not in self._known:
                return ConfigurationError([f"there is no provider {name}"])
            if name in members:
                return ConfigurationError([f"{name} is one of {self.now.name} already"])
        if operation.names and any(job.operation.names for job in self._jobs):
            return OperationRefused("fragments are being moved already", "wait for the end of it")
        if operation.kind == DRAIN and len(members) - self.now.needed < 2:
            return OperationRefused("one provider would hold too many fragments", "add one first")
        return None

    def _note(self, operation: Operation, detail: str) -> None:
        words = " ".join((*operation.names, detail))
        self.events.append(ArrayEvent(NOW, operation.kind, words))
