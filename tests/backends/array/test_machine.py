"""An array against a dictionary, while its members are lost, return, lie, lag and hang."""

from __future__ import annotations

from collections.abc import Collection
from os import environ
from random import Random
from typing import ClassVar, TypeVar

from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.code import Code
from raic.backends.array.lengths import unknown_length
from raic.backends.array.members import Member
from raic.backends.array.memoryledger import MemoryLedger
from raic.backends.array.provider import ArrayProvider
from raic.backends.layers.timeout import TimeoutLayer
from raic.backends.memory import MemoryProvider
from raic.errors import ObjectNotFound, ProviderError
from raic.fragmentkeys import FragmentKey, parse_fragment_key
from raic.values import Stored
from tests.backends.array.arrays import ARRAY_KEY, NAMES
from tests.contracts.consumer import Collector
from tests.end_to_end.troubled import (
    AWAY,
    FULL,
    HANGS,
    KINDS,
    REFUSES,
    SLOW,
    Trouble,
    TroubledProvider,
)
from tests.strategies import sizes

T = TypeVar("T")

BLOCK = 64
BUDGET = 45.0
"""Seconds within which everything has to end."""

NOBODY_WAITS = 100.0

_TROUBLES = st.sampled_from(sorted(set(KINDS) - {AWAY}))


@define
class Known:
    """What is known of an object.

    :ivar committed: whether it was acknowledged; else nobody may see it.
    :ivar dying: whether it was to be deleted, and may be there in part.
    """

    data: bytes
    committed: bool = False
    dying: bool = False
    forgiven: bool = False


def length_of(key: str) -> int:
    """An object's length, which its key tells."""
    return int(key.rpartition(".")[2])


