"""Drills: what would happen if a provider were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from attrs import field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.array.drill import GONE, LYING, WAYS, DrillLayer
from raic.backends.array.drillmeter import DrillMeter, Served
from raic.backends.array.maintenance import (
    ArrayStatus,
    Follower,
    IArrayMaintenance,
    MemberStatus,
    Progress,
)
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, OperationRefused, ServiceStopping
from raic.interfaces import IFragmentLedger
from raic.values import ArrayEvent

USUAL_SECONDS = 30.0
"""For how long at most is measured first how things usually are."""

REPAIR_SECONDS = 600.0
"""For how long repairs are waited for afterwards."""

TICK_SECONDS = 1.0


@frozen
class DrillReport:
    """What happened when a provider was lost.

    :ivar how: one of ``gone``, ``slow`` and ``lying``.
    :ivar seconds: for how long that was pretended.
    :ivar cut_short: why it ended before its time; empty if it did not.
    :ivar stops_writes: whether too few others were left for writes.  A node that knows takes none,
        so that they are neither served nor do they fail.
    :ivar usual_reads: what was measured before.
    :ivar reads: what was measured meanwhile.
    :ivar lacking: how many fragments were noted for repair when it was over, beyond those that
        were when it began.
    :ivar repaired: how many were repaired, up to the end of the report.
    :ivar left: how many of those noted were not.
    """

    name: str
    how: str
    seconds: float
    cut_short: str
    stops_writes: bool
    usual_reads: Served
    usual_writes: Served
    reads: Served
    writes: Served
    lacking: int
    repaired: int
    left: int


@frozen
class _Wish:
    name: str
    how: str
    seconds: float


@frozen(eq=False)
class _Running:
    """:ivar followers: who is told how far it is."""

    wish: _Wish
    followers: list[Follower]
    waiting: list[Deferred[DrillReport]] = field(factory=list)

    def tell(self, progress: Progress) -> None:
        for follower in self.followers:
            follower(progress)


def refusal(status: ArrayStatus, name: str) -> OperationRefused | None:
    """Why a drill must not go on; None if it may.

    :raises ConfigurationError: there is no provider of that name.
    """
    if all(member.name != name for member in status.members):
        names = ", ".join(member.name for member in status.members)
        raise ConfigurationError([f"{name} is no provider of {status.name}: it has {names}"])
    usable = _usable(status)
    left = sum(len(member.numbers) for member in usable if member.name != name)
    if left >= status.needed:
        return None
    away = [each.name for each in status.members if each not in usable and each.name != name]
    others = f" and {', '.join(away)}" if away else ""
    return OperationRefused(
        f"without {name}{others} {left} of the {status.needed} fragments are left that reading"
        " needs",
        "wait until 'raic array status' shows that the others are well",
    )


class Drill:
    """Pretends that providers of an array are lost, one at a time, and says what happened.

    :param layers: around the members, by name.
    :param meter: around the array.
    :ivar seen: adds to a status what others than the array know of the members: of those that it
        does not read from it knows nothing.
    """

    _log = Logger()

    def __init__(
        self,
        layers: Mapping[str, DrillLayer],
        meter: DrillMeter,
        maintenance: IArrayMaintenance,
        ledger: IFragmentLedger,
        clock: IReactorTime,
    ) -> None:
        self._layers = layers
        self._meter = meter
        self._maintenance = maintenance
        self._ledger = ledger
        self._clock = clock
        self.seen: Callable[[ArrayStatus], ArrayStatus] = lambda status: status
        self._running: _Running | None = None
        self._work: Deferred[None] | None = None
        self._over = ""  # why it is to end early

    def lose(
        self, name: str, how: str, seconds: float, progress: Follower
    ) -> Deferred[DrillReport]:
        """Pretend that a provider is lost, for some time; first measure how things usually are.

        It goes on whoever looks.  Who asks for the one that is under way follows it.  It ends
        early as soon as reading would need the provider.

        :param how: ``gone``, ``slow`` or ``lying``: see :meth:`DrillLayer.begin`.
        :param progress: is told seconds.
        :return: fires when the time is over and, as far as that takes no more than ten minutes,
            everything is repaired.  Fails with ``ConfigurationError`` for arguments that cannot
            be used, ``OperationRefused`` where there is another drill or too few other providers
            are well, or an ``IndexFailure``.
        """
        wish = _Wish(name, how, seconds)
        waiting: Deferred[DrillReport] = Deferred()
        if self._running is None:
            self._over = ""
            self._running = running = _Running(wish, [progress], [waiting])
            self._work = self._run(running).addBoth(self._ended, running)
        elif self._running.wish == wish:
            self._running.followers.append(progress)
            self._running.waiting.append(waiting)
        else:
            waiting.errback(
                OperationRefused(
                    f"a drill is under way: {self._running.wish.name} is {self._running.wish.how}",
                    "wait for its end, or end it: 'raic drill --end'",
                )
            )
        return waiting

    def end(self, reason: str = "it was ended by the operator") -> bool:
        """End the drill that is under way, as soon as possible.

        :return: whether there was one.
        """
        self._over = reason
        return self._running is not None

    def stop(self) -> None:
        """Pretend no more at once: the node stops."""
        if self._work is not None:
            self._work.cancel()

    @async_to_deferred
    async def _run(self, running: _Running) -> DrillReport:
        wish = running.wish
        if wish.how not in WAYS or not wish.seconds > 0:
            raise ConfigurationError([f"a drill is one of {', '.join(WAYS)}, and takes some time"])
        await self._checked(wish)
        with self._measuring():
            usual = self._meter.begin()
            seconds = min(USUAL_SECONDS, wish.seconds)
            await self._wait(running, seconds, "measuring how things usually are")
            before = await self._checked(wish)
            await self._note(f"{wish.name} is {wish.how} for {wish.seconds:.0f} s")
            measured = self._meter.begin()
            with self._losing(wish):
                seconds = await self._wait(running, wish.seconds, _described(before, wish))
        over = await self._maintenance.status()
        cut_short = self._over
        after = await self._wait_for_repairs(running, before.repair.queued)
        report = DrillReport(
            name=wish.name,
            how=wish.how,
            seconds=seconds,
            cut_short=cut_short,
            stops_writes=wish.how == GONE and _too_few_to_write(before, wish),
            usual_reads=usual.reads.summary(),
            usual_writes=usual.writes.summary(),
            reads=measured.reads.summary(),
            writes=measured.writes.summary(),
            lacking=max(0, over.repair.queued - before.repair.queued),
            repaired=after.repair.done - before.repair.done,
            left=max(0, after.repair.queued - before.repair.queued),
        )
        stopped = "; too few providers were left for writes" if report.stops_writes else ""
        await self._note(
            f"{wish.name} was {wish.how} for {seconds:.0f} s: {report.reads.failed} reads and"
            f" {report.writes.failed} writes failed, {report.repaired} fragments were repaired"
            f"{stopped}"
        )
        return report

    async def _checked(self, wish: _Wish) -> ArrayStatus:
        """How the array is doing; raises unless a drill may begin."""
        status = await self._status()
        refused = refusal(status, wish.name)
        if wish.name not in self._layers:
            raise ConfigurationError([f"{wish.name} is new: start the node again first"])
        if refused is None and status.at_risk:
            refused = OperationRefused(
                f"{status.at_risk} objects have no fragment to spare",
                "wait until they are repaired: 'raic array repair' shows how far that is",
            )
        if refused is None and self._over:
            refused = OperationRefused(f"the drill did not begin: {self._over}", "")
        if refused is not None:
            raise refused
        return status

    @async_to_deferred
    async def _status(self) -> ArrayStatus:
        return self.seen(await self._maintenance.status())

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._meter.end()

    @contextmanager
    def _losing(self, wish: _Wish) -> Iterator[None]:
        layer = self._layers[wish.name]
        layer.begin(wish.how)
        try:
            yield
        finally:
            layer.end()

    async def _wait(self, running: _Running, seconds: float, text: str) -> float:
        """Wait, and look whether all is well; returns for how long."""
        began = self._clock.seconds()
        while not self._over and (passed := self._clock.seconds() - began) < seconds:
            running.tell(Progress(int(passed), int(seconds), text=text))
            await deferLater(self._clock, min(TICK_SECONDS, seconds - passed))
            refused = refusal(await self._status(), running.wish.name)
            if refused is not None and not self._over:
                self._over = str(refused)
        return self._clock.seconds() - began

    async def _wait_for_repairs(self, running: _Running, queued: int) -> ArrayStatus:
        end = self._clock.seconds() + REPAIR_SECONDS
        status = await self._maintenance.status()
        most = status.repair.queued - queued
        while (left := status.repair.queued - queued) > 0 and self._clock.seconds() < end:
            running.tell(Progress(most - left, most, text="waiting for repairs"))
            await deferLater(self._clock, TICK_SECONDS)
            status = await self._maintenance.status()
            most = max(most, status.repair.queued - queued)
        return status

    async def _note(self, detail: str) -> None:
        self._log.info("drill: {detail}", detail=detail)
        await self._ledger.add_event(ArrayEvent(int(self._clock.seconds()), "drill", detail))

    def _ended(self, result: DrillReport | Failure, running: _Running) -> None:
        self._running = None
        if isinstance(result, Failure) and isinstance(result.value, CancelledError):
            result = Failure(ServiceStopping("the node stops, and the drill with it"))
        for waiting in running.waiting:
            waiting.callback(result)


def _usable(status: ArrayStatus) -> list[MemberStatus]:
    return [member for member in status.members if member.state in {"well", "slow"}]


def _described(status: ArrayStatus, wish: _Wish) -> str:
    text = f"{wish.name} is {wish.how}"
    if wish.how != LYING and _too_few_to_write(status, wish):
        return f"{text}; writes need {status.happy} providers and may fail"
    return text


def _too_few_to_write(status: ArrayStatus, wish: _Wish) -> bool:
    left = sum(len(member.numbers) for member in _usable(status) if member.name != wish.name)
    return left < status.happy
