"""Taking shares down."""

from __future__ import annotations

from twisted.internet.defer import fail

from raic.errors import NoSuchShare, OutcomeUnknown, ProviderBusy, VersionConflict
from raic.shares.ages import GARBAGE_SECONDS, REQUEST_SECONDS
from raic.shares.collector import Collector
from raic.shares.expunging import ATTEMPTS, Expunger, find_expunged
from raic.shares.keys import EXPUNGED, ExpungedKey, parse_expunged_key
from raic.values import Expunged
from tests.contracts.index_values import txn
from tests.shares.rebuild_world import RebuildTestCase
from tests.shares.slot_machine_world import MIB, noise, put
from tests.shares.stores import INDEX_A, INDEX_B, NOW


class ExpungingTests(RebuildTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.expunger = Expunger(self.remote, self.index, self.clock)

    def fill(self) -> None:
        self.store(b"a share")
        self.store(b"another", 3)
        self.store(b"elsewhere", 7, INDEX_B)
        self.change(s0=put((0, noise(2 * MIB))))
        self.change(s0=put((0, b"another version")))

    def expunge(self) -> Expunged:
        return self.successResultOf(self.expunger.expunge(INDEX_A, "complaint 7"))

    def tombstones(self) -> list[str]:
        return list(self.objects(EXPUNGED))

    def collect(self) -> None:
        collector = Collector(self.memory, self.index, self.pins, self.clock)
        self.assertEqual(self.successResultOf(collector.collect_once()) > 0, True)

    def test_all_shares_are_gone_at_once_and_it_is_recorded(self) -> None:
        self.fill()
        note = self.expunge()
        self.assertEqual((note.shares, note.slots, note.reason), (2, 1, "complaint 7"))
        self.assertEqual(self.visible(), self.visible(b"\x7f" * 16))
        self.assertEqual(self.successResultOf(self.index.get_expunged(5)), (note,))
        self.assertEqual(self.held(7, INDEX_B), b"elsewhere")

    def test_a_rebuild_brings_nothing_of_it_back(self) -> None:
        self.fill()
        nothing = self.visible(b"\x7f" * 16)
        elsewhere = self.visible(INDEX_B)
        self.expunge()
        report = self.rebuild()
        self.assertEqual(self.visible(), nothing)
        self.assertEqual(self.visible(INDEX_B), elsewhere)
        self.assertEqual((report.shares, report.slots, report.problem_count), (1, 0, 0))
        self.assertEqual(report.left_over, 4)

    def test_the_tombstone_goes_last(self) -> None:
        self.fill()
        self.expunge()
        self.clock.advance(GARBAGE_SECONDS)
        self.collect()
        self.assertEqual(len(self.tombstones()), 1)
        self.assertEqual(len(self.objects()), 2)
        self.collect()
        self.assertEqual(self.tombstones(), [])

    def test_what_is_stored_again_afterwards_comes_back_at_a_rebuild(self) -> None:
        self.fill()
        self.expunge()
        self.store(b"a share again")
        self.rebuild()
        self.assertEqual(self.held(), b"a share again")

    def test_nothing_cannot_be_expunged(self) -> None:
        self.failureResultOf(self.expunger.expunge(INDEX_A, ""), NoSuchShare)
        self.assertEqual(self.objects(), {})

    def test_an_update_meanwhile_is_expunged_too(self) -> None:
        self.fill()
        real = self.index.expunge

        def meanwhile(*arguments: object) -> object:
            self.patch(self.index, "expunge", real)
            self.change(s0=put((0, b"meanwhile")))
            return real(*arguments)  # type: ignore[arg-type]  # they are those of the method

        self.patch(self.index, "expunge", meanwhile)
        self.expunge()
        self.assertEqual(self.visible(), self.visible(b"\x7f" * 16))
        self.assertEqual(len(self.tombstones()), 2)
        self.collect()
        self.assertEqual(len(self.tombstones()), 1)

    def test_it_gives_up_when_there_are_updates_all_the_time(self) -> None:
        self.fill()
        real = self.index.expunge
        calls: list[object] = []

        def meanwhile(*arguments: object) -> object:
            self.change(s0=put((0, noise(9 + len(calls)))))
            calls.append(arguments)
            return real(*arguments)  # type: ignore[arg-type]  # they are those of the method

        self.patch(self.index, "expunge", meanwhile)
        self.failureResultOf(self.expunger.expunge(INDEX_A, ""), VersionConflict)
        self.assertEqual(len(calls), ATTEMPTS)

    def test_a_cloud_that_fails_changes_nothing(self) -> None:
        self.fill()
        before = self.visible()
        for error, due, passes in ((ProviderBusy, 0, 1), (OutcomeUnknown, REQUEST_SECONDS, 2)):
            self.patch(self.remote, "put_object", lambda *_, e=error: _failing(e))
            self.failureResultOf(self.expunger.expunge(INDEX_A, ""), error)
            found = self.successResultOf(self.index.next_garbage(NOW + 10**6, 10))
            garbage = [one for one in found if one.key.startswith(EXPUNGED)]
            self.assertIn((NOW + due, passes), [(one.not_before, one.passes) for one in garbage])
        self.assertEqual(self.visible(), before)

    def test_what_cannot_be_read_is_told_at_a_rebuild(self) -> None:
        contents = [b"RAICexp1", b"RAICexp2\xa0", b"RAICexp1\xa0", b"RAICexp1\x01"]
        for number, content in enumerate(contents):
            key = ExpungedKey(INDEX_A, txn(number), len(content))
            self.assertEqual(parse_expunged_key(str(key)), key)
            self.successResultOf(self.memory.put_object(str(key), content))
        self.successResultOf(self.memory.put_object("expunged/foreign", b""))
        found = self.successResultOf(find_expunged(self.memory))
        self.assertEqual((found.objects, found.tombstones), (frozenset(), ()))
        self.assertEqual(len(found.problems), 4)
        self.assertEqual(self.rebuild().problem_count, 4)


def _failing(error: type[ProviderBusy | OutcomeUnknown]) -> object:
    return fail(error("attic", "put_object", "told to"))
