"""Copies the index to the provider now and then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from raic.deferreds import apart, async_to_deferred
from raic.errors import IndexStopped, ProviderError
from raic.interfaces import IStorageProvider, IWorkers
from raic.shares.checkpoints.fetching import list_checkpoints
from raic.shares.checkpoints.sealed import seal_file
from raic.shares.index.copies import IndexCopy, discard_copy
from raic.shares.keys import CheckpointKey, new_checkpoint_name
from raic.shares.sealing import Sealer

LOOK_SECONDS = 60.0
"""How often it is seen whether a checkpoint is due."""

RETRY_SECONDS = 600.0
"""How long after a failure the next one is tried."""

LAST_SECONDS = 10.0
"""How long the checkpoint at a stop may take: the whole stop has twenty seconds."""

PIECE_BYTES = 1024 * 1024


@frozen
class CheckpointSettings:
    """When checkpoints are made.

    :ivar interval: seconds from one to the next, if anything has changed.
    :ivar changes: after how many changes the next one is made earlier.
    :ivar kept: how many there are to be; 0 for none at all.
    """

    interval: float = 3600.0
    changes: int = 100_000
    kept: int = 3


class Checkpointer:
    """Makes checkpoints in the background, until it is stopped.

    They are their own register: what is listed as a whole counts, and each new one has the
    superfluous deleted, and what broken-off ones left.  So none is noted in the index, where an
    unclean stop would make garbage of the one that was just written.

    :param provider: what writes and deletes only while the prefix is this node's.
    :param path: the index's file; copies are made beside it.
    :param changes: how many changes there were since the index was opened.
    :param workers: where the copying is done.
    """

    _log = Logger()

    def __init__(
        self,
        provider: IStorageProvider,
        path: Path,
        changes: Callable[[], int],
        sealer: Sealer,
        clock: IReactorTime,
        workers: IWorkers,
        settings: CheckpointSettings,
    ) -> None:
        self._provider = provider
        self._source = path
        self._copy = path.with_name(path.name + ".checkpoint")
        self._sealed = path.with_name(path.name + ".sealed")
        self._changes = changes
        self._sealer = sealer
        self._clock = clock
        self._workers = workers
        self._settings = settings
        self._next: IDelayedCall | None = None
        self._under_way: Deferred[None] | None = None
        self._copying: IndexCopy | None = None
        self._running = False
        self._looked = False
        self._saved = changes()
        self._unsure = True  # what an earlier process has changed since its last one
        self._made_at = 0.0  # by the clock of the checkpoint itself
        self._tried_at: float | None = None
        self._seconds = 0.0

    def start(self) -> None:
        """Make one whenever it is due.  Only to be called by the owner of the prefix."""
        if self._settings.kept:
            self._running = True
            self._schedule()

    @async_to_deferred
    async def stop(self) -> None:
        """Make no more, but a last one if something has changed and it will not take long.

        :return: fires when what was under way has ended; never fails.
        """
        was_running, self._running = self._running, False
        if self._next is not None and self._next.active():
            self._next.cancel()
        changed = was_running and self._changes() > self._saved
        if self._under_way is None and changed and self._seconds < LAST_SECONDS:
            self._begin()
        if self._under_way is not None:
            late = self._clock.callLater(LAST_SECONDS, self._interrupt)
            await apart(self._under_way)
            if late.active():
                late.cancel()
        await self._workers.stop()
        self._discard()

    @async_to_deferred
    async def make(self) -> CheckpointKey:
        """Make a checkpoint now, and have older ones deleted that are too many.

        :return: fires with its key; fails with a ``ProviderError`` or an ``IndexFailure``; nothing
            is then visible, unless the error is ``OutcomeUnknown``.  May be cancelled.
        """
        began, changes = self._clock.seconds(), self._changes()
        name = new_checkpoint_name(int(began))
        try:
            size = await self._workers.run(partial(self._write, name))
            key = CheckpointKey(name, size)
            await self._upload(key)
        finally:
            self._discard()
        self._saved, self._unsure, self._made_at = changes, False, began
        self._seconds = self._clock.seconds() - began
        self._log.info(
            "the index was copied to {provider}: {size} bytes, in {seconds:.1f} s",
            provider=self._provider.name,
            size=key.size,
            seconds=self._seconds,
        )
        await self._prune(key)
        return key

    # When

    def _schedule(self) -> None:
        self._next = self._clock.callLater(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._schedule()
        if self._under_way is None and not self._is_waiting():
            if not self._looked:
                self._begin(self._look_back)
            elif self._is_due():
                self._begin()

    def _is_waiting(self) -> bool:
        """Whether the last attempt failed, and was too short a time ago."""
        if self._tried_at is None:
            return False
        return 0 <= self._clock.seconds() - self._tried_at < RETRY_SECONDS

    def _is_due(self) -> bool:
        changed = self._changes() - self._saved
        if changed >= self._settings.changes:
            return True
        age = self._clock.seconds() - self._made_at
        return (changed > 0 or self._unsure) and not 0 <= age < self._settings.interval

    async def _look_back(self) -> None:
        """See how old the newest checkpoint is; what has changed since is not known."""
        whole, _ = await list_checkpoints(self._provider)
        self._made_at = float(whole[0].created) if whole else 0.0
        self._looked = True

    # How

    def _begin(self, act: Callable[[], Awaitable[object]] | None = None) -> None:
        self._under_way = under_way = Deferred.fromCoroutine(self._attempt(act or self.make))
        under_way.addBoth(self._ended)

    def _ended(self, _: object) -> None:
        self._under_way = None

    async def _attempt(self, act: Callable[[], Awaitable[object]]) -> None:
        """Never fails."""
        self._tried_at = None
        try:
            await act()
        except (IndexStopped, CancelledError, InterruptedError):
            return
        except Exception as error:  # noqa: BLE001 (whatever it is, the next one may do better)
            self._tried_at = self._clock.seconds()
            if self._running:
                # Of its troubles a provider tells itself.
                told = isinstance(error, ProviderError)
                self._log.emit(
                    LogLevel.debug if told else LogLevel.warn,
                    "the index was not copied to {provider}: {error!r}; {remedy}",
                    provider=self._provider.name,
                    error=error,
                    remedy=getattr(error, "remedy", ""),
                )

    def _interrupt(self) -> None:
        if self._copying is not None:
            self._copying.interrupt()
        self._copying = None
        self._running = False
        if self._under_way is not None:
            self._under_way.cancel()

    def _write(self, name: str) -> int:
        """In a thread: copy, pack and seal; the length of what came of it."""
        copying = self._copying = IndexCopy(self._source)
        copying.make(self._copy)
        discard_copy(self._sealed)
        seal_file(name, self._copy, self._sealed, self._sealer, lambda: self._copying is copying)
        discard_copy(self._copy)
        return self._sealed.stat().st_size

    async def _upload(self, key: CheckpointKey) -> None:
        upload = self._provider.open_upload(str(key), key.size)
        try:
            with self._sealed.open("rb") as file:
                for data in iter(lambda: file.read(PIECE_BYTES), b""):
                    await apart(upload.write(data))
            await apart(upload.finish())
        except BaseException:
            await apart(upload.abort())
            raise

    async def _prune(self, newest: CheckpointKey) -> None:
        try:
            whole, partial = await list_checkpoints(self._provider)
            # By a clock that was set back it may not be the first of the list.
            others = [key for key in whole if key != newest]
            superfluous = [*others[self._settings.kept - 1 :], *partial]
            if superfluous:
                await self._provider.delete_objects([str(key) for key in superfluous])
        except ProviderError as error:
            self._log.info("older copies of the index stay for now: {error}", error=error)

    def _discard(self) -> None:
        discard_copy(self._copy)
        discard_copy(self._sealed)
