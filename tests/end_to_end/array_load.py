"""A mixed load on an array whose providers are in trouble, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Event
from time import monotonic
from typing import Any, TypeVar

from attrs import Factory, define, field

from tests.end_to_end.load import Shares, content
from tests.end_to_end.thin import NoAnswer, Refused, ThinHTTPClient
from tests.end_to_end.wire import vectors

T = TypeVar("T")

PIECE = 1_000_000
SMALL = (1, 55, 700, 3_000)
MIDDLE = (70_000, 131_072, 140_000, 400_000)
LARGE = (1_300_000, 2_400_000)
LEASES, READS, WRITES = "leases and lists", "reads", "writes"
_SHOWN = 5


@define
class Share:
    """An immutable share.

    :ivar acknowledged: whether it must be there.
    """

    storage_index: bytes
    size: int
    seed: int
    acknowledged: bool = False

    def data(self) -> bytes:
        """The share."""
        return content(self.size, self.seed)


@define
class Slot:
    """A slot.

    :ivar states: those in which it may be: one, unless a write was not acknowledged.
    """

    storage_index: bytes
    states: list[Shares] = Factory(lambda: [{}])


@define
class Tally:
    """What happened.

    :ivar operations: how many were tried, by kind.
    :ivar failed: what was said of those that failed, by kind.
    :ivar early: of the failed reads, those of what was just written with nothing to spare.
    :ivar wrong: what cannot be.
    :ivar seconds: how long each read took.
    :ivar longest: how long any operation took.
    """

    operations: dict[str, int] = Factory(dict)
    failed: dict[str, list[str]] = Factory(dict)
    early: int = 0
    wrong: list[str] = Factory(list)
    seconds: list[float] = Factory(list)
    longest: float = 0.0

    def add(self, other: Tally) -> None:
        """Count what another one has counted."""
        for kind, count in other.operations.items():
            self.operations[kind] = self.operations.get(kind, 0) + count
        for kind, said in other.failed.items():
            self.failed.setdefault(kind, []).extend(said)
        self.early += other.early
        self.wrong += other.wrong
        self.seconds += other.seconds
        self.longest = max(self.longest, other.longest)

    def failures(self, kind: str) -> list[str]:
        """What the first ones said that failed."""
        return self.failed.get(kind, [])[:_SHOWN]

    def percentile(self, part: float) -> float:
        """The seconds that this part of the reads did not exceed."""
        ascending = sorted(self.seconds)
        return ascending[min(len(ascending) - 1, int(part * len(ascending)))] if ascending else 0.0


class Broken(Exception):
    """An operation failed, as it may."""


@define
class Worker:
    """One client, with a connection that is made anew when it breaks.

    :ivar bare: whether what was just written may have nothing to spare for a while.
    """

    connect: Callable[[], ThinHTTPClient]
    random: Random
    bare: bool = False
    tally: Tally = Factory(Tally)
    _client: ThinHTTPClient | None = field(default=None, init=False)

    def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def ask(self, kind: str, what: str, do: Callable[[ThinHTTPClient], T]) -> T:
        """Do something, and take the time.

        :raises Broken: it failed, which was counted.
        """
        begun = monotonic()
        self.tally.operations[kind] = self.tally.operations.get(kind, 0) + 1
        try:
            if self._client is None:
                self._client = self.connect()
            return do(self._client)
        except NoAnswer as error:
            self.close()
            self._failed(kind, f"{what}: no answer: {error}")
            raise Broken from error
        except Refused as error:
            self._failed(kind, f"{what}: {error}")
            raise Broken from error
        finally:
            took = monotonic() - begun
            self.tally.longest = max(self.tally.longest, took)
            if kind == READS:
                self.tally.seconds.append(took)

    def _failed(self, kind: str, said: str) -> None:
        self.tally.failed.setdefault(kind, []).append(said)

    # Reading

    def read_share(self, share: Share, just_written: bool = False) -> None:
        """Read all of a share, or a range, and compare it.

        :param just_written: whether it may not be everywhere yet.
        """
        offset, length = self._some_range(share.size)
        what = f"read {length or 'all'} of {share.size} at {offset}"

        def read(client: ThinHTTPClient) -> bytes:
            return client.read("immutable", share.storage_index, 0, offset, length)

        try:
            found = self.ask(READS, what, read)
        except Broken:
            if just_written and self.bare:
                self.tally.early += 1
                self.tally.failed[READS].pop()
            return
        wanted = share.data()
        if length:
            wanted = wanted[offset : offset + length]
        if found != wanted:
            self.tally.wrong.append(f"{what}: {len(found)} bytes, not what was written")

    def _some_range(self, size: int) -> tuple[int, int]:
        if self.random.random() < 0.5:
            return 0, 0
        offset = self.random.randrange(size)
        most = min(size - offset, self.random.choice((100, 70_000, 350_000)))
        return offset, self.random.randint(1, most)

    def read_slot(self, slot: Slot, just_written: bool = False) -> Shares | None:
        """Read all of a slot, and compare it; what it is in, if that can be told."""

        def read(client: ThinHTTPClient) -> Shares:
            answer = client.change(slot.storage_index, {}, [(0, 1_000_000)])
            return {shnum: bytes(texts[0]) for shnum, texts in answer.data.items() if texts[0]}

        try:
            found = self.ask(READS, "read a slot", read)
        except Broken:
            if just_written and self.bare:
                self.tally.early += 1
                self.tally.failed[READS].pop()
            return None
        if found not in slot.states:
            sizes = {shnum: len(data) for shnum, data in found.items()}
            self.tally.wrong.append(f"a slot is neither old nor new: {sizes}")
            return None
        slot.states = [found]
        return found

    def look(self, share: Share) -> None:
        """List, and renew a lease: what no provider is needed for."""
        what = self.random.choice(("list", "renew"))
        if what == "renew":
            self._try(LEASES, what, lambda client: client.renew(share.storage_index))
            return
        if self.is_listed(share) is False:
            self.tally.wrong.append("a share is not listed")

    def is_listed(self, share: Share) -> bool | None:
        """Whether a share is there; None if that cannot be told."""
        index = share.storage_index
        found = self._try(LEASES, "list", lambda client: client.shares("immutable", index))
        return None if found is None else found == {0}

    def _try(self, kind: str, what: str, do: Callable[[ThinHTTPClient], T]) -> T | None:
        try:
            return self.ask(kind, what, do)
        except Broken:
            return None

    # Writing

    def write_share(self, size: int) -> Share:
        """Upload a share, which may fail."""
        share = Share(self.random.randbytes(16), size, self.random.getrandbits(32))
        data = share.data()

        def upload(client: ThinHTTPClient) -> None:
            client.upload(share.storage_index, 0, data, PIECE)
            share.acknowledged = True

        self._try(WRITES, f"upload {size}", upload)
        return share

    def write_slot(self, slot: Slot) -> None:
        """Change a slot, which may fail."""
        (before,) = slot.states
        shnum = self.random.randrange(3)
        share = before.get(shnum, b"")
        data = self.random.randbytes(self.random.choice((30, 900, 20_000, 300_000)))
        offset = self.random.randint(0, len(share))
        after = share[:offset] + data + share[offset + len(data) :]
        change: dict[int, Any] = {shnum: vectors((offset, data), tests=[(0, share[:40])])}
        if not before:
            change[shnum]["test"] = []
        slot.states = [before, {**before, shnum: after}]

        def write(client: ThinHTTPClient) -> bool:
            return client.change(slot.storage_index, change).success

        success = self._try(WRITES, "change a slot", write)
        if success is False:
            self.tally.wrong.append("a slot was not as it was read")
        if success is not None:
            slot.states = slot.states[1:] if success else slot.states[:1]


@define
class Written:
    """What one writer has written."""

    shares: list[Share] = Factory(list)
    slots: list[Slot] = Factory(list)


@define
class Base:
    """What everybody reads; it was written when all was well."""

    shares: list[Share] = Factory(list)
    slots: list[Slot] = Factory(list)

    def write(self, worker: Worker) -> None:
        """Write it.

        :raises AssertionError: that failed.
        """
        self.shares = [worker.write_share(size) for size in 2 * SMALL + MIDDLE + LARGE]
        for _ in range(3):
            slot = Slot(worker.random.randbytes(16))
            worker.write_slot(slot)
            self.slots.append(slot)
        assert not worker.tally.failed, worker.tally.failed


def read_on(worker: Worker, base: Base, stop: Event) -> None:
    """Read what was there before, until told to stop."""
    while not stop.is_set():
        chance = worker.random.random()
        if chance < 0.85:
            worker.read_share(worker.random.choice(base.shares))
        elif chance < 0.95:
            worker.look(worker.random.choice(base.shares))
        else:
            worker.read_slot(worker.random.choice(base.slots))
    worker.close()


def write_on(worker: Worker, written: Written, stop: Event) -> None:
    """Write, and read what was written, until told to stop."""
    random = worker.random
    while not stop.is_set():
        chance = random.random()
        if chance < 0.3:
            sizes = random.choices((SMALL, MIDDLE, LARGE), (70, 25, 5))[0]
            written.shares.append(worker.write_share(random.choice(sizes)))
        elif chance < 0.6:
            slots = [slot for slot in written.slots[-5:] if len(slot.states) == 1]
            if not slots or random.random() < 0.4:
                slots = [Slot(random.randbytes(16))]
                written.slots += slots
            worker.write_slot(random.choice(slots))
        else:
            _read_back(worker, written)
    worker.close()


def _read_back(worker: Worker, written: Written) -> None:
    shares = [share for share in written.shares[-10:] if share.acknowledged]
    slots = [slot for slot in written.slots[-10:] if slot.states != [{}]]
    if shares and worker.random.random() < 0.7:
        worker.read_share(worker.random.choice(shares), just_written=True)
    elif slots:
        worker.read_slot(worker.random.choice(slots), just_written=True)


def verify(worker: Worker, written: Written) -> None:
    """Look at all that was written, when all is well again."""
    for share in written.shares:
        if share.acknowledged:
            worker.read_share(share)
            continue
        if worker.is_listed(share):
            worker.read_share(share)
    for slot in written.slots:
        worker.read_slot(slot)
