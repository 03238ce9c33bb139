"""Arrays over services of every kind, under load, with some of these in every kind of trouble.

``RAIC_CAMPAIGN_SECONDS`` has everything happen, in random order, for about so long in all;
``RAIC_CAMPAIGN_SEED`` says to whom and when.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import combinations, cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from typing import Any

import pytest
from attrs import Factory, define, frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.array_load import (
    LEASES,
    READS,
    WRITES,
    Base,
    Tally,
    Worker,
    Written,
    read_on,
    verify,
    write_on,
)
from tests.end_to_end.array_nodes import ArrayNode, five_places, three_places
from tests.end_to_end.troubled import AWAY, FORGETS, FULL, HANGS, KINDS, REFUSES, SLOW
from tests.end_to_end.troubled_node import OWNERSHIP_SECONDS, SPACE_SECONDS
from tests.services.moto import S3Endpoint, moto_process

SECONDS = float(os.environ.get("RAIC_CAMPAIGN_SECONDS", "0"))
SEED = int(os.environ.get("RAIC_CAMPAIGN_SEED", "1"))
READERS = WRITERS = 2
CALM = "calm"

MOST_RSS = 300 * 1024 * 1024
ATTEMPTS = 3
ENOUGH_READS = 500
LONGEST_LOAD = 30.0
RECOVERY_SECONDS = 20.0
REPAIR_SECONDS = 90.0
"""More than the minute for which a fragment that is still on its way is not repaired."""

LONGEST_SECONDS = 50.0
"""A client gives up after 60."""

UNABLE_TO_WRITE = (REFUSES, HANGS, FULL, AWAY)


@frozen
class Scenario:
    """A trouble, and who has it."""

    kind: str
    members: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {' and '.join(self.members)}".strip()


@define
class Row:
    """What is told of a scenario."""

    scenario: Scenario
    tally: Tally
    recovered: float
    census: Mapping[str, Any]
    repaired: float = 0.0

    def __str__(self) -> str:
        tally = self.tally
        failed = {kind: len(said) for kind, said in tally.failed.items()}
        return (
            f"  {str(self.scenario)[:32]:32}"
            f" {tally.operations.get(READS, 0):6} {tally.operations.get(WRITES, 0):6}"
            f" {failed.get(READS, 0) + failed.get(LEASES, 0):6} {failed.get(WRITES, 0):6}"
            f" {tally.early:5} {len(tally.wrong):5}"
            f" {1000 * tally.percentile(0.5):7.1f} {1000 * tally.percentile(0.99):7.1f}"
            f" {self.recovered:5.1f} {self.census['missing']:7} {self.repaired:7.1f}"
        )


HEAD = (
    f"  {'scenario':32} {'reads':>6} {'writes':>6} {'failed':>6} {'failed':>6} {'early':>5}"
    f" {'wrong':>5} {'p50 ms':>7} {'p99 ms':>7} {'s':>5} {'missing':>7} {'whole s':>7}"
)


@define
class Campaign:
    """One array, and what it goes through."""

    node: ArrayNode
    needed: int
    happy: int
    random: Random
    base: Base = Factory(Base)
    rows: list[Row] = Factory(list)
    problems: list[str] = Factory(list)
    begun_with: int = 0
    highest: int = 0

    @property
    def total(self) -> int:
        """How many providers there are."""
        return len(self.node.names)

    def worker(self, *, bare: bool = False) -> Worker:
        """A client."""
        return Worker(self.node.connect, Random(self.random.random()), bare)

    def begin(self) -> None:
        """Write what is read later, and warm up."""
        worker = self.worker()
        for _ in range(5):
            self.base = Base()
            self.base.write(worker)
            if self._is_whole():
                break
        worker.close()
        self.one(Scenario(CALM), 1.0)
        self.begun_with = self.node.resident_bytes()

    def one(self, scenario: Scenario, seconds: float, *, alone: bool = False) -> Row:
        """Load for some time, then have all be well again, and look at everything.

        :param alone: whether there is but one reader, and one writer; the load then goes on until
            there were enough reads to tell what one in a hundred takes.
        """
        readers, writers = (1, 1) if alone else (READERS, WRITERS)
        stop, written = Event(), [Written() for _ in range(writers)]
        bare = len(scenario.members) > self.happy - self.needed
        workers = [self.worker(bare=bare) for _ in range(readers + writers)]
        with ThreadPoolExecutor(len(workers)) as pool, ExitStack() as stack:
            self._trouble(scenario)
            stack.callback(stop.set)
            loads = [pool.submit(read_on, each, self.base, stop) for each in workers[:readers]]
            writing = zip(workers[readers:], written, strict=True)
            loads += [pool.submit(write_on, each, its, stop) for each, its in writing]
            # How much is done in this time is the one thing here that depends on the clock.
            if scenario.kind == AWAY:
                Event().wait(0.6 * seconds)
                self._heal(scenario)
                Event().wait(0.4 * seconds)
            else:
                Event().wait(seconds)
            until = monotonic() + LONGEST_LOAD
            while alone and len(workers[0].tally.seconds) < ENOUGH_READS and monotonic() < until:
                Event().wait(0.1)
            stop.set()
            self._heal(scenario)
            for load in loads:
                load.result()
        tally = Tally()
        for each in workers:
            tally.add(each.tally)
        row = Row(scenario, tally, self._recover(), self.node.census())
        self._verify(scenario, written)
        row.repaired = self._repair(scenario)
        self.highest = max(self.highest, self.node.resident_bytes())
        self.rows.append(row)
        self._judge(row)
        return row

    def _repair(self, scenario: Scenario) -> float:
        """Wait until all fragments are whole again; the seconds that took."""
        begun = monotonic()
        if scenario.kind == FORGETS:
            self.node.scrub()
        while (found := self.node.census())["missing"]:
            if monotonic() - begun > REPAIR_SECONDS:
                self._note(scenario, "not whole afterwards", [str(found)])
                break
            Event().wait(0.2)
        return monotonic() - begun

    def _is_whole(self) -> bool:
        """Whether no fragment is missing, or soon will be no more."""
        for _ in range(20):
            if not self.node.census()["missing"]:
                return True
            Event().wait(0.2)
        return False

    def _trouble(self, scenario: Scenario) -> None:
        for member in scenario.members:
            self.node.set_trouble(member, scenario.kind, True)

    def _heal(self, scenario: Scenario) -> None:
        for member in scenario.members:
            self.node.set_trouble(member, "", False)

    def _recover(self) -> float:
        """Wait until writes are served again; the seconds that took."""
        begun = monotonic()
        worker = self.worker()
        Event().wait(2 * SPACE_SECONDS)  # what was full is full until that was asked again
        while not worker.write_share(10).acknowledged:
            if monotonic() - begun > RECOVERY_SECONDS:
                self.problems.append(f"no writes afterwards: {worker.tally.failures(WRITES)}")
                break
            Event().wait(0.1)
        worker.close()
        return monotonic() - begun

    def _verify(self, scenario: Scenario, written: Sequence[Written]) -> None:
        """All that was acknowledged can be read; perhaps only when the last fragments arrived."""
        begun = monotonic()
        while True:
            worker = self.worker()
            for each in written:
                verify(worker, each)
            worker.close()
            failed = worker.tally.failures(READS) + worker.tally.failures(LEASES)
            if worker.tally.wrong or not failed or monotonic() - begun > RECOVERY_SECONDS:
                break
            Event().wait(0.2)
        self._note(scenario, "wrong afterwards", worker.tally.wrong)
        self._note(scenario, "unreadable afterwards", failed)

    def _judge(self, row: Row) -> None:
        tally, scenario = row.tally, row.scenario
        self._note(scenario, "wrong", tally.wrong)
        self._note(scenario, "reads failed", tally.failures(READS))
        self._note(scenario, "leases or lists failed", tally.failures(LEASES))
        unable = len(scenario.members) if scenario.kind in UNABLE_TO_WRITE else 0
        if self.total - unable >= self.happy:
            self._note(scenario, "writes failed", tally.failures(WRITES))
        if tally.longest > LONGEST_SECONDS:
            self._note(scenario, "too slow", [f"{tally.longest:.1f} s"])
        self._note(scenario, "lost", row.census["lost"])
        self._note(scenario, "missing, and not noted", row.census["unnoted"])

    def _note(self, scenario: Scenario, what: str, details: Sequence[str]) -> None:
        if details:
            self.problems.append(f"{self}: {scenario}: {what}: {'; '.join(details)}")

    def __str__(self) -> str:
        return f"{self.needed} of {self.total}, happy {self.happy}"

    def table(self) -> str:
        """For the report."""
        rows = "\n".join(map(str, self.rows))
        grown = self.highest - self.begun_with
        return (
            f"\n{self}, seed {SEED}\n{HEAD}\n{rows}\n"
            f"  resident memory: {self.begun_with >> 20} MiB, at most {grown >> 20} MiB more\n"
        )


def scenarios(names: Sequence[str], needed: int, random: Random) -> list[Scenario]:
    """What happens to an array: everything if there is time, else each trouble once."""
    spare = len(names) - needed
    if SECONDS:
        groups = [group for size in range(1, spare + 1) for group in combinations(names, size)]
        everything = [Scenario(kind, group) for kind in KINDS for group in groups]
        return random.sample(everything, len(everything))
    sizes = [1 + at % spare for at in range(len(KINDS))]
    return [
        Scenario(kind, tuple(random.sample(list(names), size)))
        for kind, size in zip(KINDS, sizes, strict=True)
    ]


@pytest.mark.service
@pytest.mark.slow
class ArrayCampaign(SynchronousTestCase):
    moto: S3Endpoint

    @pytest.fixture(autouse=True)
    def _with_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.terminal = capsys

    @classmethod
    def setUpClass(cls) -> None:
        held = ExitStack()  # Python 3.10 has no enterClassContext
        cls.addClassCleanup(held.close)
        cls.moto = held.enter_context(moto_process())

    def campaign(self, needed: int, total: int, happy: int) -> Campaign:
        """An array that has been written to."""
        folder = TemporaryDirectory(prefix="raic-array-")
        self.addCleanup(folder.cleanup)
        places = three_places(self.moto) if total == 3 else five_places(self.moto)
        node = ArrayNode(Path(folder.name) / "node", places, needed, happy, SEED)
        self.addCleanup(node.stop)
        node.start()
        campaign = Campaign(node, needed, happy, Random(f"{SEED} {needed} {total} {happy}"))
        campaign.begin()
        self.addCleanup(self.show, campaign)
        return campaign

    def show(self, campaign: Campaign) -> None:
        """Print what happened, also when it was too much."""
        with self.terminal.disabled():
            sys.stdout.write(campaign.table())

    def check(self, needed: int, total: int, happy: int) -> None:
        """Everything that can happen to an array does."""
        campaign = self.campaign(needed, total, happy)
        chosen = scenarios(campaign.node.names, needed, campaign.random)
        if not SECONDS:
            chosen = chosen[happy % 2 :: 2]  # the other ones happen to the other array of its size
        until = monotonic() + SECONDS / 5
        for scenario in cycle(chosen) if SECONDS else chosen:
            campaign.one(scenario, 2.0 if SECONDS else 0.6)
            if SECONDS and monotonic() > until:
                break
        self.judge(campaign)

    def judge(self, campaign: Campaign) -> None:
        """All went as it should, and every byte is where it should be."""
        found = campaign.node.census(deep=True)
        if found["missing"] or found["altered"]:
            campaign.problems.append(f"not whole in the end: {found}")
        said = [
            line
            for line in campaign.node.log().read_text().splitlines()
            if " warn " in line or " error " in line
        ]
        problems = "\n".join([*campaign.problems, *said[-30:]]) if campaign.problems else ""
        self.assertFalse(problems, problems)
        self.assertLess(campaign.highest - campaign.begun_with, MOST_RSS)

    def test_members_that_hang_for_long(self) -> None:
        campaign = self.campaign(2, 3, 2)
        for name in campaign.node.names if SECONDS else ("attic",):
            campaign.one(Scenario(HANGS, (name,)), 2.5 * OWNERSHIP_SECONDS)
        self.judge(campaign)

    def pair(self, campaign: Campaign, name: str) -> tuple[float, float]:
        """How long reads take, but for one in a hundred, when all is well and when one is slow."""
        seconds = max(2.0, SECONDS / 20)
        calm = campaign.one(Scenario(CALM), seconds, alone=True)
        slow = campaign.one(Scenario(SLOW, (name,)), seconds, alone=True)
        return calm.tally.percentile(0.99), slow.tally.percentile(0.99)

    def test_one_slow_member_slows_no_reader(self) -> None:
        campaign = self.campaign(2, 3, 2)
        for name in campaign.node.names:
            # What else the machine does now may slow down either of the two.
            pairs = (self.pair(campaign, name) for _ in range(ATTEMPTS))
            self.assertTrue(any(slow <= 1.3 * calm + 0.050 for calm, slow in pairs), name)
        self.judge(campaign)

    def test_two_of_three(self) -> None:
        self.check(2, 3, 3)

    def test_two_of_three_with_bare_acknowledgements(self) -> None:
        self.check(2, 3, 2)

    def test_three_of_five(self) -> None:
        self.check(3, 5, 4)

    def test_three_of_five_with_bare_acknowledgements(self) -> None:
        self.check(3, 5, 3)
