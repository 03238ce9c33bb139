"""What a node says of its space, compared with what lies in its folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.folderlock import LOCK_NAME
from raic.assembly.stack import ProviderStack, make_stack, room_within
from raic.assembly.upkeep import ArrayUpkeep
from raic.backends.tags import stored_size
from raic.budget import MemoryBudget
from raic.config.loading import parse_config
from raic.config.model import ArraySettings
from raic.fragmentkeys import FragmentKey, fragment_size
from raic.interfaces import IIndex
from raic.server.service import StorageService
from raic.server.space import REFRESH_SECONDS, SpaceGauge
from raic.shares.buckets import Buckets
from raic.shares.collector import Collector
from raic.shares.expirer import Expirer
from raic.shares.index import create_index, open_index
from raic.shares.pins import Pins
from raic.shares.sealing import Sealer
from raic.shares.slots import Slots
from raic.values import LEASE_SECONDS, LeaseSecrets, NodeSpace, TestWriteVectors, WriteVector
from raic.workers import InlineWorkers
from tests.config.nodes import node_directory

T = TypeVar("T")

NOW = 1_700_000_000
DAY = 24 * 60 * 60
SECRETS = LeaseSecrets(b"r" * 32, b"c" * 32)
ENABLER = b"e" * 32
BIG = 700_000
NODE = "[node]\ntub.port = tcp:1\ntub.location = tcp:127.0.0.1:1\n"
SINGLE = "[storage]\nbackend = provider:one\n"
ARRAY = """[storage]
backend = array:all
[array:all]
providers = one, two, three
needed = 2
happy = 2
allow_bare_ack = true
"""
FOLDERS = ("one", "two", "three", "four")


def index_of(number: int) -> bytes:
    return bytes([number]) * 16


class SpaceCase(SynchronousTestCase):
    """A node's parts on a clock, with folders that are looked into."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.path = Path(self.mktemp()).absolute()
        _, self.identity = node_directory(self.path)

    def begin(self, text: str, **quotas: int) -> None:
        for name in FOLDERS:
            quota = f"quota = {quotas[name]}\n" if name in quotas else ""
            text += f"[provider:{name}]\ntype = filesystem\npath = {name}\nfsync = false\n{quota}"
        self.config = parse_config(self.path, NODE + text)
        (self.path / "raic.cfg").write_text(NODE + text)
        self.stack = self.made()
        self.wait(self.stack.provider.start())
        create_index(self.config.index_path, 1)
        self.open()

    def made(self) -> ProviderStack:
        stack = make_stack(self.config, self.identity, InlineWorkers(), self.clock)
        self.addCleanup(stack.provider.stop)
        return stack

    def open(self) -> None:
        stack = self.stack
        index = open_index(
            self.config.index_path,
            self.clock,
            None,
            local_listing=True,
            on_fatal=self.fail,
            measure=stack.measure,
        )
        self.addCleanup(index.close)
        self.index: IIndex = index
        if stack.array is not None:
            self.wait(stack.array.ledger.attach(index.ledger))
        stack.book.attach(index, index.ledger)
        pins = Pins()
        self.gauge = SpaceGauge(stack.provider, self.clock, room_within(self.config, index))
        self.addCleanup(self.gauge.stop)
        self.wait(self.gauge.start())
        shared = (stack.provider, index, Sealer(self.identity.seal_key), pins, self.clock)
        self.service = StorageService(
            index,
            Buckets(*shared, MemoryBudget(2**26)),
            Slots(
                *shared,
                nodeid=b"n" * 20,
                max_share_size=2**24,
                max_read=2**24,
                budget=MemoryBudget(2**30),
            ),
            self.gauge,
            self.clock,
            maximum_mutable=2**24,
        )
        self.collector = Collector(stack.provider, index, pins, self.clock)

    def wait(self, deferred: Deferred[T]) -> T:
        """The result, however long that takes on the clock."""
        results: list[T] = []
        deferred.addCallback(results.append)
        for _ in range(3000):
            if results or deferred.called:
                break
            self.clock.advance(0.5)
        self.successResultOf(deferred)
        return results[0]

    def store(self, number: int, size: int, shnum: int = 0) -> None:
        allocation = self.wait(
            self.service.allocate_buckets(index_of(number), {shnum}, size, SECRETS, b"u" * 32)
        )
        upload = allocation.allocated[shnum]
        self.wait(upload.write(0, bytes(size)))
        self.wait(upload.close())

    def write_slot(self, number: int, data: bytes, offset: int = 0) -> None:
        vectors = {0: TestWriteVectors((), (WriteVector(offset, data),))}
        writing = self.service.read_test_write(index_of(number), ENABLER, SECRETS, vectors, [])
        self.assertTrue(self.wait(writing).success)

    def delete_slot(self, number: int) -> None:
        vectors = {0: TestWriteVectors((), (), 0)}
        self.wait(self.service.read_test_write(index_of(number), ENABLER, SECRETS, vectors, []))

    def collect(self, seconds: float = 3600) -> None:
        for _ in range(3):
            self.clock.advance(seconds)
            while self.wait(self.collector.collect_once()):
                pass

    def expire(self) -> None:
        expirer = Expirer(self.index, self.config.storage.expiry, self.clock)
        self.wait(expirer.expire())

    def space(self) -> NodeSpace:
        return self.wait(self.stack.book.get())

    def held(self, name: str) -> int:
        """Counted anew: the bytes of all files in a folder."""
        files = (self.path / name).rglob("*")
        return sum(
            each.stat().st_size for each in files if each.is_file() and each.name != LOCK_NAME
        )

    def assert_counted(self, *more: str) -> NodeSpace:
        """What is said to be used is what lies in the folders."""
        space = self.space()
        used = {each.name: each.used for each in space.providers}
        self.assertEqual(used, {name: self.held(name) for name in used}, more)
        return space

    def fill(self) -> None:
        for number, size in enumerate((1, 1000, 65_536, 200_001, BIG)):
            self.store(number, size)
        self.write_slot(10, b"x" * 3000)
        self.write_slot(11, b"x" * (2**20 + 5))


