"""One object on its way to all members of an array."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from zope.interface import implementer

from raic.backends.array.acknowledging import Acknowledgement
from raic.backends.array.encoding import FragmentEncoder
from raic.backends.array.lane import Lane
from raic.backends.array.plan import WritePlan, WriteTools
from raic.backends.array.turns import Turns
from raic.errors import KeyTaken, ProviderError, ProviderTimedOut, StorageUnusable
from raic.interfaces import IObjectUpload
from raic.values import Stored


@implementer(IObjectUpload)
class ArrayUpload:
    """See :class:`raic.interfaces.IObjectUpload`.

    Each member has a lane of its own.  The caller may go on when all lanes have room; one that
    holds up enough others for too long is dropped.

    :param on_end: called when the upload has ended in whatever way; perhaps more than once.
    :ivar key: the object's.
    """

    def __init__(
        self,
        tools: WriteTools,
        key: str,
        size: int,
        on_end: Callable[[ArrayUpload], None],
    ) -> None:
        self._tools = tools
        self._plan = WritePlan(tools, key, size)
        self.key = key
        self._size = size
        self._on_end = on_end
        self._written = 0
        self._lanes: dict[int, Lane] = {}
        self._turns = Turns(tools.clock)
        self._encoder: FragmentEncoder | None = None
        self._ended: ProviderError | None = None
        self._writer: Deferred[None] | None = None
        self._blocked_since = 0.0
        self._enough_since: float | None = None
        self._timer: Any = None
        self._waiting: Acknowledgement | None = None
        self._finisher: Deferred[Stored] | None = None
        self._stored = False
        self._aborters: list[Deferred[None]] = []
        self._aborted = False
        self._interrupted = False  # aborted between the call of finish and its end

    def refuse(self, error: ProviderError) -> None:
        """Have all calls but ``abort`` fail."""
        self._end(error)

    def write(self, data: bytes) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        if self._ended is not None:
            return fail(self._ended)
        cleaning = self._tools.leftovers.gone(self.key)
        if cleaning is not None and self._encoder is None:
            return cleaning.addCallback(lambda _: self.write(data))
        self._written += len(data)
        if self._written > self._size:
            return succeed(None)  # finish tells that it was too much
        self._push(data)
        return self._await_room()

    def finish(self) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        if self._ended is not None:
            return fail(self._ended)
        if self._written != self._size:
            wrong = ValueError(f"{self._written} bytes were written, not {self._size}")
            return self.abort().addCallback(lambda _: fail(wrong))
        if not self._size:
            # The only fragment bytes that no write has made.
            return self.write(b"").addCallback(lambda _: self._finish())
        return self._finish()

    def abort(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IObjectUpload`."""
        if self._stored or self._aborted:
            return succeed(None)
        aborter: Deferred[None] = Deferred()
        self._aborters.append(aborter)
        if len(self._aborters) == 1:
            self._interrupted = self._finisher is not None
            self._end(StorageUnusable(self._tools.name, "finish", "the upload has ended"))
            self._give_up()
            lanes = [lane.abort() for lane in self._lanes.values() if not lane.stored]
            gatherResults(lanes).addCallback(self._discard).addCallback(self._note_aborted)
        return aborter

    # Filling the lanes

    def _push(self, data: bytes) -> None:
        if self._encoder is None:
            self._encoder = self._plan.encoder()
            for number in self._plan.homes:
                self._open_lane(number)
        cut = self._encoder.add(data)
        if cut.stripes:
            for number, lane in list(self._lanes.items()):
                lane.push(cut.size, partial(self._encoder.make, number, cut))

    def _open_lane(self, number: int) -> None:
        home = self._plan.homes[number]
        upload = home.provider.open_upload(self._plan.keys[number], self._plan.fragment_size)
        room = self._tools.settings.lane_buffer
        lane = Lane(home.name, upload, room, self._turns, partial(self._changed, number))
        self._lanes[number] = lane
        refusal = self._plan.refusal(number, "write")
        if refusal is not None:
            lane.drop(refusal)

    def _await_room(self) -> Deferred[None]:
        if self._ended is not None:
            return fail(self._ended)
        if self._all_have_room():
            return succeed(None)
        self._writer = Deferred()
        self._blocked_since = self._tools.clock.seconds()
        self._enough_since = None
        self._watch()
        return self._writer

    def _all_have_room(self) -> bool:
        return all(lane.has_room for lane in self._lanes.values())

    def _changed(self, number: int, lane: Lane) -> None:
        """Something happened to a lane."""
        if lane.error is not None:
            lane.abort()
        if self._waiting is not None:
            if lane.error is not None:
                self._waiting.fail(number, lane.error)
            elif lane.stored:
                self._waiting.succeed(number)
        elif self._ended is None:
            self._check()

    def _check(self) -> None:
        """Let the caller go on, or fail, or wait."""
        errors = {n: lane.error for n, lane in self._lanes.items() if lane.error is not None}
        if len(errors) > self._plan.spare:
            self._end(self._plan.error("write", errors))
            for lane in self._lanes.values():
                lane.abort()
        elif self._writer is not None:
            if self._all_have_room():
                self._stop_timer()
                writer, self._writer = self._writer, None
                writer.callback(None)
            else:
                self._watch()

    def _watch(self) -> None:
        """See to it that the lanes without room do not hold up the others for ever."""
        settings = self._tools.settings
        now = self._tools.clock.seconds()
        roomy = sum(lane.error is None and lane.has_room for lane in self._lanes.values())
        until = self._blocked_since + settings.write_seconds
        if roomy < self._tools.happy:
            self._enough_since = None
        else:
            if self._enough_since is None:
                self._enough_since = now
            until = min(until, self._enough_since + settings.straggler_seconds)
        self._stop_timer()
        self._timer = self._tools.clock.callLater(max(0.0, until - now), self._drop_stragglers)

    def _drop_stragglers(self) -> None:
        self._timer = None
        waited = self._tools.clock.seconds() - self._blocked_since
        for lane in list(self._lanes.values()):
            if not lane.has_room:
                detail = f"it held up the others for {waited:.3g} seconds"
                lane.drop(ProviderTimedOut(lane.member, "write", detail))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Ending

    def _finish(self) -> Deferred[Stored]:
        self._waiting = waiting = self._plan.acknowledgement(self._give_up, self._late)
        self._finisher = Deferred()
        answer = self._finisher
        for number, lane in list(self._lanes.items()):
            if lane.error is not None:
                waiting.fail(number, lane.error)
            else:
                lane.finish()
        waiting.wait().addCallback(self._finished, waiting)
        return answer

    def _give_up(self) -> None:
        """Too few lanes are left: the others are to end soon."""
        for lane in list(self._lanes.values()):
            if lane.finishing and not lane.stored:
                lane.abort()
            else:
                lane.drop(StorageUnusable(lane.member, "finish", "others failed before"))

    def _finished(self, enough: bool, waiting: Acknowledgement) -> None:
        if self._finisher is None:
            return  # it was aborted meanwhile
        finisher, self._finisher = self._finisher, None
        if not enough:
            self._end(self._plan.failure("finish", waiting))
            finisher.errback(self._ended)
            return
        stored = self._plan.stored(waiting)
        self._stored = True
        self._end(StorageUnusable(self._tools.name, "finish", "the upload has ended"))
        if waiting.pending:
            self._tools.stragglers.later(self._tools.settings.settle_seconds, self._drop_late_lanes)
        finisher.callback(stored)

    def _drop_late_lanes(self) -> None:
        for lane in self._lanes.values():
            lane.drop(ProviderTimedOut(lane.member, "finish", "the others were done long before"))

    def _late(self, number: int, done: bool) -> None:
        if not self._interrupted:
            self._plan.late(number, done)

    def _end(self, error: ProviderError) -> None:
        """Have later calls fail, and those that wait."""
        if self._ended is None:
            self._ended = error
        self._stop_timer()
        self._on_end(self)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.errback(error)
        finisher, self._finisher = self._finisher, None
        if finisher is not None:
            finisher.errback(error)

    def _discard(self, _: object) -> object:
        """Delete what became visible on some members although the upload was aborted."""
        errors = [lane.error for lane in self._lanes.values()]
        if not self._interrupted or any(isinstance(error, KeyTaken) for error in errors):
            return None
        return self._plan.discard([n for n, lane in self._lanes.items() if lane.finishing])

    def _note_aborted(self, _: object) -> None:
        self._aborted = True
        aborters, self._aborters = self._aborters, []
        for aborter in aborters:
            aborter.callback(None)
