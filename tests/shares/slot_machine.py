"""A slot in trouble, against a dictionary: failures, crashes, collection, readers, a rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from tempfile import mkdtemp
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from raic.budget import MemoryBudget
from raic.errors import ProviderError
from raic.interfaces import IShareReader
from raic.shares.ages import REQUEST_SECONDS
from raic.shares.collector import Collector
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.pins import Pins
from raic.shares.rebuild import rebuild
from raic.shares.sealing import Sealer
from raic.shares.secrets import lease_digest
from raic.shares.slot_writer import INLINE_BYTES
from raic.shares.slots import Slots
from raic.values import LEASE_SECONDS, LeaseSecrets, ReadTestWriteResult, TestWriteVectors
from tests.shares.slot_machine_world import (
    ALL,
    ENABLER,
    LIMIT,
    MIB,
    NODE_ID,
    Fate,
    Held,
    RemoteProvider,
    Unanswered,
    busy,
    expecting,
    noise,
    writes,
)
from tests.shares.stores import INDEX_A, NODE_KEY, NOW

T = TypeVar("T")
Shares = dict[int, bytes]

_EDGES = (256, INLINE_BYTES, MIB, 2 * MIB)
_NEAR = st.builds(lambda edge, off: edge + off, st.sampled_from(_EDGES), st.integers(-2, 2))
_PLACES = st.integers(0, 600) | _NEAR
_DATA = st.builds(noise, st.integers(0, 40) | _NEAR, st.integers(1, 9)) | st.builds(bytes, _NEAR)


@st.composite
def _asked(draw: st.DrawFn) -> TestWriteVectors:
    """Writes and a new length; tests are added when the share is known."""
    made = draw(st.lists(st.tuples(_PLACES, _DATA), max_size=3))
    return TestWriteVectors((), writes(*made), draw(st.none() | st.just(0) | _PLACES))


_VECTORS = st.dictionaries(st.integers(0, 3), _asked(), max_size=3)
_SECRETS = st.sampled_from([LeaseSecrets(name * 32, b"c" * 32) for name in (b"a", b"b")])


def expected_after(shares: Mapping[int, bytes], vectors: Mapping[int, TestWriteVectors]) -> Shares:
    """What Tahoe's server would hold afterwards."""
    after = dict(shares)
    for shnum, asked in vectors.items():
        content = bytearray(after.pop(shnum, b""))
        if asked.new_length == 0:
            continue
        for write in asked.writes:
            content.extend(bytes(max(0, write.offset - len(content))))
            content[write.offset : write.offset + len(write.data)] = write.data
        if asked.new_length is not None:
            del content[asked.new_length :]
        after[shnum] = bytes(content)
    return after


def result_of(deferred: Deferred[T]) -> T:
    """What it has fired with.

    :raises Exception: it has failed, or not fired.
    """
    results: list[T | Failure] = []
    deferred.addBoth(results.append)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result