class TestSingle(SpaceCase):
    def test_all_that_happens_is_counted(self) -> None:
        self.begin(SINGLE)
        self.assert_counted("at first")
        self.fill()
        space = self.assert_counted("stored")
        self.assertEqual(space.share_bytes, 1 + 1000 + 65_536 + 200_001 + BIG + 3000 + 2**20 + 5)
        (one,) = space.providers
        self.assertEqual((one.leased, one.garbage), (one.used, 0))
        self.assertEqual(one.overhead, one.used - space.share_bytes)
        self.write_slot(11, b"y" * 10, 2**20)
        self.write_slot(10, b"y" * 10)
        (one,) = self.assert_counted("changed").providers
        self.assertGreater(one.garbage, 3000)
        self.delete_slot(11)
        self.assert_counted("deleted")
        self.collect()
        (one,) = self.assert_counted("collected").providers
        self.assertEqual(one.garbage, 0)
        self.assertEqual(one.leased, one.used)

    def test_what_nobody_leases_is_told_before_it_goes(self) -> None:
        self.begin(SINGLE)
        self.fill()
        self.clock.advance(LEASE_SECONDS + DAY)
        self.store(20, 500)
        (one,) = self.assert_counted("over").providers
        self.assertLess(one.leased, 1000)
        self.wait(self.service.add_lease(index_of(4), SECRETS))
        (one,) = self.assert_counted("renewed").providers
        self.assertGreater(one.leased, BIG)
        self.expire()
        (one,) = self.assert_counted("expired").providers
        self.assertEqual(one.used, one.leased + one.garbage)
        self.collect()
        (one,) = self.assert_counted("collected").providers
        self.assertEqual(one.used, one.leased)

    def test_a_quota_leaves_what_is_not_used_garbage_included(self) -> None:
        self.begin(SINGLE, one=1_000_000)
        self.store(1, 300_000)
        self.clock.advance(REFRESH_SECONDS)
        room = 1_000_000 - self.held("one")
        self.assertEqual(self.available(), room - (stored_size(room) - room))
        self.write_slot(2, b"x" * 100_000)
        self.delete_slot(2)
        self.clock.advance(REFRESH_SECONDS)
        self.assertLess(self.available(), 600_000)
        self.collect()
        self.assertGreater(self.available(), 699_000)

    def test_the_node_has_a_quota_of_its_own_in_bytes_of_shares(self) -> None:
        self.begin(SINGLE + "quota = 10000\n")
        self.store(1, 4000)
        self.clock.advance(REFRESH_SECONDS)
        self.assertEqual(self.available(), 6000)
        allocation = self.service.allocate_buckets(index_of(2), {0, 1}, 4000, SECRETS, b"u" * 32)
        self.assertEqual(set(self.wait(allocation).allocated), {0})
        self.assertEqual(self.available(), 2000)

    def available(self) -> int:
        return self.service.get_sizes().available_space


