"""Limits on bytes and requests a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure

from raic.backends.layers.bucket import TokenBucket
from raic.backends.layers.forwarding import CalledUpload, CallLayer
from raic.backends.layers.relay import Relay
from raic.deferreds import async_to_deferred
from raic.errors import QueueTooLong, StorageUnusable
from raic.interfaces import IObjectUpload, IStorageProvider

T = TypeVar("T")

_SLICE_SECONDS = 0.1
_SMALLEST_SLICE = 16 * 1024
_LARGEST_SLICE = 1024 * 1024
_BURST_SLICES = 4
_BURST_REQUESTS_SECONDS = 1.0

_UPWARDS = frozenset({"put_object", "write"})


@frozen
class Rates:
    """How much may pass; None for no limit.

    :ivar upload: bytes a second.
    :ivar download: bytes a second.
    :ivar requests: a second.  A write to an upload is none, because only the inner provider
        knows when it sends one; its end is one.
    :ivar patience: a call that would wait longer than this, in seconds, fails at once with
        ``QueueTooLong``.
    """

    upload: float | None = None
    download: float | None = None
    requests: float | None = None
    patience: float = 30.0

    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any(limit is not None for limit in (self.upload, self.download, self.requests))


class RateLayer(CallLayer):
    """Keeps the traffic with the inner provider below limits, fairly.

    Bytes are passed in slices of a tenth of a second's worth, and every slice queues anew: a large
    object does not keep a small one waiting, and a stream is smooth.
    """

    def __init__(self, inner: IStorageProvider, clock: IReactorTime, rates: Rates) -> None:
        super().__init__(inner)
        self._clock = clock
        self._earlier: WeakSet[TokenBucket] = WeakSet()  # what streams under way still use
        self._set(rates)

    def _set(self, rates: Rates) -> None:
        self._rates = rates
        self._patience = rates.patience
        self._up = _byte_bucket(self._clock, rates.upload)
        self._down = _byte_bucket(self._clock, rates.download)
        self._requests: TokenBucket | None = None
        if rates.requests is not None:
            burst = max(1.0, rates.requests * _BURST_REQUESTS_SECONDS)
            self._requests = TokenBucket(self._clock, rates.requests, burst)

    def adjust(self, rates: Rates) -> None:
        """Keep to other limits from now on.

        What waits for its turn has it by the earlier ones, and a stream ends at their pace; an
        upload under way goes on at the new one.
        """
        if rates == self._rates:
            return
        self._earlier.update(self._buckets())
        self._set(rates)

    def _buckets(self) -> list[TokenBucket]:
        return [each for each in (self._up, self._down, self._requests) if each is not None]

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`.  What waits for its turn fails."""
        error = StorageUnusable(self.name, "stop", "the provider was stopped meanwhile")
        for bucket in (*self._earlier, *self._buckets()):
            bucket.refuse(error)
        return super().stop()

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return PacedUpload(self, self._inner.open_upload(key, size))

    def slice_upwards(self) -> int:
        """How many bytes of an upload pass at once; 0 for any number."""
        return 0 if self._up is None else slice_size(self._up)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        bucket = self._down
        if bucket is None:
            return super().get_object(key, offset, length)

        def refund(result: bytes | Failure) -> bytes | Failure:
            came = 0 if isinstance(result, Failure) else len(result)
            if came < length:
                bucket.give_back(length - came)
            return result

        def read() -> Deferred[bytes]:
            return self._inner.get_object(key, offset, length).addBoth(refund)

        return self.call("get_object", length, read)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`.

        Only the request waits before the stream begins; its bytes do in its course.
        """
        stream = partial(self._inner.stream_object, key, offset, length)
        if self._down is None:
            return self.call("stream_object", 0, stream, consumer)
        paced = PacedStream(self._down, consumer)
        return paced.begin(partial(self.call, "stream_object", 0, stream))

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: Any
    ) -> Deferred[T]:
        """Make a call when its bytes and its request may pass."""
        requests = None if operation == "write" else self._requests
        bucket = self._bucket_for(operation) if size else None
        if requests is None and bucket is None:
            return function(*args)
        expected = max(_wait(requests, 1), _wait(bucket, size))
        if expected > self._patience:
            return fail(self._too_long(operation, f"its turn would come in {expected:.0f} seconds"))
        if not expected and _took_now(requests, 1):
            if _took_now(bucket, size):
                return function(*args)
            requests = None  # it has that already
        return self._in_turn(operation, requests, bucket, size, partial(function, *args))

    def _bucket_for(self, operation: str) -> TokenBucket | None:
        if operation in _UPWARDS:
            return self._up
        return self._down if operation == "get_object" else None

    @async_to_deferred
    async def _in_turn(
        self,
        operation: str,
        requests: TokenBucket | None,
        bucket: TokenBucket | None,
        size: int,
        make: Callable[[], Deferred[T]],
    ) -> T:
        try:
            if requests is not None:
                await requests.take(1)
            if bucket is not None:
                await self._take_slices(operation, bucket, size)
        except CancelledError:
            raise self._too_long(operation, "not waited for") from None
        return await make()

    async def _take_slices(self, operation: str, bucket: TokenBucket, size: int) -> None:
        # Others that come later take their turns between the slices.
        latest = self._clock.seconds() + self._patience
        left = size
        bucket.expected += left
        try:
            while left:
                amount = min(slice_size(bucket), left)
                bucket.expected -= amount
                left -= amount
                await bucket.take(amount)
                if self._clock.seconds() > latest:
                    raise self._too_long(operation, f"no turn within {self._patience:g} seconds")
        finally:
            bucket.expected -= left

    def _too_long(self, operation: str, why: str) -> QueueTooLong:
        return QueueTooLong(self.name, operation, why)


class PacedUpload(CalledUpload):
    """An upload in slices."""

    def __init__(self, layer: RateLayer, inner: IObjectUpload) -> None:
        super().__init__(layer, inner)
        self._rate = layer

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        size = self._rate.slice_upwards()
        if not size or len(data) <= size:
            return super().write(data)
        return self._write_slices(data, size)

    @async_to_deferred
    async def _write_slices(self, data: bytes, size: int) -> None:
        for at in range(0, len(data), size):
            await super().write(data[at : at + size])


class PacedStream(Relay):
    """A stream whose bytes take their turns.

    The inner producer is paused while bytes that it delivered wait.
    """

    def __init__(self, bucket: TokenBucket, consumer: IConsumer) -> None:
        super().__init__(consumer)
        self._bucket = bucket
        self._slice = slice_size(bucket)
        self._held: deque[bytes] = deque()
        self._waiting = False  # the inner producer, because of what is held
        self._granted = 0
        self._taking: Deferred[None] | None = None
        self._pumping = False
        self._end: int | Failure | None = None  # how the inner stream ended

    def begin(self, stream: Callable[[IConsumer], Deferred[int]]) -> Deferred[int]:
        """See :meth:`raic.interfaces.IStorageProvider.stream_object`."""
        self._streaming = stream(self)
        self._streaming.addBoth(self._inner_ended)
        return self._done

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        self._held.extend(data[at : at + self._slice] for at in range(0, len(data), self._slice))
        self._pump()
        if self._held and self._producer is not None and not self._waiting:
            self._waiting = True
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False
        self._pump()

    def _pump(self) -> None:
        if self._pumping:
            return  # the consumer resumed from within write
        self._pumping = True
        try:
            while self._held and not self._paused and not self._finished and self._may_write():
                self._granted = 0
                super().write(self._held.popleft())
        finally:
            self._pumping = False
        if self._held or self._finished:
            return
        if self._end is not None:
            self._finish(self._end if isinstance(self._end, Failure) else self.delivered)
        elif not self._paused:
            self._waiting = False
            if self._producer is not None:
                self._producer.resumeProducing()

    def _may_write(self) -> bool:
        """Whether the first slice has its turn; if not, it will be written when it has."""
        size = len(self._held[0])
        if self._granted or self._bucket.take_now(size):
            return True
        if self._taking is None:
            self._taking = self._bucket.take(size)
            self._taking.addCallbacks(self._may_now, self._refused, callbackArgs=(size,))
        return False

    def _may_now(self, _: None, size: int) -> None:
        self._taking = None
        self._granted = size
        self._pump()

    def _refused(self, failure: Failure) -> None:
        self._taking = None
        self._finish(failure)

    def _inner_ended(self, outcome: int | Failure) -> None:
        self._end = outcome
        if not self._finished:
            self._pump()

    def _ending(self) -> None:
        self._held.clear()
        if self._taking is not None:
            self._taking.cancel()
        if self._granted:
            self._bucket.give_back(self._granted)


def slice_size(bucket: TokenBucket) -> int:
    """How many bytes pass at once."""
    return int(bucket.burst / _BURST_SLICES)


def _byte_bucket(clock: IReactorTime, rate: float | None) -> TokenBucket | None:
    if rate is None:
        return None
    size = min(_LARGEST_SLICE, max(_SMALLEST_SLICE, int(rate * _SLICE_SECONDS)))
    return TokenBucket(clock, rate, _BURST_SLICES * size)


def _wait(bucket: TokenBucket | None, amount: float) -> float:
    return 0.0 if bucket is None else bucket.seconds_until(amount)


def _took_now(bucket: TokenBucket | None, amount: float) -> bool:
    return bucket is None or bucket.take_now(amount)
