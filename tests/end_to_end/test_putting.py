"""The process that stores many small shares: it may die at any time, and outlives no node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event

import pytest
from psutil import NoSuchProcess, Process, wait_procs
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import RaicNode, nurl_of
from tests.end_to_end.load import Findings, Ledger, Worker, verify_all
from tests.end_to_end.processes import PAUSE
from tests.end_to_end.thin import ThinHTTPClient
from tests.end_to_end.wire import Address

WORKERS = 8
DEATHS = 3


@pytest.mark.service
class PuttingTests(SynchronousTestCase):
    """Under a mixed load of eight clients."""

    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="raic-putting-")
        self.addCleanup(folder.cleanup)
        self.node = RaicNode(Path(folder.name) / "node")
        self.node.start()
        self.addCleanup(self.node.stop)

    def connect(self) -> ThinHTTPClient:
        return ThinHTTPClient(Address.from_nurl(nurl_of(self.node.servers_yaml())))

    def child(self) -> Process | None:
        """The process, if there is one."""
        for process in Process(self.node.pid()).children():
            try:
                if "raic.backends.putchild" in process.cmdline():
                    return process
            except NoSuchProcess:
                pass
        return None

    def next_child(self) -> Process:
        return self.node.running().wait_for(self.child, "storing in a process", 30.0)

    def test_no_client_notices_its_death_nor_does_it_outlive_the_node(self) -> None:
        ledgers = [Ledger() for _ in range(WORKERS)]
        workers = [Worker(ledger, Random(at)) for at, ledger in enumerate(ledgers)]
        with ThreadPoolExecutor(WORKERS) as pool:
            working = [pool.submit(worker.work, self.connect) for worker in workers]
            try:
                for _ in range(DEATHS):
                    child = self.next_child()
                    Event().wait(10 * PAUSE)  # it comes up, and stores some
                    child.kill()
                    wait_procs([child], 10)
                last = self.next_child()
                Event().wait(10 * PAUSE)
            finally:
                self.node.kill()
            for each in working:
                each.result()
        self.assertEqual(wait_procs([last], 10)[1], [])
        self.node.start()
        findings = Findings()
        with self.connect() as client:
            for ledger in ledgers:
                verify_all(client, ledger, findings)
        self.assertEqual(findings.wrong, [])
        self.assertGreater(findings.checked, 100)
