"""A mixed write load, and what must be true of the node after it was killed in the middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from attrs import Factory, define, frozen

from tests.end_to_end.thin import NoAnswer, ThinHTTPClient
from tests.end_to_end.wire import vectors

PIECE = 1_000_000
RECENT_SLOTS = 20
EARLIER = 20
"""How many shares and slots of earlier rounds a worker's ledger is asked for at each look."""

Shares = dict[int, bytes]
"""A slot's shares by number."""


def content(size: int, seed: int) -> bytes:
    """Bytes that depend on both arguments."""
    return Random(f"{size} {seed}").randbytes(size)


@define
class Upload:
    """What is known of an immutable share.

    :ivar sent: whether its last byte was sent, so that it may be there.
    :ivar acknowledged: whether it must be there.
    """

    storage_index: bytes
    shnum: int
    size: int
    seed: int
    sent: bool = False
    acknowledged: bool = False

    def data(self) -> bytes:
        """The share."""
        return content(self.size, self.seed)


@define
class Slot:
    """What is known of a slot.

    :ivar shares: as acknowledged last.
    :ivar asked: as a write would have left it that was not answered.
    """

    storage_index: bytes
    shares: Shares = Factory(dict)
    asked: Shares | None = None


@define
class Ledger:
    """Everything that one worker did, in all rounds."""

    uploads: list[Upload] = Factory(list)
    slots: list[Slot] = Factory(list)
    acknowledged: Counter[str] = Factory(Counter)
    checked_uploads: int = 0
    checked_slots: int = 0


@frozen
class Change:
    """One write to one share of a slot."""

    offset: int
    data: bytes
    new_length: int | None

    def apply(self, share: bytes) -> bytes:
        """The share after it."""
        grown = share.ljust(self.offset, b"\0")
        after = grown[: self.offset] + self.data + grown[self.offset + len(self.data) :]
        return after if self.new_length is None else after[: self.new_length]

    def vectors(self, before: bytes) -> dict[str, Any]:
        """As the protocol has it, testing that the share is what we believe it to be."""
        tests = [(0, before[:40])]
        writes = [(self.offset, self.data)] if self.data else []
        return vectors(*writes, tests=tests, new_length=self.new_length)


