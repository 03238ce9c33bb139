"""One immutable share on its way from a client into the provider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeAlias

from attrs import field, frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.deferreds import async_to_deferred
from raic.errors import (
    IndexFailure,
    IndexStopped,
    NoSuchShare,
    OutcomeUnknown,
    ProtocolRefusal,
    RaicError,
)
from raic.interfaces import IBucketUpload, IIndex, IObjectUpload, IStorageProvider
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.secrets import new_lease
from raic.shares.written import BATCH_BYTES, PIECE_BYTES, Written
from raic.values import Garbage, LeaseSecrets, StoredShare

Soon: TypeAlias = "Callable[[Callable[[], None]], object]"

IDLE_SECONDS = 30 * 60
GATHERED_BYTES = 1024 * 1024
"""An object up to this size is gathered in memory and stored in one request."""


class Phase(Enum):
    """How far an upload has come."""

    RECEIVING = "receiving"
    STORING = "storing"
    COMMITTING = "committing"
    STORED = "stored"
    ENDED = "ended"


@frozen
class Planned:
    """What is fixed when an upload begins.

    :ivar header: the object's header.
    :ivar secrets: of the lease that the share gets.
    :ivar fills_gaps: see :class:`raic.shares.written.Written`.
    """

    share: StoredShare
    header: bytes = field(repr=False)
    secrets: LeaseSecrets
    fills_gaps: bool

    @property
    def size(self) -> int:
        """The object's length."""
        return len(self.header) + self.share.length