class ArrayMachine(RuleBasedStateMachine):
    """Writes, reads, listings and deletions."""

    needed: ClassVar[int]
    happy: ClassVar[int]
    total: ClassVar[int]
    told: ClassVar[bool]

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(1_000_000)
        names = NAMES[: self.total]
        self.inner = {name: MemoryProvider(name) for name in names}
        random = Random(1)
        self.troubled = {
            name: TroubledProvider(inner, self.clock, random) for name, inner in self.inner.items()
        }
        self.kinds = dict.fromkeys(names, "")
        self.ledger = MemoryLedger()
        self.model: dict[str, Known] = {}
        self.array = self.make()
        self.done(self.array.start())

    def make(self) -> ArrayProvider:
        """The array as a new process would have it."""
        members = [
            Member(name, TimeoutLayer(each, self.clock)) for name, each in self.troubled.items()
        ]
        code = Code(self.needed, BLOCK)
        return ArrayProvider(
            "clouds",
            members,
            code,
            self.happy,
            ARRAY_KEY,
            self.ledger,
            self.clock,
            length_of=length_of if self.told else unknown_length,
        )

    def teardown(self) -> None:
        self.heal_all()
        self.done(self.array.stop())

    # Time

    def outcome(self, answer: Deferred[T], budget: float = BUDGET) -> T | Failure:
        """How something ends, which must be soon."""
        results: list[T | Failure] = []
        answer.addBoth(results.append)
        until = self.clock.seconds() + budget
        pause = 0.001
        while not results:
            assert self.clock.seconds() < until, f"it did not end within {budget} seconds"
            self.clock.advance(pause)
            pause = min(0.5, 2 * pause)
        return results[0]

    def done(self, answer: Deferred[T]) -> T:
        """What something that must succeed fires with."""
        result = self.outcome(answer)
        if isinstance(result, Failure):
            result.raiseException()
        return result

    # What is true

    def with_kinds(self, kinds: Collection[str]) -> list[str]:
        """The members that are started and in one of these states."""
        return [
            name for name, kind in self.kinds.items() if kind in kinds and self.inner[name]._started
        ]

    def honest_fragments(self, key: str) -> int:
        """How many fragments of an object can be read."""
        length = len(self.model[key].data)
        honest = self.with_kinds(("", SLOW, FULL))
        return sum(
            str(FragmentKey(key, self.needed, BLOCK, length, number)) in self.inner[name]._objects
            for number, name in enumerate(self.inner)
            if name in honest
        )

    def fragments(self, key: str) -> list[str]:
        """Which members have anything of an object."""
        return [
            name
            for name, inner in self.inner.items()
            for text in inner._objects
            if (parsed := parse_fragment_key(text)) is not None and parsed.object_key == key
        ]

    # Members

    @rule(first=st.integers(0, 6), kinds=st.lists(_TROUBLES, min_size=1, max_size=3))
    def trouble(self, first: int, kinds: list[str]) -> None:
        """As many members as may be lost are in trouble, or fewer, or one more."""
        spare = self.total - self.needed
        for at, kind in enumerate(kinds[: spare + 1]):
            name = list(self.inner)[(first + at) % self.total]
            self.kinds[name] = kind
            self.troubled[name].set(Trouble(kind, lasting=True))

    @rule(first=st.integers(0, 6), count=st.integers(1, 3))
    def lose(self, first: int, count: int) -> None:
        """Of all troubles the one that is most likely to befall several at once."""
        self.trouble(first, [REFUSES] * count)

    @rule(at=st.integers(0, 6))
    def heal(self, at: int) -> None:
        name = list(self.inner)[at % self.total]
        self.kinds[name] = ""
        self.troubled[name].set(Trouble())

    @rule()
    def heal_all(self) -> None:
        for at in range(self.total):
            self.heal(at)

    @rule(key=keys, seconds=st.sampled_from((0.0, 1.0, 61.0)))
    def recover_and_look(self, key: str, seconds: float) -> None:
        """What landed late, or never, shows when all is well again."""
        self.heal_all()
        self.clock.advance(seconds)
        self.list_all()
        self.read(key, 0, 600)

    @rule(seconds=st.sampled_from((0.1, 2.0, 61.0, 400.0)))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # Writing

    @rule(target=keys, size=sizes(3 * BLOCK), seed=st.integers(0, 999), pieces=st.integers(0, 3))
    def write(self, size: int, seed: int, pieces: int) -> str:
        key = f"o-{len(self.model)}.{size}"
        data = Random(seed).randbytes(size)
        self.model[key] = stored = Known(data)
        self.ledger.reserve([key])
        able = set(self.kinds) - set(self.with_kinds((REFUSES, HANGS, FULL)))
        able &= {name for name, inner in self.inner.items() if inner._started}
        if pieces:
            writing = Deferred.fromCoroutine(self.upload(key, data, pieces))
        else:
            writing = self.array.put_object(key, data)
        answer = self.outcome(writing)
        if isinstance(answer, Failure):
            assert answer.check(ProviderError), answer
            assert len(able) < self.happy, (able, answer)
            self.ledger.release([])
            return key
        self.ledger.commit([key], answer.missing)
        stored.committed = True
        assert (answer.key, answer.size) == (key, size)
        missing = {str(text) for text in answer.missing}
        assert len(missing) <= self.total - self.happy, "too few have it"
        for number, (name, inner) in enumerate(self.inner.items()):
            fragment = str(FragmentKey(key, self.needed, BLOCK, size, number))
            if fragment not in missing and fragment not in self.troubled[name].forgotten:
                assert fragment in inner._objects, fragment
        return key

    async def upload(self, key: str, data: bytes, pieces: int) -> Stored:
        """Store an object in several writes."""
        upload = self.array.open_upload(key, len(data))
        step = len(data) // pieces + 1
        try:
            for at in range(0, len(data), step):
                await upload.write(data[at : at + step])
            return await upload.finish()
        except ProviderError:
            await upload.abort()
            raise

    # Reading

    @rule(key=keys, offset=st.integers(0, 600), length=st.integers(0, 600))
    def read(self, key: str, offset: int, length: int) -> None:
        got = self.outcome(self.array.get_object(key, offset, length))
        self.judge(key, got, self.model[key].data[offset : offset + length])

    @rule(key=keys, offset=st.integers(0, 600), length=st.integers(0, 600))
    def stream(self, key: str, offset: int, length: int) -> None:
        collector = Collector()
        got = self.outcome(self.array.stream_object(key, offset, length, collector))
        wanted = self.model[key].data[offset : offset + length]
        received = collector.data
        assert wanted.startswith(received)
        if isinstance(got, Failure):
            self.judge(key, got, wanted)
        else:
            assert got == len(received)
            self.judge(key, received, wanted)

    def judge(self, key: str, got: bytes | Failure, wanted: bytes) -> None:
        """Whether an answer may be given."""
        stored = self.model[key]
        if not isinstance(got, Failure):
            assert got == wanted
            assert stored.committed or stored.forgiven, "it was never acknowledged"
            return
        assert got.check(ProviderError), got
        if stored.committed and not stored.dying:
            honest = self.honest_fragments(key)
            assert honest < self.needed, (key, honest, got)
            if got.check(ObjectNotFound):
                assert not self.with_kinds((REFUSES, HANGS)) or not self.fragments(key)

    # Listing and deleting

    @rule()
    def list_all(self) -> None:
        away = self.total - len(set(self.kinds) - set(self.unreachable()))
        most = min(self.happy - 1, self.total - self.needed)
        listed = self.outcome(Deferred.fromCoroutine(self.listing()))
        if isinstance(listed, Failure):
            assert listed.check(ProviderError), listed
            assert away > most, (away, listed)
            return
        away = min(away, len(self.unreachable()))  # one may have started meanwhile
        assert away <= most, f"with {away} away it may lack objects"
        assert listed == sorted(set(listed))
        for key, stored in self.model.items():
            visible = set(self.fragments(key)) - set(self.unreachable())
            if stored.committed and not stored.dying and visible:
                assert key in listed, key
            if not stored.committed and not stored.forgiven:
                assert key not in listed, key

    def unreachable(self) -> list[str]:
        """The members that do not answer."""
        return [
            name
            for name, kind in self.kinds.items()
            if kind in (REFUSES, HANGS) or not self.inner[name]._started
        ]

    async def listing(self) -> list[str]:
        """All keys, in the order in which they are listed."""
        found: list[str] = []
        token = None
        while True:
            page = await self.array.list_objects("", token)
            found += [listed.key for listed in page.objects]
            for listed in page.objects:
                assert listed.size == len(self.model[listed.key].data)
            token = page.next_token
            if token is None:
                return found

    @rule(key=keys)
    def delete(self, key: str) -> None:
        stored = self.model[key]
        if not stored.committed:
            self.heal_all()  # no request may last longer than what it failed to write is kept for
        stored.dying = True
        self.ledger.commit([], dropped=[key])
        away = self.unreachable()  # one may start meanwhile
        left = self.outcome(self.array.delete_objects([key]), NOBODY_WAITS)
        if isinstance(left, Failure):
            assert left.check(ProviderError), left
            assert away
        elif key in left:
            assert away
        else:
            assert not self.fragments(key)
            for each in self.ledger.garbage.copy().values():
                if each.key == key:
                    self.ledger.settle_garbage([each])

    @rule()
    def space(self) -> None:
        space = self.outcome(self.array.get_space())
        if isinstance(space, Failure):
            assert space.check(ProviderError), space
            assert self.unreachable()

    @rule()
    def restart(self) -> None:
        """A new process, which knows nothing of writes that failed in the old one."""
        self.done(self.array.stop())
        for stored in self.model.values():
            stored.forgiven = not stored.committed
        self.ledger.restart(0, clean=True)
        self.array = self.make()
        able = self.total - len([k for k in self.kinds.values() if k in (REFUSES, HANGS)])
        started = self.outcome(self.array.start())
        if isinstance(started, Failure):
            assert started.check(ProviderError), started
            assert able < self.needed, started
            self.heal_all()
            self.array = self.make()
            self.done(self.array.start())