class SlotMachine(RuleBasedStateMachine):
    """One slot; the model is what it holds and who has leases on it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.provider = RemoteProvider()
        self.provider.start()
        self.sealer = Sealer(NODE_KEY)
        self.late: list[Unanswered] = []
        self.indexes: list[SQLiteIndex] = []
        self.readers: list[tuple[IShareReader, bytes]] = []
        self.held: Shares = {}
        self.leases: dict[bytes, int] = {}

    @initialize()
    def begin(self) -> None:
        self.path = f"{mkdtemp(dir='.')}/index"
        create_index(self.path, 1)
        self.start()

    def start(self) -> None:
        """Begin a process: it knows what the provider and the index hold, and nothing else."""
        self.readers = []
        self.pins = Pins()
        self.index = self.opened(self.path)
        self.slots = self.slots_over(self.index)

    def opened(self, path: str) -> SQLiteIndex:
        index = open_index(
            path, self.clock, None, sync=False, local_listing=False, on_fatal=self.fail
        )
        self.indexes.append(index)
        return index

    def fail(self, error: Exception) -> None:
        raise AssertionError(error)

    def slots_over(self, index: SQLiteIndex) -> Slots:
        return Slots(
            self.provider,
            index,
            self.sealer,
            self.pins,
            self.clock,
            nodeid=NODE_ID,
            max_share_size=LIMIT,
            max_read=LIMIT,
            budget=MemoryBudget(2**30),
        )

    # What clients do

    @rule(vectors=_VECTORS, secrets=_SECRETS)
    def update(self, vectors: dict[int, TestWriteVectors], secrets: LeaseSecrets) -> None:
        self.applied(self.ask(vectors, secrets), vectors, secrets)

    @rule(vectors=_VECTORS, secrets=_SECRETS, at=_PLACES)
    def update_if_right(
        self, vectors: dict[int, TestWriteVectors], secrets: LeaseSecrets, at: int
    ) -> None:
        tested = {
            shnum: TestWriteVectors(
                expecting((at, 300, self.held.get(shnum, b"")[at : at + 300])),
                asked.writes,
                asked.new_length,
            )
            for shnum, asked in vectors.items()
        }
        self.applied(self.ask(tested, secrets), tested, secrets)

    @rule(vectors=_VECTORS, secrets=_SECRETS, wrong=st.integers(0, 3))
    def update_if_wrong(
        self, vectors: dict[int, TestWriteVectors], secrets: LeaseSecrets, wrong: int
    ) -> None:
        held = self.held.get(wrong, b"")
        refuted = TestWriteVectors(expecting((0, len(held) + 1, held + b"x")))
        result = result_of(self.ask({**vectors, wrong: refuted}, secrets))
        assert not result.success

    def ask(
        self, vectors: Mapping[int, TestWriteVectors], secrets: LeaseSecrets
    ) -> Deferred[ReadTestWriteResult]:
        return self.slots.read_test_write(INDEX_A, ENABLER, secrets, vectors, ALL)

    def applied(
        self,
        asked: Deferred[ReadTestWriteResult],
        vectors: Mapping[int, TestWriteVectors],
        secrets: LeaseSecrets,
    ) -> None:
        """The update has succeeded: take it over into the model."""
        result = result_of(asked)
        assert result.success
        assert result.data == {shnum: (data,) for shnum, data in self.held.items()}
        self.held = expected_after(self.held, vectors)
        if not self.held:
            self.leases = {}
        elif vectors.keys() & self.held.keys():
            expires = int(self.clock.seconds()) + LEASE_SECONDS
            self.leases[lease_digest(secrets.renew)] = expires

    @rule(shnum=st.integers(0, 3))
    def open(self, shnum: int) -> None:
        if shnum in self.held:
            reader = result_of(self.slots.open(INDEX_A, shnum))
            self.readers.append((reader, self.held[shnum]))

    @rule(at=_PLACES, size=_PLACES)
    def read(self, at: int, size: int) -> None:
        for reader, data in self.readers:
            assert result_of(reader.read(at, size)) == data[at : at + size]

    @rule()
    def close(self) -> None:
        for reader, _ in self.readers:
            reader.close()
        self.readers = []

    # What goes wrong

    @rule(vectors=_VECTORS, secrets=_SECRETS, nth=st.integers(0, 3), how=st.sampled_from("blu"))
    def update_in_trouble(
        self, vectors: dict[int, TestWriteVectors], secrets: LeaseSecrets, nth: int, how: str
    ) -> None:
        """A put fails, gets no answer but lands, or gets none and lands later if at all."""
        fate: Fate = busy
        if how != "b":
            self.late.append(Unanswered(how == "l"))
            fate = self.late[-1]
        self.provider.fates = [None] * nth + [fate]
        asked = self.ask(vectors, secrets)
        reached = not self.provider.fates
        self.provider.fates = []
        if not reached:
            self.applied(asked, vectors, secrets)
            return
        try:
            result_of(asked)
        except ProviderError:
            return
        raise AssertionError("an update succeeded though a put had failed")

    @rule(vectors=_VECTORS, secrets=_SECRETS, nth=st.integers(0, 3), lands=st.booleans())
    def crash(
        self, vectors: dict[int, TestWriteVectors], secrets: LeaseSecrets, nth: int, lands: bool
    ) -> None:
        """The process dies during a put."""
        held, dying = Held(), Unanswered(lands)
        self.provider.fates = [None] * nth + [held]
        asked = self.ask(vectors, secrets)
        self.provider.fates = []
        if len(held):
            held.forward(dying)
            self.late.append(dying)
        else:
            self.applied(asked, vectors, secrets)
        self.start()

    @rule()
    def restart(self) -> None:
        result_of(self.index.close())
        self.start()

    @rule()
    def age(self) -> None:
        """All requests of before have landed or never will; garbage is collected."""
        for each in self.late:
            each.land()
        self.late = []
        self.clock.advance(REQUEST_SECONDS + 1)
        collector = Collector(self.provider, self.index, self.pins, self.clock)
        while result_of(collector.collect_once()):
            pass

    # What must hold

    @invariant()
    def holds_what_was_acknowledged(self) -> None:
        if self.indexes:
            assert self.contents(self.slots) == self.held
            leases = result_of(self.index.get_leases(INDEX_A))
            assert {lease.renew_digest: lease.expires for lease in leases} == self.leases
            assert result_of(self.index.get_totals()).intents == 0

    def contents(self, slots: Slots) -> Shares:
        found = result_of(slots.read(INDEX_A, (), ALL))
        return {shnum: texts[0] for shnum, texts in found.items()}

    def teardown(self) -> None:
        if not self.indexes:
            return
        self.close()
        for _ in range(3):
            self.age()
        self.check_objects()
        self.check_rebuild()
        for index in self.indexes:
            index.close()

    def check_objects(self) -> None:
        """Nothing is there that the index does not refer to."""
        version = result_of(self.index.get_slot(INDEX_A))
        referred = frozenset() if version is None else version.keys()
        page = result_of(self.provider.list_objects("", None))
        assert {listed.key for listed in page.objects} == referred
        totals = result_of(self.index.get_totals())
        assert (totals.garbage, totals.intents) == (0, 0)

    def check_rebuild(self) -> None:
        """The provider alone tells the same."""
        create_index(f"{self.path}.rebuilt", 2)
        index = self.opened(f"{self.path}.rebuilt")
        report = result_of(
            rebuild(self.provider, index, self.sealer, self.clock, lambda report: None)
        )
        assert report.problem_count == 0
        assert self.contents(self.slots_over(index)) == self.held
