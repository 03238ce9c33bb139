"""Finding objects that no one refers to."""

from __future__ import annotations

from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.collector import Collector
from raic.shares.keys import CHUNKS, SHARES, SLOTS, ChunkKey, ShareKey, VersionKey
from raic.shares.listing import folder
from raic.shares.orphans import OrphanReport, find_orphans
from raic.values import Garbage, Version
from tests.shares.slot_machine_world import DELETE, MIB, noise, put
from tests.shares.stores import INDEX_A, INDEX_B, NOW
from tests.shares.upload_world import BothTestCase

TXN = "a" * 25 + "e"


def version_key(epoch: int, counter: int, storage_index: bytes = INDEX_A) -> str:
    return str(VersionKey(storage_index, Version(epoch, counter), TXN, 1))


class OrphanTests(BothTestCase):
    def find(self) -> OrphanReport:
        return self.successResultOf(find_orphans(self.remote, self.index, self.clock))

    def leave(self, *keys: str) -> None:
        for key in keys:
            self.successResultOf(self.remote.put_object(key, b"x"))

    def garbage(self) -> set[Garbage]:
        found = self.successResultOf(self.index.next_garbage(2**40, 10_000))
        return set(found)

    def test_what_is_known_stays(self) -> None:
        self.store(b"share")
        self.change(s0=put((0, b"small")))
        self.change(s0=put((0, noise(2 * MIB))))
        self.start(100, 5)
        before = self.garbage()
        report = self.find()
        self.assertEqual(report, OrphanReport(listed=len(self.objects())))
        self.assertEqual(self.garbage(), before)

    def test_what_is_being_written_stays(self) -> None:
        key = str(ShareKey(INDEX_A, 0, TXN, 1, 1))
        self.successResultOf(self.index.reserve([key]))
        self.leave(key)
        self.assertEqual(self.find(), OrphanReport(listed=1))

    def test_what_nobody_knows_goes_after_a_day(self) -> None:
        self.store(b"share")
        known = set(self.objects())
        orphans = {
            str(ShareKey(INDEX_A, 0, TXN, 1, 1)),
            str(ChunkKey(INDEX_A, Version(1, 1), TXN, 1)),
            version_key(1, 1),
        }
        self.leave(*orphans)
        self.assertEqual(self.find(), OrphanReport(listed=4, orphans=3))
        self.assertEqual(self.garbage(), {Garbage(key, NOW + UNKNOWN_SECONDS) for key in orphans})
        self.clock.advance(10)
        self.assertEqual(self.find(), OrphanReport(listed=4))
        self.collect_everything()
        self.assertEqual(set(self.objects()), known)

    def test_foreign_names_are_left_alone(self) -> None:
        self.leave("shares/readme", "elsewhere/thing", version_key(1, 1) + "0")
        report = self.find()
        self.assertEqual((report.listed, report.foreign), (2, 1))
        self.assertEqual(len(self.garbage()), 1)

    def test_every_page_is_looked_at(self) -> None:
        keys = {str(ShareKey(INDEX_A, 0, TXN, length, length)) for length in range(2500)}
        self.leave(*keys)
        self.assertEqual(self.find(), OrphanReport(listed=2500, orphans=2500))

    def test_the_newest_version_of_a_slot_that_is_gone_goes_last(self) -> None:
        older, newest = [version_key(1, 9), version_key(1, 10)], version_key(2, 1)
        other = version_key(1, 5, INDEX_B)
        self.leave(*older, newest, other)
        self.assertEqual(self.find(), OrphanReport(listed=4, orphans=3, kept=1))
        self.assertEqual(self.find(), OrphanReport(listed=4, orphans=0, kept=1))
        self.collect_everything()
        self.assertEqual(list(self.objects()), [newest])
        self.assertEqual(self.find(), OrphanReport(listed=1, orphans=1))
        self.collect_everything()
        self.assertEqual(self.objects(), {})

    def test_all_unknown_versions_of_a_slot_that_is_there_go(self) -> None:
        self.change(s0=put((0, b"current")))
        self.leave(version_key(0, 1), version_key(7, 1))
        self.assertEqual(self.find(), OrphanReport(listed=3, orphans=2))
        self.collect_everything()
        self.assertEqual(list(self.objects()), [self.version().key])

    def test_a_tombstone_that_the_index_knows_waits_for_what_it_does_not(self) -> None:
        self.leave(version_key(0, 1))
        self.change(s0=put((0, b"x")))
        self.change(s0=DELETE)
        self.find()
        collector = Collector(self.remote, self.index, self.pins, self.clock)
        self.clock.advance(3600)
        self.successResultOf(collector.collect_once())
        self.assertEqual(len(self.objects(SLOTS)), 2)
        self.collect_everything()
        self.assertEqual(self.objects(SLOTS), {})


class FolderTests(BothTestCase):
    def test_a_folder_holds_all_of_a_storage_index(self) -> None:
        self.store(b"share")
        self.change(s0=put((0, noise(2 * MIB))))
        for prefix, count in ((SHARES, 1), (SLOTS, 1), (CHUNKS, 2)):
            self.assertEqual(len(self.objects(folder(prefix, INDEX_A))), count)
            self.assertEqual(len(self.objects(folder(prefix, INDEX_B))), 0)
