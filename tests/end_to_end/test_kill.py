"""A node that is killed in the middle of a mixed load, again and again."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic

import pytest
from attrs import Factory, define
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.aged import Aged, let_age
from tests.end_to_end.harness import RaicNode, nurl_of
from tests.end_to_end.load import Findings, Ledger, Worker, verify, verify_all
from tests.end_to_end.thin import ThinHTTPClient
from tests.end_to_end.wire import Address

ROUNDS = int(os.environ.get("RAIC_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("RAIC_KILL_SEED", "1"))
WORKERS = 8
LONGEST_LOAD = 1.2
LONGEST_START = 0.6


@define
class Campaign:
    """Rounds of load, death and resurrection."""

    node: RaicNode
    random: Random
    ledgers: list[Ledger] = Factory(lambda: [Ledger() for _ in range(WORKERS)])
    findings: Findings = Factory(Findings)
    restarts: list[float] = Factory(list)

    def connect(self) -> ThinHTTPClient:
        """A client of its own for whoever asks."""
        return ThinHTTPClient(Address.from_nurl(nurl_of(self.node.servers_yaml())))

    def one_round(self) -> None:
        """Load, kill, perhaps kill while starting, start, verify."""
        self._load_and_kill()
        if self.random.random() < 0.25:
            self.node.begin()
            Event().wait(self.random.uniform(0.0, LONGEST_START))
            self.node.kill()
        begun = monotonic()
        self.node.start()
        self.restarts.append(monotonic() - begun)
        with self.connect() as client:
            for ledger in self.ledgers:
                verify(client, ledger, self.random, self.findings)

    def _load_and_kill(self) -> None:
        workers = [Worker(ledger, Random(self.random.random())) for ledger in self.ledgers]
        with ThreadPoolExecutor(WORKERS) as pool, ExitStack() as stack:
            running = [pool.submit(worker.work, self.connect) for worker in workers]
            stack.callback(self.node.kill)
            # The moment of death is the one thing here that is meant to depend on the clock.
            Event().wait(self.random.uniform(0.05, LONGEST_LOAD))
        for each in running:
            each.result()

    def acknowledged(self) -> Counter[str]:
        """How much of each kind of work was acknowledged."""
        return sum((ledger.acknowledged for ledger in self.ledgers), Counter())

    def leased(self) -> set[bytes]:
        """The storage indexes that must have a lease."""
        return {
            *(upload.storage_index for each in self.ledgers for upload in each.uploads),
            *(slot.storage_index for each in self.ledgers for slot in each.slots if slot.shares),
        }

    def figures(self) -> str:
        """For the report."""
        done = self.acknowledged()
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(done.items()))
        return (
            f"\nkill test: {len(self.restarts)} rounds, seed {SEED}\n"
            f"  acknowledged: {done.total()} ({kinds})\n"
            f"  looked at {self.findings.checked} times, {self.findings.doubtful} of them at the"
            f" outcome of a write that was not answered; wrong: {len(self.findings.wrong)}\n"
            f"  restart: median {median(self.restarts):.2f} s, longest {max(self.restarts):.2f} s\n"
        )


def figures(aged: Aged) -> str:
    """For the report."""
    return (
        f"  once the garbage had aged: {aged.collected} objects deleted, {aged.objects} left, of"
        f" which the index does not know {len(aged.unknown)}\n"
    )


@pytest.mark.service
@pytest.mark.slow
class KillTests(SynchronousTestCase):
    """``RAIC_KILL_ROUNDS`` says how many rounds, ``RAIC_KILL_SEED`` which ones."""

    @pytest.fixture(autouse=True)
    def _with_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.terminal = capsys

    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="raic-kill-")
        self.addCleanup(folder.cleanup)
        self.node = RaicNode(Path(folder.name) / "node")
        self.node.start()
        self.addCleanup(self.node.stop)

    def test_nothing_acknowledged_is_lost_and_nothing_half_is_seen(self) -> None:
        campaign = Campaign(self.node, Random(SEED))
        for _ in range(ROUNDS):
            campaign.one_round()
            self.assertEqual(campaign.findings.wrong, [])
        with campaign.connect() as client:
            for ledger in campaign.ledgers:
                verify_all(client, ledger, campaign.findings)
        self.assertEqual(campaign.findings.wrong, [])
        self.node.kill()
        aged = self._let_age(campaign)
        with self.terminal.disabled():
            sys.stdout.write(campaign.figures() + figures(aged))

    def _let_age(self, campaign: Campaign) -> Aged:
        """No object may be left that the index does not know, and every lease must be there."""
        leased = campaign.leased()
        now = time.time()  # noqa: TID251 - to go on from where the node's own clock was
        aged = self.successResultOf(let_age(self.node.folder, now, leased))
        self.assertEqual(aged.unknown, frozenset())
        self.assertEqual(aged.waiting, ())
        self.assertEqual([each.hex() for each, ends in aged.leases.items() if ends < now], [])
        return aged
