"""How the members of an array have been doing, and hence which of them is asked first.

A member is *failing* after a failure that says something about it as a whole, or after several
answers in a row that were wrong or missing; it is *slow* when others overtook it several times in
a row.  Neither is asked while enough others are well, so what it does is found out by a **probe**:
a request now and then besides those that a read needs.  A good answer ends a failure, one that
comes in time ends slowness.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from math import ceil, log2

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from raic.backends.array.members import Member

RECENT = 64
"""How many latencies of each size are remembered."""

ENOUGH = 8
"""How many of them say something."""

_CLASSES = 8
_WEIGHT = 0.2  # of the newest latency in the moving average
_STRIKES = 3  # wrong answers in a row that count as a failure
_OVERTAKEN = 2  # times in a row that count as slow
_FIRST_PROBE = 1.0
_LAST_PROBE = 60.0
_GRAIN = 0.002  # latencies this close are the same


@frozen
class Patience:
    """How long a member is waited for before another one is asked as well.

    :ivar least: seconds, however fast the member usually is.
    :ivar most: seconds, however slow it usually is.
    :ivar default: seconds, while too little is known of it.
    """

    least: float = 0.010
    most: float = 5.0
    default: float = 0.5


@frozen
class MemberFigures:
    """How a member has been doing.

    :ivar state: ``well``, ``slow`` or ``failing``.
    :ivar seconds: the moving average of its latencies, of requests of the size most asked for;
        None when it has answered none.
    """

    name: str
    state: str
    seconds: float | None


def size_class(size: int) -> int:
    """Requests of one class are alike in latency: up to 4 KiB, 16 KiB, ... 16 MiB, and more."""
    return min(_CLASSES - 1, max(0, ((size - 1).bit_length() - 11) // 2)) if size > 0 else 0


class Latencies:
    """The recent latencies of requests of one size class."""

    def __init__(self) -> None:
        self.average = 0.0
        self.count = 0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._high = 0.0
        self._high_at = 0

    def add(self, seconds: float) -> None:
        """Note how long an answer took."""
        self._recent.append(seconds)
        self.lean(seconds)
        self.count += 1

    def lean(self, seconds: float) -> None:
        """Move the average alone."""
        self.average += (seconds - self.average) * (_WEIGHT if self.count else 1.0)

    def high(self) -> float | None:
        """What 95 in 100 do not exceed, up to a few requests ago; None when too little is known."""
        if self.count < ENOUGH:
            return None
        if self.count >= self._high_at:
            ascending = sorted(self._recent)
            self._high = ascending[ceil(len(ascending) * 0.95) - 1]
            self._high_at = self.count + ENOUGH
        return self._high


class MemberHealth:
    """What is known of one member."""

    def __init__(self, name: str, clock: IReactorTime) -> None:
        self.name = name
        self._clock = clock
        self._classes = [Latencies() for _ in range(_CLASSES)]
        self._strikes = 0
        self._overtaken = 0
        self._probing = False
        self._probe_pause = _FIRST_PROBE
        self._probe_at = 0.0

    @property
    def is_failing(self) -> bool:
        """Whether it could not be reached or gave wrong answers."""
        return self._strikes >= _STRIKES

    @property
    def is_well(self) -> bool:
        """Whether it is neither failing nor slow."""
        return self._strikes < _STRIKES and self._overtaken < _OVERTAKEN

    def was_right(self) -> None:
        """It gave a good answer."""
        self._strikes = 0

    def took(self, size: int, seconds: float) -> None:
        """A good answer of so many bytes took so long."""
        self._classes[size_class(size)].add(seconds)

    def was_in_time(self) -> None:
        """It took no longer than could be expected."""
        self._overtaken = 0

    def failed(self) -> None:
        """It could not be reached, or could not be used."""
        self._bad(_STRIKES)

    def wrong(self) -> None:
        """It gave a wrong answer, or had lost what it was asked for."""
        self._bad(1)

    def overtaken(self, size: int, seconds: float) -> None:
        """After so long it had not answered, and another one had that was asked later."""
        latencies = self._classes[size_class(size)]
        if seconds > latencies.average:
            latencies.lean(seconds)
        was_well = self.is_well
        self._overtaken += 1
        self._note_change(was_well)

    def average(self, size: int) -> float | None:
        """The moving average of the latencies of requests about this large, if any were made."""
        latencies = self._nearest(size, 1)
        return None if latencies is None else latencies.average

    def high(self, size: int) -> float | None:
        """The latency that requests about this large rarely exceed, if enough were made."""
        latencies = self._nearest(size, ENOUGH)
        return None if latencies is None else latencies.high()

    def may_probe(self) -> bool:
        """Whether a member that is not well is to be asked now, to see how it does.

        True means that a probe begins: :meth:`probed` must follow.
        """
        if self.is_well or self._probing or self._clock.seconds() < self._probe_at:
            return False
        self._probing = True
        return True

    def probed(self) -> None:
        """The probe is over, and its outcome noted."""
        self._probing = False
        self._probe_at = self._clock.seconds() + self._probe_pause
        self._probe_pause = min(_LAST_PROBE, 2 * self._probe_pause)

    def figures(self) -> MemberFigures:
        """What can be shown of it."""
        state = "failing" if self.is_failing else "well" if self.is_well else "slow"
        most = max(self._classes, key=lambda latencies: latencies.count)
        return MemberFigures(self.name, state, most.average if most.count else None)

    def _bad(self, strikes: int) -> None:
        was_well = self.is_well
        self._strikes = min(_STRIKES, self._strikes + strikes)
        self._note_change(was_well)

    def _note_change(self, was_well: bool) -> None:
        if was_well and not self.is_well:
            self._probe_pause = _FIRST_PROBE
            self._probe_at = self._clock.seconds() + _FIRST_PROBE

    def _nearest(self, size: int, least: int) -> Latencies | None:
        """The figures of this size, else of larger requests."""
        for latencies in self._classes[size_class(size) :]:
            if latencies.count >= least:
                return latencies
        return None


class HealthBook:
    """The health of all members, by name.

    :param clock: tells how long ago things were.
    """

    def __init__(self, clock: IReactorTime, patience: Patience) -> None:
        self._clock = clock
        self._patience = patience
        self._members: dict[str, MemberHealth] = {}

    def of(self, name: str) -> MemberHealth:
        """What is known of a member."""
        health = self._members.get(name)
        if health is None:
            health = self._members[name] = MemberHealth(name, self._clock)
        return health

    def forget(self, names: Collection[str]) -> None:
        """These are members no more."""
        for name in names:
            self._members.pop(name, None)

    def figures(self) -> tuple[MemberFigures, ...]:
        """What can be shown, by name."""
        return tuple(self._members[name].figures() for name in sorted(self._members))

    def ranked(self, homes: Iterable[tuple[int, Member]], size: int) -> list[int]:
        """Fragment numbers, those to ask first at the front: healthy, then cheap, then fast.

        Members are as fast as one another unless one takes twice as long; then lower numbers go
        first, because the first ``needed`` fragments are the plain data.

        :param size: about how many bytes each is to be asked for.
        """
        known = [(number, member, self.of(member.name)) for number, member in homes]
        averages = {number: health.average(size) for number, _, health in known}
        best = min((each for each in averages.values() if each is not None), default=0.0)

        def rank(entry: tuple[int, Member, MemberHealth]) -> tuple[int, float, int, int]:
            number, member, health = entry
            state = 0 if health.is_well else 2 if health.is_failing else 1
            average = averages[number]
            slower = 1.0 if average is None else (average + _GRAIN) / (best + _GRAIN)
            return state, member.price, int(log2(slower)), number

        return [number for number, _, _ in sorted(known, key=rank)]

    def patience(self, name: str, size: int, others: Iterable[str]) -> float:
        """How long to wait for a member before another one is asked as well.

        As long as it rarely takes; but no longer than twice what one of the others rarely takes,
        which would have answered by then.  Where none of the others is well, they are asked no
        sooner than a member of which nothing is known.

        :param others: those that could be asked instead.
        """
        own = self.of(name).high(size)
        allowed = self._patience.default if own is None else own
        well = [health for health in map(self.of, others) if health.is_well]
        if well:
            highs = [high for health in well if (high := health.high(size)) is not None]
            allowed = min(allowed, 2 * min(highs, default=allowed))
        else:
            allowed = max(allowed, self._patience.default)
        return min(self._patience.most, max(self._patience.least, allowed))
