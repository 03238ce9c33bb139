"""An old client and a new one, on the same files at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.end_to_end import suite
from tests.end_to_end.harness import TahoeClient, foolscap_only

TURNS = 6


@pytest.mark.service
class BothDialectsTests(suite.ClientSuite):
    """The whole suite: one client writes over HTTP, the other reads over Foolscap."""

    @classmethod
    def start_client(cls) -> None:
        cls.client = cls.make_client("new-client")
        old = TahoeClient(cls.folder / "old-client", foolscap_only(cls.node.servers_yaml()))
        cls.reader = cls.started(old)

    def test_each_client_uses_its_own_dialect(self) -> None:
        self.assertEqual(self.client.wait_until_connected(), "connected")
        self.assertIn("Connected to tcp:127.0.0.1", self.reader.wait_until_connected())

    def test_both_write_the_same_mutable_files_in_turn(self) -> None:
        for kind, size in (("sdmf", 3000), ("mdmf", 400_000)):
            cap = suite.put(self.client, suite.content(size), kind)
            for turn in range(TURNS):
                writer, reader = (self.client, self.reader)[:: 1 if turn % 2 else -1]
                suite.overwrite(writer, cap, suite.content(size + turn, seed=turn))
                found = suite.get(reader, cap)
                self.assertTrue(found == suite.content(size + turn, seed=turn), (kind, turn))
            self.assertTrue(suite.check(self.reader, cap)["healthy"])

    def test_a_file_that_the_old_client_stored_is_found_by_the_new_one(self) -> None:
        data = suite.content(2_000_000, seed=5)
        cap = suite.put(self.reader, data)
        self.assertTrue(suite.get(self.client, cap) == data)
        self.assertTrue(suite.check(self.client, cap)["healthy"])

    def test_both_work_at_once(self) -> None:
        def work(name: int, client: TahoeClient, other: TahoeClient) -> None:
            for turn in range(TURNS):
                data = suite.content(300_000, seed=100 * name + turn)
                cap = suite.put(client, data)
                mutable = suite.put(client, data[:2000], "sdmf")
                suite.overwrite(client, mutable, data[:3000])
                self.assertTrue(suite.get(other, cap) == data)
                self.assertTrue(suite.get(other, mutable) == data[:3000])

        pairs = ((self.client, self.reader), (self.reader, self.client))
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(work, at, *pairs[at % 2]) for at in range(4)]
        for each in running:
            each.result()
