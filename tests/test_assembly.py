"""The assembled node, in this process."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import TestCase

from raic.assembly import NodeFacts, RestoredIndex, StorageNode, restore_index
from raic.assembly.stack import make_provider
from raic.backends.filestore import FileStore
from raic.config.identity import Identity
from raic.config.loading import parse_config
from raic.config.model import Config
from raic.errors import IndexMissing, ProviderError, ProviderUnreachable, StorageUnusable
from raic.shares.keys import ShareKey, new_transaction_id
from raic.shares.recovery import Recovery
from raic.values import LeaseSecrets, ObjectPage
from raic.workers import ThreadWorkers
from tests.config.nodes import node_directory
from tests.contracts.driving import reactor
from tests.end_to_end.processes import free_port

SECRETS = LeaseSecrets(b"r" * 32, b"c" * 32)


class AssemblyCase(TestCase):
    config: Config
    identity: Identity

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        _, self.identity = node_directory(self.path)
        self.port = free_port()
        self.configure()

    def configure(self, storage: str = "", rest: str = "") -> None:
        port = f"tcp:{self.port}:interface=127.0.0.1"
        self.config = parse_config(
            self.path,
            f"[node]\ntub.port = {port}\ntub.location = tcp:127.0.0.1:{self.port}\n"
            f"[storage]\n{storage}{rest}",
        )

    def make_node(self) -> StorageNode:
        node = StorageNode(self.config, self.identity, reactor, self.fail)
        self.addCleanup(node.stop)
        return node

    async def run_once(self) -> NodeFacts:
        node = self.make_node()
        facts = await node.start()
        await node.stop()
        return facts

    async def add_object(self, key: str) -> None:
        workers = ThreadWorkers(reactor, 1, "test")
        provider = make_provider(self.config, self.identity, workers, reactor)
        await provider.start()
        await provider.put_object(key, b"content")
        await provider.stop()
        await workers.stop()


class Starting(AssemblyCase):
    async def test_a_new_node_starts_empty(self) -> None:
        facts = await self.run_once()
        self.assertTrue(facts.clean)
        self.assertEqual((facts.totals.shares, facts.totals.slots), (0, 0))
        assert facts.space is not None
        self.assertGreater(facts.space.available, 0)
        self.assertEqual(facts.hints, (f"tcp:127.0.0.1:{self.port}",))
        self.assertTrue(self.config.index_path.exists())
        written = (self.path / "private" / "storage.furl").read_text()
        self.assertEqual(written, f"{facts.addresses.furl}\n")

    async def test_it_can_be_started_again(self) -> None:
        await self.run_once()
        self.assertTrue((await self.run_once()).clean)

    async def test_it_may_be_stopped_before_it_was_started_and_more_than_once(self) -> None:
        node = self.make_node()
        await node.stop()
        await node.start()
        await node.stop()
        await node.stop()

    async def test_objects_without_an_index_are_not_forgotten(self) -> None:
        await self.add_object("shares/aa/something")
        with self.assertRaisesRegex(IndexMissing, "holds objects") as caught:
            await self.run_once()
        self.assertIn(f"raic restore --local {self.path}", caught.exception.remedy)
        self.assertFalse(self.config.index_path.exists())

    async def test_a_port_that_is_taken_fails_the_start(self) -> None:
        first = self.make_node()
        await first.start()
        self.path = Path(self.mktemp()).absolute()
        node_directory(self.path, 1)
        self.configure()
        with self.assertRaises(CannotListenError):
            await self.run_once()

    async def test_a_provider_that_cannot_be_used_fails_the_start(self) -> None:
        (self.path / "storage").write_text("not a folder")
        with self.assertRaises(ProviderError):
            await self.run_once()

    async def test_foolscap_alone_announces_no_nurl(self) -> None:
        self.configure(storage="force_foolscap = true\n")
        self.assertEqual((await self.run_once()).addresses.nurls, ())

    async def test_an_introducer_that_is_away_holds_nothing_up(self) -> None:
        furl = f"pb://{'a' * 32}@tcp:127.0.0.1:{free_port()}/introducer"
        self.configure(rest=f"[client]\nintroducer.furl = {furl}\n")
        await self.run_once()
        await self.run_once()
        number = (self.path / "private" / "announcement.seqnum").read_text()
        self.assertEqual(number, "2\n")


class Restoring(AssemblyCase):
    def setUp(self) -> None:
        super().setUp()
        (self.path / "storage" / "shares").mkdir(parents=True)

    async def test_a_disk_that_is_not_mounted_is_not_taken_for_an_empty_one(self) -> None:
        (self.path / "storage" / "shares").rmdir()
        with self.assertRaises(StorageUnusable) as caught:
            await restore_index(self.config, self.identity, reactor, lambda _: None)
        self.assertIn("mount the disk", caught.exception.remedy)
        self.assertFalse(self.config.index_path.exists())

    async def test_a_restore_of_nothing_is_an_empty_index(self) -> None:
        restored = await restore_index(self.config, self.identity, reactor, lambda _: None)
        self.assertIsNone(restored.kept)
        self.assertEqual(restored.report.shares, 0)
        self.assertTrue((await self.run_once()).clean)

    async def test_what_cannot_be_used_is_reported_and_left_alone(self) -> None:
        await self.run_once()
        await self.add_object(str(ShareKey(b"i" * 16, 0, new_transaction_id(), 7, 7)))
        restored = await restore_index(self.config, self.identity, reactor, lambda _: None)
        self.assertEqual(restored.report.problem_count, 1)
        assert restored.kept is not None
        self.assertTrue(restored.kept.exists())
        self.assertEqual((await self.run_once()).totals.garbage, 0)

    async def test_leavings_of_a_restore_that_was_cut_short_are_no_obstacle(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            (self.path / f"index.sqlite.restoring{suffix}").write_bytes(b"half")
        await restore_index(self.config, self.identity, reactor, lambda _: None)
        names = [path.name for path in self.path.glob("index.sqlite*")]
        self.assertEqual(names, ["index.sqlite"])


class Damaging(AssemblyCase):
    """An index that is lost or damaged in every way, and a node directory that is made anew."""

    async def run_with(self, data: bytes) -> None:
        node = self.make_node()
        await node.start()
        await self.store_in(node, data)
        await node.stop()

    async def store_in(self, node: StorageNode, data: bytes) -> None:
        service = node._service
        assert service is not None
        index = data.ljust(16, b"-")
        allocation = await service.allocate_buckets(index, {0}, len(data), SECRETS, b"u" * 32)
        await allocation.allocated[0].write(0, data)
        await allocation.allocated[0].close()

    async def restored(self, *, headers_only: bool = False) -> RestoredIndex:
        return await restore_index(
            self.config, self.identity, reactor, lambda _: None, headers_only=headers_only
        )

    async def test_however_the_index_is_damaged_every_share_is_back(self) -> None:
        await self.run_with(b"one")
        await self.run_with(b"two")
        whole = self.config.index_path.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        for damaged in (None, b"", whole[: len(whole) // 2], bytes(flipped), b"x" * 5000):
            self.config.index_path.unlink()
            if damaged is not None:
                self.config.index_path.write_bytes(damaged)
            restored = await self.restored()
            self.assertTrue(restored.checkpoint)
            self.assertEqual((restored.report.shares, restored.report.problem_count), (2, 0))
            self.assertEqual(restored.kept is None, damaged is None)
            self.assertEqual((await self.run_once()).totals.shares, 2)

    async def test_damaged_copies_are_named_and_older_ones_tried(self) -> None:
        for data in (b"one", b"two", b"three"):
            await self.run_with(data)
        copies = sorted((self.path / "storage").rglob("index,*"))
        self.assertEqual(len(copies), 3)
        for number, copy in enumerate(reversed(copies), 1):
            content = bytearray(copy.read_bytes())
            content[-20] ^= 8
            copy.write_bytes(content)
            restored = await self.restored()
            self.assertEqual(len(restored.damaged), number)
            self.assertEqual(bool(restored.checkpoint), number < len(copies))
            self.assertEqual(restored.report.shares, 3)

    async def test_headers_alone_find_the_same(self) -> None:
        await self.run_with(b"one")
        restored = await self.restored(headers_only=True)
        self.assertEqual((restored.checkpoint, restored.report.shares), ("", 1))

    async def test_none_are_made_where_none_are_wanted(self) -> None:
        self.configure(storage="checkpoints_kept = 0\n")
        await self.run_with(b"one")
        self.assertEqual(list((self.path / "storage").rglob("index,*")), [])

    async def test_one_that_was_cut_short_goes_on_where_it_was(self) -> None:
        page = FileStore.list_page

        def of_two(store: FileStore, prefix: str, token: str | None) -> ObjectPage:
            return page(store, prefix, token, 2)

        self.patch(FileStore, "list_page", of_two)
        for number in range(8):
            await self.run_with(b"share %d" % number)
        read: list[str] = []
        limit = 5
        real = Recovery.share

        async def share(recovery: Recovery, named: tuple[ShareKey, int]) -> object:
            if len(read) == limit:
                raise ProviderUnreachable("disk", "get_object", "it is away")
            read.append(str(named[0]))
            return await real(recovery, named)

        self.patch(Recovery, "share", share)
        with self.assertRaises(ProviderUnreachable):
            await self.restored(headers_only=True)
        limit = 100
        restored = await self.restored(headers_only=True)
        self.assertEqual((restored.report.shares, restored.checkpoint), (8, ""))
        self.assertEqual(len(set(read)), 8)
        # Those of a page are committed together.
        self.assertLess(len(read), 8 + 3)
        names = [path.name for path in self.path.glob("index.sqlite*")]
        self.assertEqual(len([name for name in names if ".old-" not in name]), 1)
