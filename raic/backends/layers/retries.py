"""Whether and when a call is repeated."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from attrs import evolve, frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from raic.backends.layers.circuit import NOT_ASKED
from raic.errors import (
    CircuitOpen,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
)

REPEATABLE_WRITES = frozenset({"put_object", "delete_objects"})
"""Doing these twice does no more than doing them once, so an unknown outcome may be tried anew."""

ONCE = frozenset({"write", "finish"})
"""An upload's own calls: its bytes are gone once the provider was asked."""

_READS = frozenset({"get_object", "stream_object"})

_TOKENS = 100.0
_TOKENS_PER_SECOND = 1.0


class Sleeper(Protocol):
    """A call between two attempts."""

    def give_up(self, error: Exception) -> None:
        """Make no further attempt, and fail."""


@frozen
class RetryPolicy:
    """When a call is repeated.

    :ivar attempts: how many there are at most, the first included.
    :ivar first_pause: the n-th pause is a random time below ``first_pause * 2**(n-1)`` seconds.
    :ivar longest_pause: and never above this.
    :ivar budget: no call takes longer than this altogether, in seconds; for a stream, longer
        than this without a byte.
    :ivar ratio: over time, how many retries there are at most for each call.
    :ivar missing: for so many seconds a read of a missing object is repeated: whoever reads a key
        has it from the index or from a listing, and some services take a while to know everywhere
        what they know somewhere.
    """

    attempts: int = 10
    first_pause: float = 0.25
    longest_pause: float = 8.0
    budget: float = 45.0
    ratio: float = 0.5
    missing: float = 10.0


class Retries:
    """What all the retries of a provider have in common.

    Together they are bounded: each call, and each piece of a stream, earns ``ratio`` of a token,
    every second one more is there, at most a hundred are kept, and a retry costs one.  So a
    provider that refuses a part of what it is asked gets no more than it can bear, and a node with
    little to do gets over the next trouble, too.  Of one that refuses everything the circuit takes
    care.

    :ivar made: how many retries there were.
    """

    def __init__(self, provider: str, clock: IReactorTime, random: Random, policy: RetryPolicy):
        self.provider = provider
        self.budget = policy.budget
        self.made = 0
        self._clock = clock
        self._random = random
        self._policy = policy
        self._tokens = _TOKENS
        # Of their own: an object that is gone for good must not use up those of all others.
        self._tokens_for_missing = _TOKENS
        self._earned_until = clock.seconds()
        self._sleeping: set[Sleeper] = set()

    def adjust(self, policy: RetryPolicy) -> None:
        """Go by another policy, except for its budget and for what it says of missing objects."""
        self._policy = evolve(policy, missing=self._policy.missing)

    def now(self) -> float:
        """The time of the clock."""
        return self._clock.seconds()

    def after(self, seconds: float, function: Callable[..., None], *args: object) -> IDelayedCall:
        """Call later."""
        return self._clock.callLater(seconds, function, *args)

    def sleeps(self, call: Sleeper) -> None:
        """Note a call that :meth:`stop` must end."""
        self._sleeping.add(call)

    def wakes(self, call: Sleeper) -> None:
        """Forget it."""
        self._sleeping.discard(call)

    def stop(self, error: Exception) -> None:
        """Let every call between two attempts fail."""
        for call in list(self._sleeping):
            call.give_up(error)

    def earn(self) -> None:
        """Note a call, or a piece of a stream, that pays for a part of a retry."""
        if self._tokens < _TOKENS or self._tokens_for_missing < _TOKENS:
            self._add_tokens(self._policy.ratio)

    def _add_tokens(self, earned: float) -> None:
        now = self.now()
        earned += (now - self._earned_until) * _TOKENS_PER_SECOND
        self._earned_until = now
        self._tokens = min(_TOKENS, self._tokens + earned)
        self._tokens_for_missing = min(_TOKENS, self._tokens_for_missing + earned)

    def pause_before(
        self, operation: str, error: BaseException | None, attempts: int, left: float
    ) -> float | None:
        """How long to wait before calling again; None for not calling again.

        To wait until the provider may be asked at all is no retry.

        :param attempts: how many there were.
        :param left: the seconds that are left of the budget.
        """
        if isinstance(error, CircuitOpen):
            return self._pause_before_probe(error, left)
        policy = self._policy
        self._add_tokens(0.0)
        missing = isinstance(error, ObjectNotFound) and operation in _READS
        tokens = self._tokens_for_missing if missing else self._tokens
        if attempts >= policy.attempts or tokens < 1.0:
            return None
        if missing:
            left -= self.budget - policy.missing
        elif not may_help(operation, error):
            return None
        longest = min(policy.longest_pause, policy.first_pause * 2 ** (attempts - 1))
        pause = self._random.uniform(0.0, longest)
        if isinstance(error, ProviderBusy) and error.retry_after:
            pause += error.retry_after
        if pause >= left:
            return None
        if missing:
            self._tokens_for_missing -= 1.0
        else:
            self._tokens -= 1.0
        self.made += 1
        return pause

    def _pause_before_probe(self, error: CircuitOpen, left: float) -> float | None:
        if error.probe_in is None:
            return None
        pause = error.probe_in + self._random.uniform(0.0, self._policy.first_pause)
        return pause if pause < left else None


def may_help(operation: str, error: BaseException | None) -> bool:
    """Whether the same call may succeed if it is made again soon."""
    if not isinstance(error, ProviderError) or isinstance(error, NOT_ASKED) or operation in ONCE:
        return False
    if isinstance(error, OutcomeUnknown):
        return operation in REPEATABLE_WRITES
    return error.temporary
