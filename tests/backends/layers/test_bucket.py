from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.layers.bucket import TokenBucket
from raic.errors import StorageUnusable

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.floats(0.1, 10)),
        st.tuples(st.just("take now"), st.floats(0.1, 10)),
        st.tuples(st.just("wait"), st.floats(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
    ),
    max_size=40,
)


class Customers:
    """Who takes tokens from one bucket.

    :ivar given_out: when, and how many.
    :ivar order: who got theirs, by number.
    """

    def __init__(self, rate: float) -> None:
        self.clock = Clock()
        self.bucket = TokenBucket(self.clock, rate, 10)
        self.given_out: list[tuple[float, float]] = []
        self.waiting: list[Deferred[None]] = []
        self.order: list[int] = []

    def do(self, step: str, amount: float) -> None:
        if step == "take":
            taking = self.bucket.take(amount)
            taking.addCallbacks(self.got, lambda _: None, (amount, len(self.waiting)))
            self.waiting.append(taking)
        elif step == "take now":
            if self.bucket.take_now(amount):
                assert all(taking.called for taking in self.waiting), "somebody was overtaken"
                self.given_out.append((self.clock.seconds(), amount))
        elif step == "wait":
            self.clock.pump([amount / 7] * 7)
        elif int(amount) < len(self.waiting):
            self.waiting[int(amount)].cancel()

    def got(self, _: None, amount: float, number: int) -> None:
        self.given_out.append((self.clock.seconds(), amount))
        self.order.append(number)


class TokenBucketTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    @given(st.floats(0.5, 20), STEPS)
    def test_no_more_than_the_rate_and_one_burst_is_ever_given_out(
        self, rate: float, steps: list[tuple[str, float]]
    ) -> None:
        customers = Customers(rate)
        for step, amount in steps:
            customers.do(step, amount)
        times = [time for time, _ in customers.given_out]
        for begin in times:
            for end in {time for time in times if time >= begin}:
                in_span = [n for time, n in customers.given_out if begin <= time <= end]
                assert sum(in_span) <= 10 + rate * (end - begin) + 0.001
        assert customers.order == sorted(customers.order), "somebody was overtaken"
        customers.clock.pump([5] * 200)
        assert all(taking.called for taking in customers.waiting), "somebody waits for ever"
        assert customers.clock.getDelayedCalls() == []

    def test_says_how_long_it_takes(self) -> None:
        bucket = TokenBucket(self.clock, 2, 4)
        self.assertEqual(bucket.seconds_until(4), 0)
        self.successResultOf(bucket.take(4))
        self.assertEqual(bucket.seconds_until(1), 0.5)
        taking = bucket.take(4)
        self.assertEqual(bucket.seconds_until(1), 2.5)
        self.clock.advance(2)
        self.successResultOf(taking)
        self.assertEqual(bucket.seconds_until(1), 0.5)

    def test_what_is_given_back_serves_the_next(self) -> None:
        bucket = TokenBucket(self.clock, 1, 4)
        self.successResultOf(bucket.take(4))
        taking = bucket.take(3)
        bucket.give_back(3)
        self.clock.advance(0)
        self.successResultOf(taking)
        bucket.give_back(100)
        self.assertFalse(bucket.take_now(5))

    def test_late_in_the_day_a_wait_still_ends(self) -> None:
        self.clock.advance(2e9)
        bucket = TokenBucket(self.clock, 1e6, 1e5)
        for _ in range(20):
            taking = [bucket.take(1e5) for _ in range(3)]
            self.clock.pump([0.0999, 0.1003, 0.1, 0.1, 0.1])
            for taken in taking:
                self.successResultOf(taken)

    def test_who_waits_can_be_refused(self) -> None:
        bucket = TokenBucket(self.clock, 1, 4)
        self.successResultOf(bucket.take(4))
        taking = [bucket.take(1), bucket.take(1)]
        bucket.refuse(StorageUnusable("cloud", "stop", "stopped"))
        for taken in taking:
            self.failureResultOf(taken, StorageUnusable)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(bucket.seconds_until(1), 1)

    def test_what_can_never_be_had_is_refused(self) -> None:
        self.assertRaises(ValueError, TokenBucket(self.clock, 1, 4).take, 5)
        self.assertRaises(ValueError, TokenBucket, self.clock, 0, 4)
        self.assertRaises(ValueError, TokenBucket, self.clock, 1, 0)
