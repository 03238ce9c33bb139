"""Makes all checks, each within its time, and cleans up."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from raic.backends.certify.bench import SLOWEST, Bench, Options
from raic.backends.certify.clock import clock_drift
from raic.backends.certify.listing import deleting, listing_after_write, pages
from raic.backends.certify.outcomes import (
    Certification,
    CheckFailed,
    Finding,
    Result,
    Row,
    expect,
    passed,
)
from raic.backends.certify.sandbox import FOLDER, Sandbox, empty_folder, listed_keys
from raic.backends.certify.speed import at_once, latency, throughput
from raic.backends.certify.storing import (
    aborted_upload,
    conditional_create,
    create_and_read,
    exact_bytes,
    large_object,
    odd_keys,
    ranges,
)
from raic.deferreds import async_to_deferred
from raic.errors import RaicError
from raic.interfaces import IServiceTraits, IStorageProvider

ACCESS = "access"
CLEANED = "nothing left behind"
SAMPLE_SECONDS = 3.0
STOP_SECONDS = 30.0

_LATE = "check the network and the provider's own status page"
_REPORT = "tell whoever wrote this type of provider"

T = TypeVar("T")


@frozen
class Check:
    """A line of the table to be.

    :ivar seconds: how much longer than others it may take.
    """

    name: str
    make: Callable[[Bench], Coroutine[Deferred[Any], Any, Finding]]
    seconds: Callable[[Bench], float] = lambda _: 0.0


def _large(bench: Bench) -> float:
    return 2 * bench.large_size / SLOWEST


CHECKS: tuple[Check, ...] = (
    Check("clock", clock_drift),
    Check("create and read back", create_and_read),
    Check("large object", large_object, _large),
    Check("ranges", ranges),
    Check("listing after write", listing_after_write),
    Check("pages of a listing", pages),
    Check("deleting", deleting),
    Check("conditional create", conditional_create),
    Check("aborted upload", aborted_upload, _large),
    Check("odd keys", odd_keys),
    Check("exact bytes", exact_bytes),
    Check("latency", latency, lambda bench: bench.options.samples * SAMPLE_SECONDS),
    Check("throughput", throughput, lambda bench: 2 * bench.options.transfer_bytes / SLOWEST),
    Check("at once", at_once),
)


class Certifier:
    """One certification.

    :param provider: not started; it is stopped in the end.
    :param leaf: the innermost of its layers: it knows its service's ways.
    :param progress: called with the name of each check before it is made.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        leaf: IStorageProvider,
        clock: IReactorTime,
        options: Options,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._provider = provider
        self._sandbox = Sandbox(provider, clock)
        emulated: Mapping[str, str] = {}
        if IServiceTraits.providedBy(leaf):
            emulated = IServiceTraits(leaf).emulated()
        self._bench = Bench(self._sandbox, leaf, clock, options, emulated)
        self._clock = clock
        self._options = options
        self._progress = progress
        self._interrupted = False
        self._cleaning = False
        self._making: Deferred[Finding] | None = None
        self._rows: list[Row] = []
        self._figures: dict[str, float] = {}
        self._left: tuple[str, ...] = ()

    @async_to_deferred
    async def run(self) -> Certification:
        """Start the provider, make all checks, remove everything, and stop the provider.

        A check that fails, or takes too long, keeps none of the others from being made.

        :return: fires with what was found; never fails.  A provider that does not start fails the
            first check, and the others are not made.
        """
        try:
            if await self._check(ACCESS, self._access()):
                await self._make_checks()
        finally:
            # What hangs in it is left to itself: its threads do not keep the process alive.
            await bounded(self._provider.stop(), STOP_SECONDS, self._clock, None)
        return Certification(
            tuple(self._rows),
            self._figures,
            self._bench.emulated,
            self._left,
            self._interrupted,
        )

    def interrupt(self) -> None:
        """Make no more checks, and end the present one: only clean up."""
        if self._cleaning:
            return
        self._interrupted = True
        if self._making is not None:
            self._making.cancel()

    @async_to_deferred
    async def clean(self) -> tuple[int, tuple[str, ...]]:
        """Instead of :meth:`run`: remove what earlier certifications left behind.

        :return: fires with how many objects were removed, and the keys of those that are still
            there; fails with a ``ProviderError``.
        """
        await self._provider.start()
        try:
            before = await listed_keys(self._provider, FOLDER)
            left = await empty_folder(
                self._provider, self._clock, FOLDER, self._options.settle_seconds
            )
        finally:
            await bounded(self._provider.stop(), STOP_SECONDS, self._clock, None)
        return len(set(before) - set(left)), left

    async def _make_checks(self) -> None:
        for check in CHECKS:
            if self._interrupted:
                break
            await self._check(check.name, check.make(self._bench), check.seconds(self._bench))
        self._cleaning = True
        await self._check(CLEANED, self._emptied(), self._options.settle_seconds)

    async def _check(
        self,
        name: str,
        making: Coroutine[Deferred[Any], Any, Finding],
        seconds: float = 0.0,
    ) -> bool:
        """Add a row; returns whether the check has not failed."""
        self._progress(name)
        began = self._clock.seconds()
        allowed = self._options.check_seconds + seconds
        late = Finding(Result.FAIL, f"it had not ended after {allowed:.0f} s", _LATE)
        work = Deferred.fromCoroutine(making).addErrback(_failed)
        outcome = bounded(work, allowed, self._clock, late)
        self._making = outcome
        finding = await outcome
        if self._interrupted and not self._cleaning:
            return False  # of what was interrupted nothing can be said
        self._figures.update(finding.figures)
        taken = max(0.0, self._clock.seconds() - began)
        self._rows.append(
            Row(name, finding.result, finding.detail, finding.remedy, round(taken, 3))
        )
        return finding.result is not Result.FAIL

    async def _access(self) -> Finding:
        await self._provider.start()
        return passed("the node may list, write, read and delete")

    async def _emptied(self) -> Finding:
        sandbox = self._sandbox
        clean = f"run 'raic providers certify {sandbox.name} --clean'"
        self._left = sandbox.used
        left = await sandbox.empty(self._options.settle_seconds)
        self._left = (*left, *sandbox.in_doubt)
        expect(not left, f"{len(left)} objects below {sandbox.prefix} cannot be removed", clean)
        if sandbox.in_doubt:
            detail = f"{len(sandbox.in_doubt)} writes below {sandbox.prefix} may yet land"
            return Finding(Result.WARNING, detail, f"in an hour, {clean}")
        others = await listed_keys(sandbox, FOLDER)
        if others:
            detail = f"but {len(others)} objects of other certifications are below {FOLDER}"
            return Finding(Result.WARNING, detail, f"unless one is under way, {clean}")
        return passed(f"there is nothing below {FOLDER}")


def bounded(work: Deferred[T], seconds: float, clock: IReactorTime, otherwise: T) -> Deferred[T]:
    """Wait no longer than this, whatever becomes of the work.

    :return: fires with the work's result; with ``otherwise`` when it takes too long, or when this
        is cancelled: the work is cancelled then.
    """

    def give_up(_: object) -> None:
        if timer.active():
            timer.cancel()
        outcome.callback(otherwise)
        work.cancel()

    outcome: Deferred[T] = Deferred(give_up)

    def ended(result: T | Failure) -> None:
        if not outcome.called:
            timer.cancel()
            outcome.callback(result)  # a failure too

    timer = clock.callLater(seconds, give_up, None)
    work.addBoth(ended)
    return outcome


def _failed(failure: Failure) -> Finding:
    error = failure.value
    if isinstance(error, (RaicError, CheckFailed)):
        return Finding(Result.FAIL, str(error), error.remedy)
    # Of another package's provider anything may come.
    return Finding(Result.FAIL, f"{type(error).__name__}: {error}", _REPORT)