@implementer(IBucketUpload)
class BucketUpload:
    """See :class:`raic.interfaces.IBucketUpload`.

    At most one request to the provider is under way; meanwhile the next batch gathers.

    :param soon: calls what passes on a batch, now or later: who wrote need not wait for that.
    :param on_end: called once, when the upload has ended in whatever way: completed if
        :meth:`is_complete` then says so.  Never called by the constructor.
    :param give_back: called once, when the upload holds no more memory.
    """

    _log = Logger()

    def __init__(
        self,
        planned: Planned,
        provider: IStorageProvider,
        index: IIndex,
        clock: IReactorTime,
        on_end: Callable[[BucketUpload], None],
        give_back: Callable[[], None],
        soon: Soon,
    ) -> None:
        self._planned = planned
        self._provider = provider
        self._index = index
        self._clock = clock
        self._on_end = on_end
        self._give_back = give_back
        self._soon = soon

        self.size = planned.share.length
        self._key = planned.share.key
        self._written = Written(self.size, fills_gaps=planned.fills_gaps)
        self._phase = Phase.RECEIVING
        self._reason: Exception = NoSuchShare("the upload has ended")
        self._gathers = planned.size <= GATHERED_BYTES
        self._object: IObjectUpload | None = None
        self._finishing = False
        self._running = False
        self._waking = False
        self._closing = False
        self._in_doubt = False
        self._cleaning = False
        self._cleaned = False
        self._writers: list[Deferred[None]] = []
        self._closers: list[Deferred[None]] = []
        self._aborters: list[Deferred[None]] = []

        self._reserve_error: BaseException | None = None
        self._reserved = index.reserve([self._key]).addErrback(self._note_reserve_error)
        self._last_write = clock.seconds()
        self._idle_call: IDelayedCall | None = clock.callLater(IDLE_SECONDS, self._check_idle)

    # What callers may ask

    @property
    def ended(self) -> bool:
        """Whether the upload is over: stored, aborted or failed."""
        return self._phase in (Phase.STORED, Phase.ENDED)

    def required_ranges(self) -> Sequence[tuple[int, int]]:
        """See :class:`raic.interfaces.IBucketUpload`; empty once the upload has ended."""
        return () if self.ended else self._written.missing()

    def is_complete(self) -> bool:
        """See :class:`raic.interfaces.IBucketUpload`; false when it was aborted or failed."""
        return self._phase is not Phase.ENDED and self._written.end == self.size

    def write(self, offset: int, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IBucketUpload`."""
        if self.ended:
            return fail(self._reason)
        try:
            self._written.add(offset, data)
        except ProtocolRefusal as refusal:
            return fail(refusal)
        self._last_write = self._clock.seconds()
        if self._gathers:
            return succeed(None)
        if self._written.waiting >= PIECE_BYTES:
            self._wake()  # the writer waits for it
        elif self._written.waiting >= BATCH_BYTES:
            self._wake_soon()
        if self._at(Phase.ENDED):
            return fail(self._reason)
        if self._written.waiting < PIECE_BYTES:
            return succeed(None)
        writer: Deferred[None] = Deferred()
        self._writers.append(writer)
        return writer

    def close(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IBucketUpload`."""
        if self._phase is Phase.STORED:
            return succeed(None)
        if self._phase is Phase.ENDED:
            return fail(self._reason)
        closer: Deferred[None] = Deferred()
        self._closers.append(closer)
        if not self._closing:
            self._closing = True
            self._stop_idle_call()
            self._written.fill()
            self._wake()
        return closer

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IBucketUpload`.

        Waits for a commit under way, which cannot be taken back.
        """
        if self._phase is Phase.STORED or self._cleaned:
            return succeed(None)
        aborter: Deferred[None] = Deferred()
        self._aborters.append(aborter)
        if self._phase in (Phase.RECEIVING, Phase.STORING):
            storing = self._phase is Phase.STORING
            self._end(NoSuchShare("the upload was aborted"))
            if not storing:
                # A store under way cannot be stopped: what follows it cleans up.
                self._clean_up(None)
        return aborter

    def _at(self, phase: Phase) -> bool:
        return self._phase is phase

    # From the client to the provider

    def _wake_soon(self) -> None:
        if not self._running and not self._waking:
            self._waking = True
            self._soon(self._woken)

    def _woken(self) -> None:
        self._waking = False
        if self._at(Phase.RECEIVING):
            self._wake()

    def _wake(self) -> None:
        if not self._running:
            self._running = True
            self._run()

    @async_to_deferred
    async def _run(self) -> None:
        """Pass on what waits, and complete the share if it was closed; never fails."""
        try:
            await self._pass_on()
            if self._at(Phase.ENDED):
                await self._clean_up(None)
        except Exception as error:  # noqa: BLE001  whatever it is, the callers must be told
            if not isinstance(error, RaicError):
                self._log.failure("an upload failed unexpectedly")
            self._in_doubt = isinstance(error, IndexStopped) or (
                self._at(Phase.COMMITTING) and not isinstance(error, IndexFailure)
            )
            self._end(error)
            await self._clean_up(error)
        finally:
            self._running = False

    async def _pass_on(self) -> None:
        await self._reserved
        if self._reserve_error is not None:
            raise self._reserve_error
        if not self._gathers:
            await self._stream()
        if self._closing and self._at(Phase.RECEIVING):
            await self._store()

    async def _stream(self) -> None:
        while self._at(Phase.RECEIVING):
            least = 1 if self._closing else BATCH_BYTES
            if self._written.waiting < least:
                return
            if self._object is None:
                self._object = self._provider.open_upload(self._key, self._planned.size)
                batch = self._written.take(self._planned.header)
            else:
                batch = self._written.take()
            passed = self._object.write(batch)
            self._release_writers()
            await passed

    def _release_writers(self) -> None:
        if self._writers and self._written.waiting < PIECE_BYTES:
            writers, self._writers = self._writers, []
            for writer in writers:
                writer.callback(None)

    async def _store(self) -> None:
        self._phase = Phase.STORING
        if self._object is None:
            data = self._written.take_all(self._planned.header)
            stored = await self._provider.put_object(self._key, data)
        else:
            self._finishing = True
            stored = await self._object.finish()
        if self._at(Phase.ENDED):
            return
        self._phase = Phase.COMMITTING
        lease = new_lease(self._planned.secrets, self._clock.seconds())
        await self._index.commit_share(self._planned.share, lease, stored.missing)
        self._phase = Phase.STORED
        self._written.clear()
        self._give_back()
        self._on_end(self)
        _fire(self._writers)
        _fire(self._closers)
        _fire(self._aborters)

    # Ending without a share

    def _end(self, reason: Exception) -> None:
        """Tell everyone, at once, that there will be no share."""
        if self.ended:
            return
        self._phase = Phase.ENDED
        self._reason = reason
        self._stop_idle_call()
        self._written.clear()
        self._on_end(self)
        waiting, self._writers, self._closers = self._writers + self._closers, [], []
        for waiter in waiting:
            waiter.errback(reason)

    @async_to_deferred
    async def _clean_up(self, error: Exception | None) -> None:
        """Discard what was sent; never fails, and only its first call does anything.

        :param error: what ended the upload; None when it was aborted.
        """
        if self._cleaning:
            return
        self._cleaning = True
        # The object may be a share all the same: only a restart can tell.
        if not self._in_doubt:
            await self._discard(error)
        self._cleaned = True
        self._give_back()
        _fire(self._aborters)

    async def _discard(self, error: Exception | None) -> None:
        if self._object is not None and not self._finishing:
            await self._object.abort()
        await self._reserved
        if self._reserve_error is not None:
            return
        try:
            await self._index.release([self._garbage(error)])
        except IndexFailure as failure:
            # The intent stays, and the next start makes garbage of it.
            self._log.warn("an upload's intent stays: {reason}", reason=str(failure))

    def _garbage(self, error: Exception | None) -> Garbage:
        """The object that was not committed: nobody reads it, so it need not age."""
        now = int(self._clock.seconds())
        if error is None or (
            isinstance(error, RaicError) and not isinstance(error, OutcomeUnknown)
        ):
            return Garbage(self._key, now)
        return Garbage(self._key, now + REQUEST_SECONDS, passes=2)

    # Idle uploads

    def _check_idle(self) -> None:
        idle = self._clock.seconds() - self._last_write
        if idle < IDLE_SECONDS:
            # Re-armed here rather than by each write, which would cost more than the write.
            self._idle_call = self._clock.callLater(IDLE_SECONDS - idle, self._check_idle)
        else:
            self._idle_call = None
            self.abort()

    def _stop_idle_call(self) -> None:
        if self._idle_call is not None:
            self._idle_call.cancel()
            self._idle_call = None

    def _note_reserve_error(self, failure: Failure) -> None:
        self._reserve_error = failure.value


def _fire(waiting: list[Deferred[None]]) -> None:
    for waiter in waiting[:]:
        waiting.remove(waiter)
        waiter.callback(None)
