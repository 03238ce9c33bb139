"""An object on its way into a store that takes parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from random import SystemRandom
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from raic.backends.blockingstore import BlockingStore, PartPlan
from raic.backends.uplink import Uplink
from raic.deferreds import async_to_deferred
from raic.errors import OutcomeUnknown, ProviderBusy, ProviderError, StorageUnusable
from raic.interfaces import IObjectUpload
from raic.values import Stored

T = TypeVar("T")

ATTEMPTS = 8
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 4.0
RETRY_SECONDS = 20.0
"""No attempt begins later than this after the first one: with a request's own timeouts it ends
within the 45 s that a client waits."""

_random = SystemRandom()


class Run(Protocol):
    """Runs a blocking call in a worker, its errors translated."""

    def __call__(
        self, operation: str, function: Callable[[], T], *, stopping: bool = False
    ) -> Deferred[T]:
        """:param stopping: whether the call may also be made while the provider stops."""


@implementer(IObjectUpload)
class PartUpload:
    """Sends full parts from buffers of its own; a small object in one piece.

    What is being sent is sent again here when that can help, because only here are its bytes.

    :param name: the provider's.
    :param must_run: raises unless the provider is started.
    :param may_wait: how many of its parts of a size may be on their way while the client writes.
    :param ended: called once, when there is nothing left to abort.
    """

    def __init__(
        self,
        name: str,
        store: BlockingStore,
        run: Run,
        clock: IReactorTime,
        plan: PartPlan,
        must_run: Callable[[str], None],
        uplink: Uplink,
        may_wait: Callable[[int], float],
        ended: Callable[[PartUpload], None],
        key: str,
        size: int,
    ) -> None:
        self._name = name
        self._store = store
        self._run = run
        self._clock = clock
        self._in_flight_limit = plan.in_flight
        self._must_run = must_run
        self._uplink = uplink
        self._may_wait = may_wait
        self._ended = ended
        self._key = key
        self._size = size
        self._part_size = plan.part_size_of(size)
        self._written = 0
        self._filling: bytearray | None = None
        self._filled = 0
        self._free: list[bytearray] = []
        self._begun: Any = None
        self._parts = 0
        self._receipts: dict[int, Any] = {}
        self._in_flight = 0
        self._busy = 0  # calls and pauses under way
        self._changed: list[Deferred[None]] = []
        self._failure: Exception | None = None
        self._aborted = False
        self._over = False

    @async_to_deferred
    async def write(self, data: bytes) -> None:
        """See :class:`raic.interfaces.IObjectUpload`."""
        self._must_be_alive("write")
        self._written += len(data)
        if self._written > self._size:
            self._drop_buffers()  # finish will refuse
            return
        rest = memoryview(data)
        while rest:
            rest = self._fill(rest)
            if self._filling is not None and self._filled == len(self._filling):
                await self._send_filled()

    @async_to_deferred
    async def finish(self) -> Stored:
        """See :class:`raic.interfaces.IObjectUpload`."""
        self._must_be_alive("finish")
        if self._written != self._size:
            await self.abort()
            raise ValueError(f"{self._written} bytes were written, not {self._size}")
        with self._working():
            try:
                await (self._put() if self._size <= self._part_size else self._complete())
            except Exception as error:
                self._fail(error)
                raise
            self._end()
        return Stored(self._key, self._size)

    @async_to_deferred
    async def abort(self) -> None:
        """See :class:`raic.interfaces.IObjectUpload`."""
        self._aborted = True
        self._wake()
        while self._busy:
            await self._change()
        if self._over:
            return
        begun, self._begun = self._begun, None
        self._end()
        if begun is None:
            return
        with suppress(ProviderError):  # then it is left for clear_interrupted_uploads
            await self._run("abort", partial(self._store.discard_parts, begun), stopping=True)

    def _must_be_alive(self, operation: str) -> None:
        self._must_run(operation)
        if self._failure is not None:
            raise self._failure
        if self._aborted or self._over:
            raise StorageUnusable(self._name, operation, "the upload has ended")

    def _fill(self, data: memoryview) -> memoryview:
        """Take what fits into the present part; returns the rest."""
        if self._filling is None:
            begin = self._parts * self._part_size
            size = min(self._part_size, self._size - begin)
            if self._free and len(self._free[-1]) == size:
                self._filling = self._free.pop()
            else:
                self._free.clear()
                self._filling = bytearray(size)
            self._filled = 0
        taken = min(len(data), len(self._filling) - self._filled)
        self._filling[self._filled : self._filled + taken] = data[:taken]
        self._filled += taken
        return data[taken:]

    async def _send_filled(self) -> None:
        """Send the part that is full, once there are fewer under way than may be."""
        if self._size <= self._part_size:
            return  # goes out as a whole in the end
        if self._begun is None:
            await self._begin()
        while self._in_flight >= self._in_flight_limit:
            await self._change()
            self._must_be_alive("write")
        self._must_be_alive("write")
        part, self._filling = self._filling, None
        number = self._parts
        self._parts += 1
        self._in_flight += 1
        assert part is not None
        self._send(number, part)
        # It has the client wait now rather than at the end, see Uplink.
        while self._in_flight > self._may_wait(self._part_size):
            await self._change()
            self._must_be_alive("write")

    async def _begin(self) -> None:
        begin = partial(self._store.begin_parts, self._key, self._size)
        with self._working():
            try:
                self._begun = await self._insistently("write", lambda _: begin())
            except Exception as error:
                self._fail(error)
                raise

    @async_to_deferred
    async def _send(self, number: int, part: bytearray) -> None:
        put = partial(self._store.put_part, self._begun, number, part)
        arrived = 0
        self._uplink.began()
        with self._working():
            try:
                self._receipts[number] = await self._insistently("write", lambda _: put())
            except Exception as error:  # noqa: BLE001 - kept for the next call of the uploader
                self._fail(error)
            else:
                arrived = len(part)
                self._free.append(part)
            self._uplink.ended(arrived)
            self._in_flight -= 1

    async def _put(self) -> None:
        put = partial(self._store.put, "finish", self._key, self._filling or b"")
        await self._insistently("finish", lambda _: put())

    async def _complete(self) -> None:
        while self._in_flight:
            await self._change()
            self._must_be_alive("finish")
        self._must_be_alive("finish")
        self._drop_buffers()
        receipts = [self._receipts[number] for number in range(self._parts)]
        begun = self._begun
        await self._insistently(
            "finish", lambda again: self._store.complete_parts(begun, receipts, again=again)
        )

    async def _insistently(self, operation: str, call: Callable[[bool], T]) -> T:
        """Make a call, again where that can help.

        :param call: is told whether an earlier attempt may have succeeded.
        :raises OutcomeUnknown: one attempt may still succeed, whatever the others said.
        """
        unknown: OutcomeUnknown | None = None
        latest = self._clock.seconds() + RETRY_SECONDS
        attempt = 0
        while True:
            try:
                return await self._run(operation, partial(call, unknown is not None))
            except ProviderError as error:
                attempt += 1
                if isinstance(error, OutcomeUnknown):
                    unknown = error
                elif not error.temporary:
                    raise (unknown or error) from None
                pause = _pause(attempt, error)
                late = self._clock.seconds() + pause > latest
                if attempt == ATTEMPTS or late or self._aborted or self._failure:
                    raise (unknown or error) from None
            await deferLater(self._clock, pause, lambda: None)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """While this lasts, an abort waits."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._wake()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._drop_buffers()
        self._wake()

    def _end(self) -> None:
        self._over = True
        self._drop_buffers()
        self._ended(self)

    def _drop_buffers(self) -> None:
        self._filling = None
        self._free.clear()

    def _change(self) -> Deferred[None]:
        changed: Deferred[None] = Deferred()
        self._changed.append(changed)
        return changed

    def _wake(self) -> None:
        changed, self._changed = self._changed, []
        for waiting in changed:
            waiting.callback(None)


def _pause(attempt: int, error: ProviderError) -> float:
    """How long to wait before the next attempt: a random time, or what the provider asks for."""
    asked = error.retry_after if isinstance(error, ProviderBusy) else None
    return max(asked or 0.0, _random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)))
