"""Many operations, then the index is lost: everything visible is the same again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from random import Random

from raic.shares.orphans import find_orphans
from raic.values import (
    Garbage,
    LeaseSecrets,
    TestWriteVectors,
)
from tests.shares.rebuild_world import RebuildTestCase, Visible
from tests.shares.slot_machine_world import DELETE, ENABLER, put

SEEDS = range(int(os.environ.get("RAIC_REBUILD_SEEDS", "4")))


class ScenarioTests(RebuildTestCase):
    """Many operations, then the index is lost: everything visible is the same again."""

    def test_nothing_visible_changes(self) -> None:
        for seed in SEEDS:
            self.setUp()
            self.play(Random(seed), 150)
            places = [bytes([number]) * 16 for number in range(8)]
            before = {place: self.visible(place) for place in places}
            report = self.rebuild()
            self.assertEqual(report.problems, ())
            self.assert_same(before)
            self.successResultOf(find_orphans(self.remote, self.index, self.clock))
            self.collect_everything()
            self.assert_same(before)
            self.play(Random(seed + 1000), 30)
            before = {place: self.visible(place) for place in places}
            self.rebuild()
            self.assert_same(before)
            self.assert_only_what_is_needed(places)

    def assert_same(self, before: Mapping[bytes, Visible]) -> None:
        for place, visible in before.items():
            now = self.visible(place)
            self.assertEqual(now.shares, visible.shares)
            self.assertEqual(now.slot, visible.slot)
            if now.shares or now.slot:
                self.assertTrue(now.renewable)
            self.assertTrue(now.renewable <= visible.renewable)

    def assert_only_what_is_needed(self, places: list[bytes]) -> None:
        """Two searches and two days later, every object is referred to."""
        for _ in range(2):
            self.successResultOf(find_orphans(self.remote, self.index, self.clock))
            self.collect_everything()
        needed: set[str] = set()
        for place in places:
            needed |= {
                share.key for share in self.successResultOf(self.index.get_bucket(place)).values()
            }
            slot = self.successResultOf(self.index.get_slot(place))
            needed |= slot.keys() if slot is not None else set()
        self.assertEqual(set(self.objects()), needed)
        self.assertEqual(self.successResultOf(self.index.get_totals()).garbage, 0)

    def play(self, random: Random, steps: int) -> None:
        for _ in range(steps):
            place = bytes([random.randrange(8)]) * 16
            shnum = random.randrange(3)
            choice = random.choice(
                ["upload", "abort", "change", "change", "change", "delete", "time"]
            )
            if choice == "time":
                self.clock.advance(random.randrange(200))
                self.collect_some()
            elif choice in ("upload", "abort"):
                self.upload(random, place, shnum, choice == "abort")
            else:
                self.write_slot(random, place, shnum, choice == "delete")

    def collect_some(self) -> None:
        due: tuple[Garbage, ...] = self.successResultOf(
            self.index.next_garbage(int(self.clock.seconds()), 5)
        )
        self.successResultOf(self.remote.delete_objects([one.key for one in due]))
        self.successResultOf(self.index.settle_garbage(due))

    def upload(self, random: Random, place: bytes, shnum: int, abort: bool) -> None:
        data = random.randbytes(random.choice([0, 10, 5000, 1_200_000]))
        if shnum in self.successResultOf(self.index.get_bucket(place)):
            return
        upload = self.start(len(data), shnum, storage_index=place, secrets=any_secrets(random))
        self.successResultOf(upload.write(0, data))
        self.successResultOf(upload.abort() if abort else upload.close())

    def write_slot(self, random: Random, place: bytes, shnum: int, delete: bool) -> None:
        vectors: TestWriteVectors = DELETE
        if not delete:
            offset = random.choice([0, 0, 100, 50_000, 1_500_000])
            length = random.choice([1, 200, 3000, 300_000])
            vectors = put((offset, random.randbytes(length)))
        asked = self.ask(
            {shnum: vectors},
            storage_index=place,
            enabler=ENABLER,
            secrets=any_secrets(random),
        )
        self.assertTrue(self.successResultOf(asked).success)


def any_secrets(random: Random) -> LeaseSecrets:
    """Of one of a few clients."""
    client = bytes([random.randrange(4)])
    return LeaseSecrets(client * 32, client * 32)