class Mirror(ArrayMachine):
    """Three copies, of which two are written before the write is acknowledged."""

    needed, happy, total, told = 1, 2, 3, True


class MachineCase(SynchronousTestCase):
    """``RAIC_MACHINE_EXAMPLES`` says how many."""

    def check(self, machine: type[ArrayMachine]) -> None:
        examples = int(environ.get("RAIC_MACHINE_EXAMPLES", "100"))
        run_state_machine_as_test(
            machine,
            settings=settings(max_examples=examples, stateful_step_count=25, deadline=None),
        )

    def test_two_of_three_with_bare_acknowledgements(self) -> None:
        class Machine(ArrayMachine):
            needed, happy, total, told = 2, 2, 3, False

        self.check(Machine)

    def test_three_of_five(self) -> None:
        class Machine(ArrayMachine):
            needed, happy, total, told = 3, 4, 5, True

        self.check(Machine)

    def test_a_mirror(self) -> None:
        self.check(Mirror)

    def test_a_stripe_is_over_while_another_member_is_still_looked_for(self) -> None:
        """Found by the mirror: two members lie here and there, the third one is slow."""
        for seed in range(30):
            machine = Mirror()
            for each in machine.troubled.values():
                each._random.seed(seed)
            key = machine.write(pieces=0, seed=0, size=193)
            machine.trouble(first=0, kinds=["flips", "flips", "slow"])
            began = machine.clock.seconds()
            machine.stream(key=key, offset=63, length=130)
            self.assertLess(machine.clock.seconds() - began, 5.0)
            machine.teardown()
