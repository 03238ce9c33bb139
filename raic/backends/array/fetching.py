"""One request for some blocks of one fragment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from raic.backends.array.code import Code
from raic.backends.array.fragment import HEADER_BYTES, FragmentTags
from raic.backends.array.health import HealthBook
from raic.backends.array.members import Member
from raic.backends.tags import TAG_BYTES, TagMismatch
from raic.errors import ObjectCorrupt, ObjectNotFound, ProviderError, StorageUnusable
from raic.interfaces import IImmediateReads


@frozen
class Source:
    """Where one fragment of an object can be read.

    :ivar key: the fragment's.
    :ivar members: the one that is to have it and, while it moves, the one that had it; not empty.
    """

    number: int
    key: str
    tags: FragmentTags
    members: tuple[Member, ...]


@frozen
class Blocks:
    """Where the blocks of a fragment are."""

    code: Code
    length: int

    def stored(self, first: int, last: int) -> tuple[int, int]:
        """Offset and length, in the fragment, of these stripes' blocks and their tags."""
        step = self.code.block_size + TAG_BYTES
        tail = self.code.block_length(last, self.length) + TAG_BYTES
        return HEADER_BYTES + first * step, (last - first) * step + tail


@frozen
class Wrong:
    """A fragment that is not what it should be.

    :ivar key: the fragment's.
    :ivar member: the name of the one that has it so.
    """

    number: int
    key: str
    member: str
    error: ProviderError


class Fetch:
    """Asks one member, then the one from which the fragment is moving, for blocks.

    :param done: called once with this, unless it is cancelled before.
    :ivar good: the blocks that came and are right, by stripe.
    :ivar errors: what each member that was asked said, or did wrong, with its name.
    :ivar late: whether another one was asked meanwhile.
    :ivar timer: the caller's, cancelled at the end.
    """

    def __init__(
        self,
        source: Source,
        blocks: Blocks,
        first: int,
        last: int,
        health: HealthBook,
        clock: IReactorTime,
        done: Callable[[Fetch], None],
    ) -> None:
        self.number = source.number
        self.source = source
        self.first = first
        self.last = last
        self.good: dict[int, memoryview] = {}
        self.errors: list[tuple[str, ProviderError]] = []
        self.late = False
        self.over = False
        self.timer: Any = None
        self.began = 0.0
        self.patience = 0.0
        self.offset, self.size = blocks.stored(first, last)
        self._blocks = blocks
        self._health = health
        self._clock = clock
        self._done = done
        self._left = list(source.members)
        self._reading: Deferred[bytes] | None = None
        self.member = source.members[0]

    def start(self) -> None:
        """Ask."""
        self.began = self._clock.seconds()
        self._ask()

    def cancel(self) -> None:
        """The answer is not wanted any more."""
        if self.over:
            return
        self._end()
        if self._reading is not None:
            self._reading.cancel()

    def elapsed(self) -> float:
        """For how long the member that is asked now was waited for."""
        return self._clock.seconds() - self.began

    @property
    def is_whole(self) -> bool:
        """Whether every block that was asked for came."""
        return len(self.good) > self.last - self.first

    def wrongs(self) -> list[Wrong]:
        """What members have that is wrong; what is nowhere is the fault of its home."""
        altered = [said for said in self.errors if isinstance(said[1], ObjectCorrupt)]
        if not altered and all(isinstance(error, ObjectNotFound) for _, error in self.errors):
            altered = [] if self.is_whole else self.errors[:1]
        return [Wrong(self.number, self.source.key, *said) for said in altered]

    def _ask(self) -> None:
        self.member = self._left.pop(0)
        provider = self.member.provider
        key = self.source.key
        if IImmediateReads.providedBy(provider):
            stored = provider.read_now(key, self.offset, self.size)
            if stored is not None:
                self._take(stored, None)
                return
        self.began = self._clock.seconds()
        reading = maybeDeferred(provider.get_object, key, self.offset, self.size)
        self._reading = reading
        reading.addCallbacks(self._answered, self._failed)

    def _answered(self, stored: bytes) -> None:
        if not self.over:
            self._take(stored, self.elapsed())

    def _take(self, stored: bytes, seconds: float | None) -> None:
        """Check what was answered.

        :param seconds: how long it took; None where it was at hand, which says nothing of how long
            other answers take.
        """
        wrong = self._check(memoryview(stored))
        if wrong is not None:
            detail = f"{self.source.key}: {wrong}"
            self._next(ObjectCorrupt(self.member.name, "get_object", detail))
            return
        health = self._health.of(self.member.name)
        health.was_right()
        if seconds is not None:
            health.took(self.size, seconds)
        if seconds is None or seconds <= self.patience or not self.patience:
            health.was_in_time()
        self._finish()

    def _failed(self, failure: Failure) -> None:
        if self.over:
            return
        error = failure.value
        if isinstance(error, (ObjectNotFound, ObjectCorrupt)):
            self._next(error)
            return
        self._health.of(self.member.name).failed()
        self._next(as_provider_error(self.member.name, failure))

    def _next(self, error: ProviderError) -> None:
        self.errors.append((self.member.name, error))
        if self._left:
            self._ask()
        else:
            self._finish()

    def _check(self, stored: memoryview) -> str | None:
        """Keep the right blocks, and say what is wrong with the others."""
        step = self._blocks.code.block_size + TAG_BYTES
        wrong = None if len(stored) == self.size else f"{len(stored)} bytes instead of {self.size}"
        for stripe in range(self.first, self.last + 1):
            start = (stripe - self.first) * step
            end = min(start + step, self.size)
            try:
                self.good[stripe] = self.source.tags.checked(stripe, stored[start:end])
            except TagMismatch as mismatch:
                wrong = wrong or str(mismatch)
        return wrong

    def _finish(self) -> None:
        self._end()
        self._done(self)

    def _end(self) -> None:
        self.over = True
        if self.timer is not None and self.timer.active():
            self.timer.cancel()


def as_provider_error(name: str, failure: Failure) -> ProviderError:
    """What a member said, in the words of providers: a plugin may say anything."""
    if isinstance(failure.value, ProviderError):
        return failure.value
    detail = "not waited for" if failure.check(CancelledError) else failure.getErrorMessage()
    return StorageUnusable(name, "get_object", detail)
