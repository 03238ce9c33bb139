"""Waiting for the uploads under way, so that a node that is stopped cuts none short."""

from __future__ import annotations

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from raic.deferreds import async_to_deferred
from raic.interfaces import IBucketUpload
from raic.server.uploads import Uploads

LOOK_SECONDS = 0.25
IDLE_SECONDS = 60.0
"""An upload to which nothing was written for so long is not waited for: its client is gone."""


@define
class _Seen:
    """How far an upload was, and since when it has been there."""

    missing: tuple[tuple[int, int], ...]
    since: float


class Draining:
    """Waits until uploads have ended.

    :param uploads: those under way; no more may begin.
    """

    def __init__(self, uploads: Uploads, clock: IReactorTime) -> None:
        self._uploads = uploads
        self._clock = clock
        self._seen: dict[IBucketUpload, _Seen] = {}

    @async_to_deferred
    async def wait(self, seconds: float) -> None:
        """Wait for uploads that make progress.

        :param seconds: for how long at most.
        :return: fires when there are none any more, or the time is over; the answers to their
            last writes have then been sent.  May be cancelled.
        """
        deadline = self._clock.seconds() + seconds
        while self.count() and self._clock.seconds() < deadline:
            await deferLater(self._clock, LOOK_SECONDS)
            if not self.count():
                await deferLater(self._clock, LOOK_SECONDS)

    def count(self) -> int:
        """How many uploads make progress: whose client has written lately, or has written all."""
        now = self._clock.seconds()
        self._seen = {upload: self._look(upload, now) for upload in self._uploads}
        return sum(
            upload.is_complete() or now - seen.since < IDLE_SECONDS
            for upload, seen in self._seen.items()
        )

    def _look(self, upload: IBucketUpload, now: float) -> _Seen:
        missing = tuple(upload.required_ranges())
        seen = self._seen.get(upload)
        return seen if seen is not None and seen.missing == missing else _Seen(missing, now)
