"""Streaming a range of an object of any size."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.array.choosing import as_set, hopeful, lacking
from raic.backends.array.fetching import Source, Wrong
from raic.backends.array.probing import probe
from raic.backends.array.rangeread import RangeRead
from raic.backends.array.readlane import MOST_BYTES, ReadLane
from raic.backends.array.target import Target, Tools, cancel_timer
from raic.backends.array.unreadable import unreadable
from raic.errors import ObjectCorrupt, ObjectNotFound, ProviderError, ProviderTimedOut

ENOUGH_BYTES = 512 * 1024
"""So much is given to it, where there is as much."""

_number = attrgetter("number")


@implementer(IPushProducer)
class FragmentStream:
    """Merges lanes, one for each of the fragments that are needed, in the order of stripes.

    Where a lane fails or lies, or holds up the others, one of another fragment goes on from there.
    A consumer that pauses stops the lanes when their buffers are full.

    :param begin: of the range.
    :param end: of the range; not beyond the object's end.
    """

    def __init__(
        self, tools: Tools, target: Target, begin: int, end: int, consumer: IConsumer
    ) -> None:
        self._tools = tools
        self._target = target
        self._clock = tools.clock
        self._needed = target.code.needed
        self._consumer = consumer
        self._range = (begin, end)
        if begin < end:
            self._extent = target.extent(begin, end)
            self._stripe = self._extent.first
            self._last = self._extent.last
        self._limit = max(MOST_BYTES, tools.settings.stream_buffer - 2 * MOST_BYTES)
        self._lanes: list[ReadLane] = []
        self._ranked: list[int] = []
        self._spent: set[tuple[int, int]] = set()  # who failed at which stripe
        self._verdicts: dict[int, list[tuple[str, ProviderError]]] = {}
        self._wrong: list[Wrong] = []
        self._out: list[memoryview] = []
        self._out_bytes = 0
        self._delivered = 0
        self._paused = False
        self._pumping = False
        self._again = False
        self._finished = False
        self._waiting: float | None = None  # since when
        self._timer: Any = None
        self._proof: Deferred[bytes] | None = None
        self._done: Deferred[int] = Deferred(lambda _: self._finish(CancelledError()))

    def start(self) -> Deferred[int]:
        """See :meth:`raic.interfaces.IStorageProvider.stream_object`."""
        self._consumer.registerProducer(self, True)
        if self._finished:
            return self._done
        if self._range[0] == self._range[1]:
            self._proof = RangeRead(
                self._tools, self._target, *self._range, "stream_object"
            ).start()
            self._proof.addCallbacks(lambda _: self._finish(0), self._finish)
            return self._done
        self._begin()
        return self._done

    def _begin(self) -> None:
        self._ranked = self._target.ranked(self._target.blocks.stored(0, 0)[1])
        # The second stripe too: the first one may need but some of the data blocks.
        for stripe in (self._stripe, min(self._stripe + 1, self._last)):
            self._ensure(stripe)
        self._pump()
        if not self._finished:
            asked = as_set([lane.number for lane in self._lanes])
            probe(self._tools, self._target, self._stripe, asked)
            self._watch()

    # As the consumer's producer

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False
        self._waiting = None
        if not self._finished:
            self._pump()
            self._watch()

    def stopProducing(self) -> None:
        """See ``IPushProducer``: the bytes delivered so far are all there will be."""
        self._finish(self._delivered)

    # Whom to ask

    def _ensure(self, stripe: int) -> None:
        """See to it that a stripe's blocks are expected from enough lanes."""
        chosen = True
        while chosen and not self._finished:
            # One at a time: a lane may fail as soon as it is opened, and others may bring blocks,
            # so that meanwhile the stripe is over.
            present = max(stripe, self._stripe)
            chosen = present <= self._last and self._open_another(present)

    def _open_another(self, stripe: int) -> bool:
        """Open a lane for a stripe, if there are not enough."""
        expected = late = 0
        silent = False
        for lane in self._lanes:
            if not lane.covers(stripe):
                continue
            if lane.late and not lane.has(stripe):
                late |= 1 << lane.number
            else:
                expected |= 1 << lane.number
                silent = silent or not (lane.is_known or lane.failed)
        data = self._extent.data(stripe)
        if hopeful(data, expected, self._needed):
            return False
        numbers: Sequence[int] = self._unasked(stripe, expected | late)
        if hopeful(data, expected | late | as_set(numbers), self._needed):
            numbers = lacking(data, expected, numbers, self._needed, self._target.is_well)
        elif not numbers and not silent:
            # It cannot be had; what it suffers from was to be told by all that could be asked.
            self._give_up((expected | late).bit_count())
        if numbers:
            self._open(self._target.source(numbers[0]), stripe)
        return bool(numbers)

    def _unasked(self, stripe: int, asked: int) -> list[int]:
        """Who can be asked for a stripe; those that have failed before come last."""
        can = [
            number
            for number in self._ranked
            if not asked >> number & 1 and (number, stripe) not in self._spent
        ]
        can.sort(key=self._verdicts.__contains__)
        return can

    def _open(self, source: Source, stripe: int) -> None:
        """Read a fragment from a stripe on, up to the last stripe that needs it."""
        number = source.number
        for lane in self._lanes[:]:
            if lane.number == number and lane.first > stripe:
                self._drop(lane)
        last = self._last
        if number < self._needed and last > stripe and not self._extent.data(last) >> number & 1:
            last -= 1
        blocks = self._target.blocks
        lane = ReadLane(
            source, blocks, stripe, last, self._limit, self._clock, self._moved, self._failed
        )
        block = blocks.stored(stripe, stripe)[1]
        taken = {each.number for each in self._lanes} | {number}
        others = [other for other in self._ranked if other not in taken]
        patience = self._target.patience(lane.member, block, others)
        lane.patience = max(self._tools.settings.stall_seconds, patience)
        self._lanes.append(lane)
        lane.start()

    def _drop(self, lane: ReadLane) -> None:
        self._lanes.remove(lane)
        lane.close()

    # What comes

    def _moved(self, lane: ReadLane) -> None:
        self._target.is_assumed = False
        if not lane.is_known:
            lane.is_known = True
            size = self._target.blocks.stored(lane.first, lane.first)[1]
            seconds = self._clock.seconds() - lane.began
            health = self._tools.health.of(lane.member.name)
            health.was_right()
            health.took(size, seconds)
        lane.skip_to(self._stripe)
        if lane.has(self._stripe):
            lane.late = False  # it has caught up
        self._pump()

    def _failed(self, lane: ReadLane, error: ProviderError) -> None:
        """Go on with another lane from where this one ended."""
        if self._finished:
            return
        number = lane.number
        at = max(self._stripe, lane.last + 1)
        self._verdicts.setdefault(number, []).append((lane.member.name, error))
        is_wrong = isinstance(error, (ObjectCorrupt, ObjectNotFound))
        if not is_wrong:
            self._tools.health.of(lane.member.name).failed()
        others = lane.source.members[1:]
        if is_wrong and not (others and isinstance(error, ObjectNotFound)):
            self._wrong.append(Wrong(number, lane.source.key, lane.member.name, error))
        if others:
            self._open(evolve(lane.source, members=others), at)
        else:
            self._spent.add((number, at))
        self._ensure(at)
        self._pump()

    def _pump(self) -> None:
        """Deliver what can be delivered, unless that is being done."""
        self._again = True
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._again and not self._finished:
                self._again = False
                self._merge()
        finally:
            self._pumping = False

    def _merge(self) -> None:
        while not self._paused and not self._finished:
            if self._out_bytes >= ENOUGH_BYTES or (self._out and self._stripe > self._last):
                self._deliver()
            elif self._stripe > self._last:
                self._finish(self._delivered)
            elif not self._take():
                if self._out:
                    self._deliver()
                    continue
                if self._waiting is None:
                    self._waiting = self._clock.seconds()
                self._ensure(self._stripe)
                return

    def _take(self) -> bool:
        """Take a stripe from the lanes, or more than one, if they are there."""
        stripe = self._stripe
        if self._take_whole(stripe):
            return True
        ready = [lane for lane in self._lanes if lane.has(stripe)]
        data = self._extent.data(stripe)
        if not hopeful(data, as_set([lane.number for lane in ready]), self._needed):
            return False
        self._stripe += 1
        self._waiting = None
        blocks = {lane.number: lane.take() for lane in ready}
        for piece in self._extent.pieces(stripe, blocks):
            self._out.append(piece)
            self._out_bytes += len(piece)
        for lane in ready:
            lane.go_on()
        if len(self._lanes) > self._needed or self._stripe > self._last:
            self._tidy(stripe, ready)
        return True

    def _take_whole(self, stripe: int) -> bool:
        """Take as many stripes as there are, where all is as it should be.

        That is: they are wanted whole but for the last one, and just the lanes of plain data are
        there.
        """
        size = self._target.code.stripe_size
        room = (MOST_BYTES - self._out_bytes) // size
        count = min(room, self._extent.whole_stripes(stripe), self._last - stripe)
        lanes = self._lanes
        if count < 1 or len(lanes) != self._needed:
            return False
        for lane in lanes:
            if lane.number >= self._needed:
                return False
            count = min(count, lane.ready(stripe))
        if count < 1:
            return False
        self._stripe += count
        self._waiting = None
        ordered = sorted(lanes, key=_number)
        for _ in range(count):
            self._out += [lane.take() for lane in ordered]
        self._out_bytes += count * size
        for lane in ordered:
            lane.go_on()
        return True

    def _tidy(self, stripe: int, ready: list[ReadLane]) -> None:
        """Let go of the lanes that are over, and of those that are not needed any more."""
        for lane in self._lanes[:]:
            lane.skip_to(self._stripe)
            if lane.head > lane.last:
                self._drop(lane)
                if not (lane.failed or lane.late):
                    self._tools.health.of(lane.member.name).was_in_time()
        spare = sum(lane.covers(self._stripe) for lane in self._lanes) - self._needed
        behind = [each for each in self._lanes if each.covers(stripe) and each not in ready]
        for lane in [*behind, *reversed(self._lanes)]:
            if spare <= 0:
                return
            if lane in self._lanes and lane.covers(self._stripe):
                if lane.late:
                    waited = self._clock.seconds() - lane.since
                    size = self._target.blocks.stored(stripe, stripe)[1]
                    self._tools.health.of(lane.member.name).overtaken(size, waited)
                self._drop(lane)
                spare -= 1

    def _deliver(self) -> None:
        """Give the consumer as much as it may have at once."""
        size = count = 0
        for piece in self._out:
            if size + len(piece) > MOST_BYTES:
                break
            size += len(piece)
            count += 1
        if not count:
            pieces = [self._out[0][:MOST_BYTES]]
            self._out[0] = self._out[0][MOST_BYTES:]
        else:
            pieces, self._out = self._out[:count], self._out[count:]
        data = b"".join(pieces)
        self._out_bytes -= len(data)
        self._delivered += len(data)
        self._consumer.write(data)

    # Time

    def _watch(self) -> None:
        """Look again when the first lane may be late."""
        if self._timer is None and not self._finished and not self._paused:
            stall = self._tools.settings.stall_seconds
            self._timer = self._clock.callLater(stall, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._finished or self._paused:
            return
        now = self._clock.seconds()
        if self._waiting is not None:
            seconds = self._tools.settings.read_seconds
            if now - self._waiting >= seconds:
                self._expire(seconds)
                return
            self._mark_late(now, self._waiting)
        self._watch()

    def _mark_late(self, now: float, waiting: float) -> None:
        late = [
            lane
            for lane in self._lanes
            if lane.covers(self._stripe) and not lane.has(self._stripe) and not lane.late
            if now - max(lane.since, waiting) >= lane.patience
        ]
        for lane in late:
            lane.late = True
        if late:
            self._ensure(self._stripe)
            self._pump()

    # How it ends

    def _give_up(self, possible: int) -> None:
        key = self._target.object_key
        error = unreadable(
            self._tools.name, "stream_object", key, self._verdicts, self._needed, possible
        )
        if isinstance(error, ObjectNotFound):
            self._wrong.clear()
        self._finish(error)

    def _expire(self, seconds: float) -> None:
        late = [lane for lane in self._lanes if not lane.has(self._stripe)]
        waited = ", ".join(sorted({lane.member.name for lane in late}))
        said = [f"{member}: {error}" for each in self._verdicts.values() for member, error in each]
        detail = f"{self._target.object_key}: nothing came within {seconds:g} s from "
        detail += "; ".join([waited, *said])
        self._finish(ProviderTimedOut(self._tools.name, "stream_object", detail))

    def _finish(self, outcome: int | Failure | Exception) -> None:
        """End the stream, once: let go of everything, and fire."""
        if self._finished:
            return
        self._finished = True
        cancel_timer(self._timer)
        lanes, self._lanes = self._lanes, []
        for lane in lanes:
            lane.close()
        if self._proof is not None and not self._proof.called:
            self._proof.cancel()
        self._out.clear()
        self._consumer.unregisterProducer()
        for wrong in self._wrong:
            self._tools.report(self._target, wrong)
        if isinstance(outcome, int):
            self._done.callback(outcome)
        else:
            self._done.errback(outcome)