class Worker:
    """One client that works until the node goes away."""

    def __init__(self, ledger: Ledger, random: Random) -> None:
        self._ledger = ledger
        self._random = random
        self._kinds: Mapping[str, tuple[int, Callable[[ThinHTTPClient], None]]] = {
            "small shares": (40, self._small),
            "large shares": (3, self._large),
            "unfinished uploads": (6, self._unfinished),
            "slots created": (15, self._create),
            "slots updated": (22, self._update),
            "slots deleted": (3, self._delete),
            "leases renewed": (7, self._renew),
        }

    def work(self, connect: Callable[[], ThinHTTPClient]) -> None:
        """Do one thing after the other.

        :raises Refused: the node said no, which it has no reason to.
        """
        names = list(self._kinds)
        weights = [weight for weight, _ in self._kinds.values()]
        try:
            with connect() as client:
                while True:
                    (name,) = self._random.choices(names, weights)
                    self._kinds[name][1](client)
                    self._ledger.acknowledged[name] += 1
        except NoAnswer:
            return

    def _new_index(self) -> bytes:
        return self._random.randbytes(16)

    def _upload(self, client: ThinHTTPClient, upload: Upload, pieces: int) -> None:
        data = upload.data()
        for at in range(pieces):
            last = (at + 1) * PIECE >= len(data)
            upload.sent = last
            offset = at * PIECE
            client.write(upload.storage_index, upload.shnum, offset, data[offset : offset + PIECE])
            upload.acknowledged = last

    def _begin(self, client: ThinHTTPClient, shnums: set[int], size: int) -> list[Upload]:
        storage_index = self._new_index()
        uploads = [
            Upload(storage_index, shnum, size, self._random.getrandbits(32)) for shnum in shnums
        ]
        self._ledger.uploads += uploads
        allocated = client.allocate(storage_index, shnums, size)
        assert allocated == shnums, (allocated, shnums)
        return uploads

    def _small(self, client: ThinHTTPClient) -> None:
        shnums = set(self._random.sample(range(10), self._random.choice((1, 1, 1, 3))))
        for upload in self._begin(client, shnums, self._random.randint(1, 3000)):
            self._upload(client, upload, 1)

    def _large(self, client: ThinHTTPClient) -> None:
        (upload,) = self._begin(client, {0}, self._random.randint(PIECE, 4 * PIECE))
        self._upload(client, upload, -(-upload.size // PIECE))

    def _unfinished(self, client: ThinHTTPClient) -> None:
        (upload,) = self._begin(client, {0}, self._random.randint(PIECE + 1, 2 * PIECE))
        self._upload(client, upload, self._random.randint(0, 1))

    def _create(self, client: ThinHTTPClient) -> None:
        slot = Slot(self._new_index())
        self._ledger.slots.append(slot)
        shnums = self._random.sample(range(10), self._random.randint(1, 4))
        self._change(client, slot, {shnum: self._some_change(0) for shnum in shnums})

    def _update(self, client: ThinHTTPClient) -> None:
        if slot := self._some_slot():
            numbers = list(slot.shares)
            shnums = self._random.sample(numbers, self._random.randint(1, len(numbers)))
            changes = {shnum: self._some_change(len(slot.shares[shnum])) for shnum in shnums}
            self._change(client, slot, changes)

    def _delete(self, client: ThinHTTPClient) -> None:
        if slot := self._some_slot():
            self._change(client, slot, {shnum: Change(0, b"", 0) for shnum in slot.shares})

    def _renew(self, client: ThinHTTPClient) -> None:
        if slot := self._some_slot():
            client.renew(slot.storage_index)

    def _some_slot(self) -> Slot | None:
        living = [slot for slot in self._ledger.slots[-RECENT_SLOTS:] if slot.shares]
        return self._random.choice(living) if living else None

    def _some_change(self, length: int) -> Change:
        big = self._random.random() < 0.04
        data = self._random.randbytes(self._random.randint(1, 600_000 if big else 2_000))
        offset = self._random.randint(0, length + 100) if length else 0
        shorten = self._random.random() < 0.2
        return Change(offset, data, offset + len(data) // 2 + 1 if shorten else None)

    def _change(self, client: ThinHTTPClient, slot: Slot, changes: Mapping[int, Change]) -> None:
        asked = dict(slot.shares)
        messages = {}
        for shnum, change in changes.items():
            before = slot.shares.get(shnum, b"")
            messages[shnum] = change.vectors(before)
            asked[shnum] = change.apply(before)
        slot.asked = {shnum: share for shnum, share in asked.items() if share}
        assert client.change(slot.storage_index, messages).success
        slot.shares, slot.asked = slot.asked, None


@define
class Findings:
    """What looks at the node after its restarts showed."""

    checked: int = 0
    doubtful: int = 0
    wrong: list[str] = Factory(list)


def verify(client: ThinHTTPClient, ledger: Ledger, random: Random, findings: Findings) -> None:
    """Compare what the node has with what it acknowledged: all that is new, some that is older."""
    old_uploads = ledger.uploads[: ledger.checked_uploads]
    uploads = ledger.uploads[ledger.checked_uploads :]
    uploads += random.sample(old_uploads, min(EARLIER, len(old_uploads)))
    first_slot = max(0, ledger.checked_slots - RECENT_SLOTS)
    old_slots = ledger.slots[:first_slot]
    slots = ledger.slots[first_slot:]
    slots += random.sample(old_slots, min(EARLIER, len(old_slots)))
    _verify(client, uploads, slots, findings)
    ledger.checked_uploads = len(ledger.uploads)
    ledger.checked_slots = len(ledger.slots)


def verify_all(client: ThinHTTPClient, ledger: Ledger, findings: Findings) -> None:
    """Compare everything once more."""
    _verify(client, ledger.uploads, ledger.slots, findings)


def _verify(
    client: ThinHTTPClient, uploads: Sequence[Upload], slots: Sequence[Slot], findings: Findings
) -> None:
    """What was in doubt is settled by what is found; unfinished uploads are finished."""
    for upload in uploads:
        findings.wrong += _verify_upload(client, upload, findings)
    for slot in slots:
        findings.wrong += _verify_slot(client, slot, findings)
    findings.checked += len(uploads) + len(slots)


def _verify_upload(client: ThinHTTPClient, upload: Upload, findings: Findings) -> Iterator[str]:
    name = f"share {upload.shnum} of {upload.storage_index.hex()}"
    there = upload.shnum in client.shares("immutable", upload.storage_index)
    if upload.acknowledged and not there:
        yield f"{name} was acknowledged and is not listed"
    if there and not upload.sent:
        yield f"{name} is listed, and was never complete"
    if there and client.read("immutable", upload.storage_index, upload.shnum) != upload.data():
        yield f"{name} has other bytes"
    if not there and not upload.acknowledged:
        client.upload(upload.storage_index, upload.shnum, upload.data())
    findings.doubtful += upload.sent and not upload.acknowledged
    upload.sent = upload.acknowledged = True


def _verify_slot(client: ThinHTTPClient, slot: Slot, findings: Findings) -> Iterator[str]:
    found = {
        shnum: client.read("mutable", slot.storage_index, shnum)
        for shnum in client.shares("mutable", slot.storage_index)
    }
    if found not in (slot.shares, slot.asked):
        yield f"slot {slot.storage_index.hex()} is neither in its old nor in its new state"
    findings.doubtful += slot.asked is not None
    slot.shares, slot.asked = found, None
