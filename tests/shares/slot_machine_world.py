"""Slots over a provider that can be watched, held up and made to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer_only

from raic.backends.memory import MemoryProvider
from raic.budget import MemoryBudget
from raic.errors import OutcomeUnknown, ProviderBusy
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.slots import Slots
from raic.values import (
    LeaseSecrets,
    ReadTestWriteResult,
    ReadVector,
    SlotVersion,
    Stored,
    TestVector,
    TestWriteVectors,
    WriteVector,
)
from tests.contracts.index_values import fragment
from tests.shares.stores import INDEX_A, SECRETS, StoreTestCase

NODE_ID = b"n" * 20
ENABLER = b"w" * 32
LIMIT = 64 * 1024 * 1024
MIB = 1024 * 1024


Send = Callable[[], "Deferred[Any]"]
"""Does what was asked of the provider."""

Fate = Callable[[Send], "Deferred[Any]"]
"""What a request meets with."""


def busy(send: Send) -> Deferred[Any]:
    """It fails and leaves nothing."""
    return fail(ProviderBusy("attic", "put_object", "asked to slow down"))


class Unanswered:
    """It gets no answer.

    :param lands: whether it is done all the same, at once.
    """

    def __init__(self, lands: bool) -> None:
        self._lands = lands
        self._late: list[Send] = []

    def __call__(self, send: Send) -> Deferred[Any]:
        if self._lands:
            send()
        else:
            self._late.append(send)
        return fail(OutcomeUnknown("attic", "put_object", "no answer"))

    def land(self) -> None:
        """Do what was not done at once."""
        for send in self._late:
            send()
        self._late = []


class Held:
    """It is not done before :meth:`let_go`."""

    def __init__(self) -> None:
        self._begun: list[tuple[Send, Deferred[Any]]] = []

    def __call__(self, send: Send) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self._begun.append((send, answer))
        return answer

    def __len__(self) -> int:
        return len(self._begun)

    def let_go(self) -> None:
        """Do the oldest."""
        send, answer = self._begun.pop(0)
        send().chainDeferred(answer)

    def forward(self, fate: Fate) -> None:
        """Leave the oldest to another fate; who waits for it never hears of it."""
        fate(self._begun.pop(0)[0]).addErrback(lambda _: None)

    def refuse(self, error: Exception) -> None:
        """Fail the oldest."""
        self._begun.pop(0)[1].errback(error)


class Short:
    """A put succeeds with less than all fragments.

    :param numbers: of the fragments that are not durable yet.
    """

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __call__(self, send: Send) -> Deferred[Any]:
        return send().addCallback(self._shortened)

    def _shortened(self, stored: Stored) -> Stored:
        return evolve(stored, missing=tuple(fragment(stored.key, n) for n in self._numbers))


@implementer_only(IStorageProvider)
class RemoteProvider(MemoryProvider):
    """Notes requests, has no immediate reads, and meets requests with scripted fates.

    :ivar calls: each request's method and key.
    :ivar fates: of the next puts; None and beyond the end: they succeed.
    :ivar read_fates: of the next gets, likewise.
    :ivar shortened: the keys whose reads lack a byte.
    """

    def __init__(self) -> None:
        super().__init__("attic")
        self.calls: list[tuple[str, str]] = []
        self.fates: list[Fate | None] = []
        self.read_fates: list[Fate | None] = []
        self.shortened: set[str] = set()

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        self.calls.append(("put_object", key))
        put = partial(super().put_object, key, data)
        fate = self.fates.pop(0) if self.fates else None
        return put() if fate is None else fate(put)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        self.calls.append(("get_object", key))
        get = partial(super().get_object, key, offset, length - (key in self.shortened))
        fate = self.read_fates.pop(0) if self.read_fates else None
        return get() if fate is None else fate(get)


def noise(length: int, seed: int = 1) -> bytes:
    """Random bytes, the same at each call."""
    return Random(seed).randbytes(length)


def expecting(*each: tuple[int, int, bytes]) -> tuple[TestVector, ...]:
    return tuple(TestVector(*one) for one in each)


def writes(*each: tuple[int, bytes]) -> tuple[WriteVector, ...]:
    return tuple(WriteVector(*one) for one in each)


def put(*each: tuple[int, bytes], new_length: int | None = None) -> TestWriteVectors:
    """Writes without tests."""
    return TestWriteVectors((), writes(*each), new_length)


DELETE = TestWriteVectors(new_length=0)
ALL = (ReadVector(0, 2**62),)


class SlotTestCase(StoreTestCase):
    """Has slots over a :class:`RemoteProvider`."""

    def setUp(self) -> None:
        super().setUp()
        self.remote = RemoteProvider()
        self.successResultOf(self.remote.start())
        self.memory = self.remote
        self.budget = MemoryBudget(2**30)
        self.slots = self.new_slots()

    def new_slots(
        self,
        *,
        index: IIndex | None = None,
        provider: IStorageProvider | None = None,
        max_share_size: int = LIMIT,
        max_read: int = LIMIT,
        nodeid: bytes = NODE_ID,
    ) -> Slots:
        """Slots that remember nothing."""
        return Slots(
            provider or self.remote,
            index or self.index,
            self.sealer,
            self.pins,
            self.clock,
            nodeid=nodeid,
            max_share_size=max_share_size,
            max_read=max_read,
            budget=self.budget,
        )

    def ask(
        self,
        vectors: Mapping[int, TestWriteVectors],
        reads: Sequence[ReadVector] = (),
        *,
        enabler: bytes = ENABLER,
        secrets: LeaseSecrets = SECRETS,
        storage_index: bytes = INDEX_A,
    ) -> Deferred[ReadTestWriteResult]:
        return self.slots.read_test_write(storage_index, enabler, secrets, vectors, reads)

    def change(self, **shares: TestWriteVectors) -> None:
        """Change shares ``s0``, ``s1`` and so on of slot A; fails the test unless that succeeds."""
        vectors = {int(name[1:]): asked for name, asked in shares.items()}
        self.assertTrue(self.successResultOf(self.ask(vectors)).success)

    def contents(self, storage_index: bytes = INDEX_A) -> dict[int, bytes]:
        """All shares."""
        found = self.successResultOf(self.slots.read(storage_index, (), ALL))
        return {shnum: texts[0] for shnum, texts in found.items()}

    def version(self, storage_index: bytes = INDEX_A) -> SlotVersion:
        """The current version."""
        found = self.successResultOf(self.index.get_slot(storage_index))
        assert found is not None
        return found

    def calls(self) -> list[str]:
        """The requests since the last time, by method and kind of object."""
        calls, self.remote.calls = self.remote.calls, []
        return [f"{method} {key.split('/')[0]}" for method, key in calls]