class TestArray(SpaceCase):
    def upkeep(self) -> ArrayUpkeep:
        settings, array = self.config.backend, self.stack.array
        assert isinstance(settings, ArraySettings)
        assert array is not None
        upkeep = ArrayUpkeep(
            self.config, settings, array, self.stack.provider, self.index, self.clock
        )
        self.addCleanup(upkeep.stop)
        self.wait(Deferred.fromCoroutine(self.started(upkeep)))
        return upkeep

    async def started(self, upkeep: ArrayUpkeep) -> None:
        await upkeep.maintenance.start()

    def test_every_member_is_counted_by_itself(self) -> None:
        self.begin(ARRAY)
        self.fill()
        space = self.assert_counted("stored")
        one = space.providers[0]
        self.assertEqual(one.used, space.share_bytes // 2 + one.overhead)
        self.assertEqual((one.leased, one.missing, one.moving), (one.used, 0, False))
        self.write_slot(11, b"y" * 10, 2**20)
        self.delete_slot(10)
        self.assert_counted("changed")
        self.clock.advance(LEASE_SECONDS + DAY)
        self.expire()
        self.assert_counted("expired")
        self.collect()
        self.assertEqual([each.used for each in self.assert_counted("gone").providers], [0] * 3)

    def test_what_is_missing_is_not_counted_until_it_is_repaired(self) -> None:
        self.begin(ARRAY)
        self.fill()
        share = self.wait(self.index.get_bucket(index_of(4)))[0]
        size = share.header_length + share.length
        fragment = FragmentKey(share.key, 2, 65_536, size, 1)
        (place,) = (self.path / "two").rglob(f"*{fragment.length}.1.0")
        place.unlink()
        assert self.stack.array is not None
        self.wait(self.stack.array.ledger.note_missing([str(fragment)], "gone"))
        missing = [each.missing for each in self.assert_counted("lost").providers]
        self.assertEqual(missing, [0, fragment.size, 0])
        maintenance: Any = self.upkeep().maintenance
        self.wait(maintenance.repair(lambda _: None))
        self.collect()
        self.assertEqual(self.assert_counted("repaired").providers[1].missing, 0)

    def test_one_that_comes_and_one_that_goes_are_right_in_the_end(self) -> None:
        self.begin(ARRAY)
        maintenance: Any = self.upkeep().maintenance
        self.fill()
        adding = maintenance.add("four", lambda _: None)
        self.clock.advance(0)
        self.assertEqual([each.moving for each in self.space().providers], [False] * 3 + [True])
        self.wait(adding)
        self.assertEqual(len(self.assert_counted("added").providers), 4)
        self.wait(maintenance.drain("one", lambda _: None))
        self.collect()
        space = self.assert_counted("drained")
        self.assertEqual([each.used > 0 for each in space.providers], [False, True, True, True])
        self.wait(maintenance.replace("two", "one", lambda _: None))
        self.collect()
        space = self.assert_counted("replaced")
        self.assertEqual(
            sorted(each.used > 0 for each in space.providers), [False, True, True, True]
        )

    def test_members_of_different_quotas_take_what_happy_of_them_can(self) -> None:
        self.begin(ARRAY, one=10**6, two=2 * 10**6, three=10**5)
        self.assert_fits(10**6)
        self.store(1, 10**6)
        self.assert_fits(10**6 - self.held("one"))

    def assert_fits(self, room: int) -> None:
        """An object of just the announced length fits into that much, and no longer one."""
        self.clock.advance(REFRESH_SECONDS)
        available = self.service.get_sizes().available_space
        self.assertLessEqual(fragment_size(2, 65_536, available), room)
        self.assertGreater(fragment_size(2, 65_536, available + 32), room)

    def test_folders_on_one_disk_share_its_room(self) -> None:
        self.begin(ARRAY)
        alone = self.wait(self.stack.members[0].leaf.get_space()).available
        together = self.wait(self.stack.provider.get_space()).available
        self.assertLess(together, 2 * alone // 3 + 1)
        self.assertGreater(together, alone // 2)
