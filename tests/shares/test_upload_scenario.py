"""Many uploads to a provider that fails now and then: what was acknowledged is there, and after
some time nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from raic.backends.faults import FaultPlan, Gate
from raic.backends.faulty import FaultyProvider
from raic.errors import ProviderBusy, ProviderTimedOut, RaicError
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.collector import Collector
from raic.shares.upload import BucketUpload
from raic.values import Garbage
from tests.shares.stores import StoreTestCase

SEEDS = range(int(os.environ.get("RAIC_UPLOAD_SEEDS", "6")))
PLACE = b"p" * 16


@define
class Client:
    """Uploads one share, with retries of what it sent before.

    :ivar sent: up to where it has sent.
    :ivar stored: fires when the share is stored.
    """

    upload: BucketUpload
    data: bytes
    sent: int = 0
    stored: Deferred[None] | None = None
    writes: list[Deferred[None]] = field(factory=list)

    def go_on(self, random: Random) -> None:
        if self.stored is not None:
            return
        if self.sent == len(self.data):
            self.stored = self.upload.close()
            return
        begin = max(0, self.sent - random.choice([0, 0, 0, 1000]))
        end = min(len(self.data), self.sent + random.choice([1, 1000, 70_000, 400_000]))
        self.writes.append(self.upload.write(begin, self.data[begin:end]))
        self.sent = end


class UploadScenarioTests(StoreTestCase):
    def soon(self, function: Callable[[], None]) -> None:
        """Pass on what was written, at once."""
        function()

    def test_what_was_acknowledged_is_there_and_nothing_else(self) -> None:
        for seed in SEEDS:
            self.setUp()
            self.play(Random(seed), seed)

    def play(self, random: Random, seed: int) -> None:
        plan = FaultPlan(seed)
        provider = FaultyProvider(self.memory, plan)
        self.buckets = self.buckets_over(provider, self.soon)
        collector = Collector(provider, self.index, self.pins, self.clock)
        gates = self.spoil(plan, random)
        clients = [self.client(random, shnum) for shnum in range(40)]
        for _ in range(600):
            client = random.choice(clients)
            if random.random() < 0.01:
                client.upload.abort()
            client.go_on(random)
            self.let_time_pass(random)
            if random.random() < 0.02:
                self.clock.advance(5)
                collector.collect_once().addErrback(lambda failure: failure.trap(RaicError))
        self.clock.advance(0)
        for gate in gates:
            gate.release()
        plan.heal()
        for client in clients:
            if client.stored is None:
                client.upload.abort()
        self.assert_settled(clients)
        self.assert_clean_after(collector)

    def let_time_pass(self, random: Random) -> None:
        """Between two calls of clients."""

    def spoil(self, plan: FaultPlan, random: Random) -> list[Gate]:
        gates = []
        for operation in ("put_object", "finish"):
            gates.append(plan.land_later(operation, random.randrange(1, 5), 2))
            gates.append(plan.hang(operation, random.randrange(1, 5), 2))
            plan.lose_answer(operation, random.randrange(1, 5), 2)
            plan.sometimes(operation, 0.2, ProviderTimedOut)
        gates.append(plan.hang("write", random.randrange(1, 20), 3))
        plan.sometimes("write", 0.02, ProviderBusy)
        plan.sometimes("delete_objects", 0.3, ProviderBusy)
        return gates

    def client(self, random: Random, shnum: int) -> Client:
        size = random.choice([0, 10, 20_000, 1_500_000])
        upload = self.start(size, shnum, storage_index=PLACE)
        return Client(upload, random.randbytes(size))

    def assert_settled(self, clients: list[Client]) -> None:
        """Everyone was told the truth."""
        stored = 0
        for shnum, client in enumerate(clients):
            for write in client.writes:
                write.addErrback(lambda failure: failure.trap(RaicError))
                self.successResultOf(write)
            wanted = None
            if client.stored is not None and not isinstance(client.stored.result, Failure):
                wanted = client.data
                stored += 1
            elif client.stored is not None:
                self.failureResultOf(client.stored, RaicError)
            self.assertEqual(self.held(shnum, PLACE), wanted)
            self.assertEqual(client.upload.is_complete(), wanted is not None)
        self.assertGreater(stored, 3)
        self.assertEqual(len(self.ended), len(clients))
        self.assertEqual(self.budget.taken, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assert_clean_after(self, collector: Collector) -> None:
        for _ in range(3):
            self.clock.advance(REQUEST_SECONDS)
            self.successResultOf(collector.collect_once())
        bucket = self.successResultOf(self.index.get_bucket(PLACE))
        self.assertEqual(set(self.objects()), {share.key for share in bucket.values()})
        left: tuple[Garbage, ...] = self.successResultOf(self.index.next_garbage(2**40, 1000))
        self.assertEqual(left, ())
        self.assertEqual(self.successResultOf(self.index.get_totals()).intents, 0)


class DeferredScenarioTests(UploadScenarioTests):
    """The same, when what was written is passed on a little later."""

    def soon(self, function: Callable[[], None]) -> None:
        self.clock.callLater(0, function)

    def let_time_pass(self, random: Random) -> None:
        if random.random() < 0.3:
            self.clock.advance(0)
