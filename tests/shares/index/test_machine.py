"""Random groups of operations, each with a fate at its COMMIT, against the model.

``RAIC_INDEX_EXAMPLES`` sets how many runs there are: a few by default.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from raic.errors import IndexFull, IndexStopped, VersionConflict
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.keys import encode_index
from raic.values import (
    Advisory,
    Chunk,
    ExpiryBatch,
    ExpiryRule,
    Garbage,
    LeasePlace,
    SlotShare,
    Version,
)
from tests.contracts.index_values import (
    INDEX_A,
    INDEX_B,
    chunk,
    chunked,
    fragment,
    fragments_of,
    inline,
    make_lease,
    make_share,
    make_version,
    txn,
)
from tests.shares.index.instruments import (
    Instruments,
    PumpedReactor,
    copy_index,
    disk_full,
    io_error,
)
from tests.shares.index.model import Model

T = TypeVar("T")

NOW = 1_700_006_397
"""Three seconds before midnight in UTC: some leases end on the next day."""

EXAMPLES = int(os.environ.get("RAIC_INDEX_EXAMPLES", "25"))

FATES = st.sampled_from(
    [
        *["committed"] * 4,
        "killed before the commit",
        "killed after the commit",
        "failed before the commit",
        "failed after the commit",
        "disk full",
    ]
)
indexes = st.sampled_from([INDEX_A, INDEX_B])
leases = st.builds(make_lease, st.integers(0, 3), st.integers(NOW, NOW + 5))
times = st.integers(NOW, NOW + 10)
KINDS = (
    "reserve", "share", "slot", "slot", "stale slot", "tombstone", "renew", "renew",
    "release", "settle", "advise", "settle advisory", "load", "expire", "expire", "expunge",
)  # fmt: skip
instructions = st.tuples(
    st.sampled_from(KINDS), indexes, leases, times, st.integers(0, 3), st.booleans()
)
Instruction = tuple[str, bytes, Any, int, int, bool]
Step = tuple[str, tuple[Any, ...]]
"""A method that ``IIndex`` and the model both have, and its arguments."""


class IndexMachine(RuleBasedStateMachine):
    """An index with its threads, kept in step by a reactor that waits to be told."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.clock.advance(NOW)
        self.serial = 0
        self.versions: list[Version] = []
        self.keys: set[str] = {"unknown", make_share(number=10**6).key}
        self.model = Model()

    @initialize()
    def create(self) -> None:
        self.path = self.folder / "index-0"
        create_index(self.path, 1)
        self.index = self.opened()

    def teardown(self) -> None:
        self.close()
        rmtree(self.folder)

    def opened(self) -> SQLiteIndex:
        self.fatal: list[Exception] = []
        self.instruments = Instruments()
        self.reactor = PumpedReactor()
        return open_index(
            self.path,
            self.clock,
            self.reactor,
            sync=False,
            local_listing=False,
            on_fatal=self.fatal.append,
            factory=self.instruments.factory,
            counters=40,
            measure=measure,
        )

    def close(self) -> None:
        self.instruments.before_commit = self.instruments.after_commit = lambda: None
        self.answer(self.index.close())

    def answer(self, deferred: Deferred[T]) -> T | Exception:
        results: list[Any] = []
        deferred.addBoth(results.append)
        while not results:
            self.reactor.pump()
        (result,) = results
        if not isinstance(result, Failure):
            return result  # type: ignore[no-any-return]  # it is the Deferred's
        assert isinstance(result.value, Exception)
        return result.value

    def number(self) -> int:
        self.serial += 1
        return self.serial

    # What happens

    @rule(group=st.lists(instructions, min_size=1, max_size=3), fate=FATES)
    def commit(self, group: Sequence[Instruction], fate: str) -> None:
        self.commit_group(group, fate)

    def commit_group(self, group: Sequence[Any], fate: str) -> None:
        """Some operations are committed together, or not."""
        changed = self.model.copy()
        blocker = self.index.reserve([])
        self.reactor.wait()
        expected, asked = [], []
        for instruction in group:
            method, arguments = self.step(instruction, changed)
            asked.append(self.ask(method, arguments))
            expected.append(self.expect(changed, method, arguments))
        copy = self.arrange(fate)
        self.answer(blocker)
        outcomes = [self.answer(one) for one in asked]
        if fate == "disk full":
            assert all(isinstance(one, IndexFull) for one in outcomes), outcomes
        elif "failed" in fate:
            assert all(isinstance(one, IndexStopped) for one in outcomes), outcomes
            assert len(self.fatal) == 1
        else:
            assert [_comparable(one) for one in outcomes] == expected, (outcomes, expected)
        if fate == "committed" or "after" in fate:
            self.model = changed
        if "killed" in fate or "failed" in fate:
            self.restart(copy, clean=False)

    def ask(self, method: str, arguments: tuple[Any, ...]) -> Deferred[Any]:
        return getattr(self.index, method)(*arguments)  # type: ignore[no-any-return]  # all do

    def expect(self, model: Model, method: str, arguments: tuple[Any, ...]) -> object:
        try:
            return getattr(model, method)(*arguments)
        except VersionConflict:
            return VersionConflict

    def step(self, instruction: Instruction, model: Model) -> Step:
        kind, index, lease, when, count, flag = instruction
        if kind == "share":
            share = make_share(index, count, 10 * count, self.number())
            return "commit_share", (share, lease, fragments_of(share.key) if flag else ())
        if kind in ("slot", "stale slot", "tombstone"):
            return self.slot_step(instruction, model)
        if kind == "renew":
            return "renew_lease", (index, lease)
        if kind == "advise":
            return "advise", (Advisory("mutable", index, count, "claim", when),)
        if kind in ("expire", "expunge", "settle advisory"):
            return self.operator_step(instruction, model)
        return self.key_step(instruction, model)

    def operator_step(self, instruction: Instruction, model: Model) -> Step:
        kind, index, lease, when, count, flag = instruction
        if kind == "expunge":
            return self.expunge_step(instruction, model)
        if kind == "settle advisory":
            about = Advisory("mutable", index, count, "claim", when)
            return "settle_advisory", (about, when, "verified")
        rule = ExpiryRule(NOW + count + 1, immutable=flag or count > 1, mutable=count < 2)
        after = LeasePlace(lease.expires, index, lease.renew_digest) if flag else None
        return "expire", (rule, ExpiryBatch(when, when + 1, when, count + 1, after))

    def expunge_step(self, instruction: Instruction, model: Model) -> Step:
        _, index, _, when, count, flag = instruction
        objects = {share.key for share in model.bucket(index).values()}
        if index in model.slots and count:
            objects |= model.slots[index].keys()
        tombstone = f"expunged/aa/{encode_index(index)}/{txn(self.number())}.1"
        return "expunge", (index, objects, tombstone, "reason", when, when + flag)

    def key_step(self, instruction: Instruction, model: Model) -> Step:
        kind, index, lease, when, count, flag = instruction
        if kind == "reserve":
            return "reserve", ([make_share(index, 0, 1, self.number()).key for _ in range(count)],)
        if kind == "settle":
            due = sorted(model.due(when), key=lambda one: one.key)[: count + 1]
            return "settle_garbage", (
                [Garbage(g.key, max(g.not_before, when), g.passes) for g in due],
            )
        if kind == "release":
            keys = sorted(model.intents)[:count] or [f"stray-{self.number()}"]
            return "release", ([Garbage(key, when, 2 if flag else 1) for key in keys],)
        share = make_share(index, count, 7, self.number())
        versions = [
            make_version(self.index.next_version(), [inline()] * some, index, 5, self.number())
            for some in (1, 1, int(flag))
        ]
        slots = [(version, [lease]) for version in versions[count % 3 :]]
        return "load", ([(share, [lease])], slots)

    def slot_step(self, instruction: Instruction, model: Model) -> Step:
        kind, index, lease, when, count, flag = instruction
        old = model.slots.get(index)
        shares: list[SlotShare] = []
        if kind != "tombstone":
            kept = [] if old is None else sorted(old.chunk_keys())[:count]
            chunks = [Chunk(key, int(key.rpartition(".")[2])) for key in kept]
            chunks += [chunk(self.number(), index, 5) for _ in range(count)]
            shares = [inline(0, count + 1), chunked(*chunks, Chunk(None, 3), shnum=1)]
        version = self.index.next_version()
        self.versions.append(version)
        expected = None if old is None else old.version
        if kind == "stale slot":
            expected = version if flag else None
        slot = make_version(version, shares, index, 100 + count, self.number())
        missing = [fragment(key) for key in sorted(slot.keys())] if flag else ()
        return "commit_slot", (slot, expected, lease if flag else None, when, missing)

    def arrange(self, fate: str) -> Path:
        """Have the next COMMIT meet its fate; where the copy of what is left will be."""
        copy = self.folder / f"index-{self.number()}"
        act: dict[str, Callable[[], object]] = {
            "killed": lambda: copy_index(self.path, copy),
            "failed": io_error,
            "disk": disk_full,
        }
        word = fate.split(maxsplit=1)[0]
        instruments = self.instruments

        def once() -> None:
            instruments.before_commit = instruments.after_commit = lambda: None
            act[word]()

        if "after" in fate:
            instruments.after_commit = once
        elif word in act:
            instruments.before_commit = once
        return copy if word == "killed" else self.path

    @rule()
    def stop_and_start(self) -> None:
        self.restart(self.path, clean=True)

    def restart(self, path: Path, clean: bool) -> None:
        self.close()
        self.path = path
        self.index = self.opened()
        assert self.index.was_clean() == clean
        self.model.start(int(self.clock.seconds()) + REQUEST_SECONDS, clean)

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    # What must hold

    @invariant()
    def all_answers_agree(self) -> None:
        model, index = self.model, self.index
        for storage_index in (INDEX_A, INDEX_B):
            assert self.answer(index.get_bucket(storage_index)) == model.bucket(storage_index)
            assert self.answer(index.get_slot(storage_index)) == model.slots.get(storage_index)
            found = self.answer(index.get_leases(storage_index))
            assert isinstance(found, tuple)
            assert set(found) == model.leases_of(storage_index)
            assert len(found) == len(set(found))
        assert self.answer(index.get_totals()) == model.totals()
        newest = tuple(reversed(model.advisories))
        assert self.answer(index.get_advisories(10**6)) == newest
        unsettled = (one for one in model.advisories if one.checked is None)
        assert self.answer(index.next_advisory()) == next(unsettled, None)
        runs = sorted(model.runs.values(), key=lambda run: -run.started)
        assert self.answer(index.get_expiry_runs(100)) == tuple(runs)
        assert self.answer(index.get_expunged(10**6)) == tuple(reversed(model.expunged))

    @invariant()
    def the_space_agrees_with_a_recount(self) -> None:
        for since in (NOW, NOW + 5, NOW + 10**6):
            assert self.answer(self.index.get_usage(since)) == self.model.usage(since, measure)

    @invariant()
    def garbage_agrees(self) -> None:
        for now in (NOW + 5, NOW + 10**6):
            due = self.answer(self.index.next_garbage(now, 10**6))
            assert isinstance(due, tuple)
            assert set(due) == self.model.due(now)
            assert [one.not_before for one in due] == sorted(one.not_before for one in due)

    @invariant()
    def exactly_what_is_referred_to_is_known(self) -> None:
        self.keys |= self.model.named()
        unknown = self.answer(self.index.unknown_keys(self.keys))
        assert unknown == frozenset(key for key in self.keys if not self.model.knows(key))

    @invariant()
    def versions_rise(self) -> None:
        self.versions.append(self.index.next_version())
        assert self.versions == sorted(set(self.versions))
        self.versions = self.versions[-1:]


def measure(length: int) -> int:
    """Something that is not proportional."""
    return length + 16 * (1 + length // 50)


def _comparable(outcome: object) -> object:
    return type(outcome) if isinstance(outcome, Exception) else outcome


SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
IndexMachine.TestCase.settings = SETTINGS
MachineTests = IndexMachine.TestCase
