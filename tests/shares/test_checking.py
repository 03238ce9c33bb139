"""Reading shares because of what clients say of them."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs

from raic.backends.memory import MemoryProvider
from raic.errors import IndexStopped, ObjectCorrupt, ProviderBusy
from raic.shares.checking import INTERVAL_SECONDS, PIECE_BYTES, RATE, AdvisoryChecker, stored_under
from raic.values import GONE, VERIFIED, Advisory
from tests.shares.rebuild_world import RebuildTestCase
from tests.shares.slot_machine_world import MIB, noise, put
from tests.shares.stores import INDEX_A, NOW


class CheckingTests(RebuildTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.checker = AdvisoryChecker(self.memory, self.index, self.pins, self.clock)
        self.addCleanup(self.checker.stop)

    def advise(self, shnum: int = 0, kind: str = "immutable") -> None:
        advisory = Advisory(kind, INDEX_A, shnum, "bad hash", NOW)
        self.assertTrue(self.successResultOf(self.index.advise(advisory)))

    def verdicts(self) -> list[str]:
        found = self.successResultOf(self.index.get_advisories(10))
        return [one.verdict for one in found]

    def check(self, seconds: float = 100) -> None:
        checking = self.checker.check_next()
        self.clock.pump([0.5] * int(seconds * 2))
        self.assertTrue(self.successResultOf(checking))

    def key(self, prefix: str) -> str:
        return next(iter(self.objects(prefix)))

    def test_a_share_that_is_right_is_verified(self) -> None:
        self.store(noise(9 * MIB))
        self.advise()
        self.check()
        (found,) = self.successResultOf(self.index.get_advisories(1))
        self.assertEqual(found.verdict, VERIFIED)
        self.assertGreater(found.checked or 0, NOW)

    def test_it_reads_no_faster_than_it_may(self) -> None:
        self.store(noise(2 * PIECE_BYTES))
        self.advise()
        checking = self.checker.check_next()
        self.clock.advance(PIECE_BYTES / RATE)
        self.assertNoResult(checking)
        self.clock.pump([PIECE_BYTES / RATE] * 2)
        self.successResultOf(checking)

    def test_a_share_that_is_damaged_is_told_with_its_object(self) -> None:
        self.store(b"a share")
        key = self.key("shares/")
        for provider_says, part in (
            (lambda *_: fail(ObjectCorrupt("attic", "stream", "block 7 is altered")), "block 7"),
            (lambda *_: succeed(3), "it ends after 3 of"),
        ):
            self.advise()
            self.patch(self.memory, "stream_object", provider_says)
            with capturedLogs() as events:
                self.check()
            self.assertEqual(len(events), 1)
            self.assertIn(part, self.verdicts()[0])
            self.assertIn(key, self.verdicts()[0])

    def test_more_is_looked_at_where_there_is_more_than_a_read_needs(self) -> None:
        self.store(noise(2 * PIECE_BYTES))
        key, asked = self.key("shares/"), []

        def inspect(object_key: str) -> Deferred[tuple[str, ...]]:
            asked.append(object_key)
            return succeed(("ovh has altered fragment 1",) if len(asked) == 1 else ())

        self.checker = AdvisoryChecker(self.memory, self.index, self.pins, self.clock, inspect)
        for verdict in ("being repaired: ovh has altered fragment 1", VERIFIED):
            self.advise()
            self.check()
            self.assertIn(verdict, self.verdicts()[0])
        self.assertEqual(asked, [key, key])

    def test_an_object_that_is_missing_is_told(self) -> None:
        self.store(b"a share")
        self.successResultOf(self.memory.delete_objects([self.key("shares/")]))
        self.advise()
        self.check()
        self.assertIn("it is not there", self.verdicts()[0])

    def test_all_objects_of_a_slot_are_read(self) -> None:
        self.change(s0=put((0, noise(2 * MIB))), s1=put((0, b"small")))
        stored = self.successResultOf(stored_under(self.index, INDEX_A))
        self.assertEqual(
            {number: len(each) for number, each in stored.mutable.items()}, {0: 3, 1: 2}
        )
        self.successResultOf(self.memory.delete_objects([self.key("chunks/")]))
        for number in (0, 1, 2):
            self.advise(number, "mutable")
            self.check()
        gone, small, large = self.verdicts()
        self.assertEqual({gone, GONE, VERIFIED} & {small, large}, {VERIFIED})
        self.assertEqual(gone, GONE)

    def test_what_was_replaced_meanwhile_is_looked_at_anew(self) -> None:
        self.change(s0=put((0, b"one")))
        self.advise(0, "mutable")
        real = self.memory.stream_object

        def replaced(*_: object) -> Deferred[int]:
            self.patch(self.memory, "stream_object", real)
            self.change(s0=put((0, b"two")))
            return succeed(0)

        self.patch(self.memory, "stream_object", replaced)
        self.check()
        self.assertEqual(self.verdicts(), [VERIFIED])

    def test_its_objects_are_not_deleted_meanwhile(self) -> None:
        self.store(b"a share")
        self.advise()
        checking = self.checker.check_next()
        self.assertTrue(self.pins.is_pinned(self.key("shares/")))
        self.clock.pump([0.5] * 4)
        self.successResultOf(checking)
        self.assertFalse(self.pins.is_pinned(self.key("shares/")))

    def test_advisories_are_looked_into_in_the_background(self) -> None:
        self.checker.start()
        self.store(b"a share")
        self.advise()
        self.advise(1)
        self.clock.pump([INTERVAL_SECONDS, 1, 1])
        self.assertEqual(self.verdicts(), [GONE, VERIFIED])
        self.advise(2)
        self.clock.pump([INTERVAL_SECONDS])
        self.assertEqual(self.verdicts()[0], GONE)

    def test_a_cloud_that_is_away_is_asked_again_later(self) -> None:
        self.store(b"a share")
        self.advise()
        away = ProviderBusy("attic", "stream_object", "away")
        self.patch(self.memory, "stream_object", lambda *_: fail(away))
        self.checker.start()
        self.clock.advance(INTERVAL_SECONDS)
        self.assertEqual(self.verdicts(), [""])
        self.patch(
            self.memory, "stream_object", lambda *a: MemoryProvider.stream_object(self.memory, *a)
        )
        self.clock.pump([INTERVAL_SECONDS, 1])
        self.assertEqual(self.verdicts(), [VERIFIED])

    def test_stopping_ends_a_check_and_leaves_the_advisory(self) -> None:
        self.store(noise(2 * PIECE_BYTES))
        self.advise()
        self.checker.start()
        self.clock.advance(INTERVAL_SECONDS)
        self.successResultOf(self.checker.stop())
        self.assertEqual(self.verdicts(), [""])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.pins.is_pinned(self.key("shares/")))

    def test_it_ends_with_the_index(self) -> None:
        self.patch(self.index, "next_advisory", lambda: fail(IndexStopped("closed")))
        self.checker.start()
        self.clock.advance(INTERVAL_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])
