"""What an index holds, as dictionaries: the model that the state machine compares with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from attrs import define, evolve, field

from raic.backends.array.memoryledger import MemoryLedger
from raic.errors import VersionConflict
from raic.fragmentkeys import parse_fragment_key
from raic.shares.index.rows import key_index
from raic.values import (
    Advisory,
    ExpiryBatch,
    ExpiryRule,
    ExpiryRun,
    Expunged,
    Garbage,
    Inline,
    Lease,
    LeasePlace,
    SlotVersion,
    StoredShare,
    Totals,
    Usage,
    Version,
)

DAY = 24 * 60 * 60

Discarded: TypeAlias = tuple[Garbage, bytes | None, bool]
"""Garbage, its storage index, and whether it is a tombstone."""


@define
class Model:
    """Each method of ``IIndex`` that changes something, and what can be asked.

    :ivar ledger: follows; it has intents and garbage of its own, which must agree.
    """

    shares: dict[tuple[bytes, int], StoredShare] = field(factory=dict)
    slots: dict[bytes, SlotVersion] = field(factory=dict)
    leases: dict[tuple[bytes, bytes], Lease] = field(factory=dict)
    intents: set[str] = field(factory=set)
    discarded: dict[str, Discarded] = field(factory=dict)
    ledger: MemoryLedger = field(factory=MemoryLedger)
    advisories: list[Advisory] = field(factory=list)
    runs: dict[int, ExpiryRun] = field(factory=dict)
    expunged: list[Expunged] = field(factory=list)

    def copy(self) -> Model:
        return Model(
            dict(self.shares),
            dict(self.slots),
            dict(self.leases),
            set(self.intents),
            dict(self.discarded),
            self.ledger.copy(),
            list(self.advisories),
            dict(self.runs),
            list(self.expunged),
        )

    # Asking

    def bucket(self, storage_index: bytes) -> dict[int, StoredShare]:
        return {num: share for (si, num), share in self.shares.items() if si == storage_index}

    def leases_of(self, storage_index: bytes) -> set[Lease]:
        return {lease for (si, _), lease in self.leases.items() if si == storage_index}

    def totals(self) -> Totals:
        return Totals(
            len(self.shares),
            sum(share.length for share in self.shares.values()),
            len(self.slots),
            sum(_stored_bytes(slot) for slot in self.slots.values()),
            len(self.leases),
            len(self.discarded),
            len(self.intents),
            len(self.ledger.repairs),
            len(self.advisories),
        )

    def usage(self, since: int, measure: Callable[[int], int]) -> Usage:
        """Counted anew, object by object."""
        stored: Counter[bytes | None] = Counter()
        for key in self.referred():
            stored[key_index(key)] += measure(_length(key))
        leased = {
            si for (si, _), lease in self.leases.items() if lease.expires // DAY >= since // DAY
        }
        garbage = 0
        missing: Counter[int] = Counter()
        fragments: Counter[int] = Counter()
        for key in self.discarded:
            fragment = parse_fragment_key(key)
            if fragment is not None:
                fragments[fragment.number] += fragment.size
            elif "." in key:
                garbage += measure(_length(key))
        for key in self.ledger.repairs:
            fragment = parse_fragment_key(key)
            assert fragment is not None
            missing[fragment.number] += fragment.size
        return Usage(
            sum(share.length for share in self.shares.values())
            + sum(_share_bytes(slot) for slot in self.slots.values()),
            sum(stored.values()),
            sum(size for si, size in stored.items() if si in leased),
            garbage,
            dict(missing),
            dict(fragments),
        )

    def due(self, now: int) -> set[Garbage]:
        waited_for = {si for _, si, tombstone in self.discarded.values() if not tombstone}
        return {
            garbage
            for garbage, si, tombstone in self.discarded.values()
            if garbage.not_before <= now and not (tombstone and si in waited_for)
        }

    def referred(self) -> set[str]:
        keys = {share.key for share in self.shares.values()}
        return keys.union(*(slot.keys() for slot in self.slots.values()))

    def named(self) -> set[str]:
        return self.referred() | self.intents | set(self.discarded) | set(self.ledger.repairs)

    def knows(self, key: str) -> bool:
        if key in self.named():
            return True
        fragment = parse_fragment_key(key)
        if fragment is None or fragment.object_key not in self.named():
            return False
        place = (fragment.object_key, fragment.number)
        return self.ledger.attempts.get(place, "0") == fragment.attempt

    # Changing

    def reserve(self, keys: Collection[str]) -> None:
        self.intents |= set(keys)
        self.ledger.reserve(keys)

    def release(self, garbage: Collection[Garbage]) -> None:
        for one in garbage:
            self.intents.discard(one.key)
            self._discard(one, key_index(one.key), False)

    def commit_share(self, share: StoredShare, lease: Lease, missing: Collection[str]) -> None:
        place = (share.storage_index, share.shnum)
        if place in self.shares:
            raise VersionConflict
        self.shares[place] = share
        self.renew_lease(share.storage_index, lease)
        self.intents.discard(share.key)
        self.ledger.commit([share.key], missing)

    def commit_slot(
        self,
        version: SlotVersion,
        expected: Version | None,
        lease: Lease | None,
        not_before: int,
        missing: Collection[str],
    ) -> None:
        index = version.storage_index
        old = self.slots.get(index)
        if (None if old is None else old.version) != expected:
            raise VersionConflict
        if old is not None:
            for key in old.keys() - version.keys():
                self._discard(Garbage(key, not_before), index, False)
        if version.shares:
            self.slots[index] = version
            self.ledger.commit(version.keys(), missing)
            if lease is not None:
                self.renew_lease(index, lease)
        else:
            self._drop_slot(index)
            self._discard(Garbage(version.key, not_before), index, True)
        self.intents -= version.keys()

    def renew_lease(self, storage_index: bytes, lease: Lease) -> bool:
        if storage_index not in self.slots and not self.bucket(storage_index):
            return False
        held = self.leases.get((storage_index, lease.renew_digest))
        if held is None:
            self.leases[storage_index, lease.renew_digest] = lease
        elif held.expires < lease.expires:
            renewed = evolve(held, expires=lease.expires)
            self.leases[storage_index, lease.renew_digest] = renewed
        return True

    def advise(self, advisory: Advisory) -> bool:
        alike = [one for one in self.advisories if _place(one) == _place(advisory)]
        since = advisory.received - 24 * 60 * 60
        taken = sum(one.received > since for one in alike) < 10
        self.advisories += [advisory] * taken
        return taken

    def settle_advisory(self, advisory: Advisory, checked: int, verdict: str) -> None:
        self.advisories = [
            evolve(one, checked=checked, verdict=verdict)
            if _place(one) == _place(advisory)
            and one.received <= advisory.received
            and one.checked is None
            else one
            for one in self.advisories
        ]

    def expire(self, rule: ExpiryRule, batch: ExpiryBatch) -> tuple[ExpiryRun, LeasePlace | None]:
        places = sorted(
            (lease.expires, si, digest)
            for (si, digest), lease in self.leases.items()
            if lease.expires < rule.before
        )
        after = batch.after
        if after is not None:
            before = (after.expires, after.storage_index, after.renew_digest)
            places = [place for place in places if place > before]
        places = places[: batch.limit]
        run = self.runs.get(batch.run, ExpiryRun(batch.run, rule=rule))
        for storage_index in dict.fromkeys(si for _, si, _ in places):
            run = self._expire_one(rule, storage_index, batch.not_before, run)
        ended = len(places) < batch.limit
        self.runs[batch.run] = run = evolve(run, ended=batch.now if ended else None)
        return run, None if ended else LeasePlace(*places[-1])

    def _expire_one(
        self, rule: ExpiryRule, storage_index: bytes, not_before: int, run: ExpiryRun
    ) -> ExpiryRun:
        kinds = {rule.immutable} if self.bucket(storage_index) else set()
        kinds |= {rule.mutable} if storage_index in self.slots else set()
        before = self.totals()
        over = {lease for lease in self.leases_of(storage_index) if lease.expires < rule.before}
        if over == self.leases_of(storage_index):
            self._drop(storage_index, not_before, shares=rule.immutable, slot=rule.mutable)
        if False not in kinds:
            for lease in over:
                del self.leases[storage_index, lease.renew_digest]
        now = self.totals()
        return evolve(
            run,
            leases=run.leases + before.leases - now.leases,
            shares=run.shares + before.shares - now.shares,
            share_bytes=run.share_bytes + before.share_bytes - now.share_bytes,
            slots=run.slots + before.slots - now.slots,
            slot_bytes=run.slot_bytes + before.slot_bytes - now.slot_bytes,
            objects=run.objects + now.garbage - before.garbage,
        )

    def expunge(
        self,
        storage_index: bytes,
        objects: Collection[str],
        tombstone: str,
        reason: str,
        now: int,
        not_before: int,
    ) -> Expunged:
        bucket, slot = self.bucket(storage_index), self.slots.get(storage_index)
        keys = {share.key for share in bucket.values()} | (slot.keys() if slot else set())
        if not keys <= set(objects):
            raise VersionConflict
        before = self.totals()
        self._drop(storage_index, not_before, shares=True, slot=True)
        for lease in self.leases_of(storage_index):
            del self.leases[storage_index, lease.renew_digest]
        self._discard(Garbage(tombstone, not_before), storage_index, True)
        self.intents.discard(tombstone)
        after = self.totals()
        size = before.share_bytes + before.slot_bytes - after.share_bytes - after.slot_bytes
        note = Expunged(now, storage_index, reason, len(bucket), slot is not None, size)
        self.expunged.append(note)
        return note

    def _drop(self, storage_index: bytes, not_before: int, *, shares: bool, slot: bool) -> None:
        for shnum, share in self.bucket(storage_index).items() if shares else ():
            del self.shares[storage_index, shnum]
            self._discard(Garbage(share.key, not_before), storage_index, False)
        if slot and storage_index in self.slots:
            version = self.slots.pop(storage_index)
            for key in version.keys():  # noqa: SIM118 (it is no dictionary)
                self._discard(Garbage(key, not_before), storage_index, False)

    def settle_garbage(self, settled: Collection[Garbage]) -> None:
        self.ledger.settle_garbage(settled)
        for one in settled:
            _, si, tombstone = self.discarded.pop(one.key)
            if one.passes > 1:
                left = evolve(one, passes=one.passes - 1)
                self.discarded[one.key] = (left, si, tombstone)

    def load(
        self,
        shares: Sequence[tuple[StoredShare, Sequence[Lease]]],
        slots: Sequence[tuple[SlotVersion, Sequence[Lease]]],
    ) -> None:
        for share, _ in shares:
            self.shares.setdefault((share.storage_index, share.shnum), share)
        for version in sorted((version for version, _ in slots), key=lambda one: one.version):
            index = version.storage_index
            if index in self.slots and self.slots[index].version > version.version:
                continue
            if version.shares:
                self.slots[index] = version
            else:
                self._drop_slot(index)
        self.ledger.referred = self.referred()
        self.ledger.neglect()
        for loaded in (shares, slots):
            for one, leases in loaded:
                for lease in leases:
                    self.renew_lease(one.storage_index, lease)

    def start(self, not_before: int, clean: bool) -> None:
        """What the next process does first."""
        self.release([Garbage(key, not_before, 1 if clean else 2) for key in self.intents])
        self.ledger.settled.clear()

    def follow(self) -> None:
        """Take over what an operation of the ledger did to intents and garbage."""
        self.intents = set(self.ledger.intended)
        for key, garbage in self.ledger.garbage.items():
            _, si, tombstone = self.discarded.get(key, (garbage, key_index(key), False))
            self.discarded[key] = (garbage, si, tombstone)

    def _discard(self, garbage: Garbage, storage_index: bytes | None, tombstone: bool) -> None:
        self.ledger.release([garbage])
        held, _, tombstone = self.discarded.get(garbage.key, (garbage, None, tombstone))
        merged = evolve(
            garbage,
            not_before=max(held.not_before, garbage.not_before),
            passes=max(held.passes, garbage.passes),
        )
        self.discarded[garbage.key] = (merged, storage_index, tombstone)

    def _drop_slot(self, storage_index: bytes) -> None:
        self.slots.pop(storage_index, None)
        if not self.bucket(storage_index):
            for place in [place for place in self.leases if place[0] == storage_index]:
                del self.leases[place]


def _length(key: str) -> int:
    return int(key.rpartition(".")[2])


def _share_bytes(slot: SlotVersion) -> int:
    inline = [each for each in slot.shares.values() if isinstance(each.content, Inline)]
    return sum(each.length for each in inline) + sum(map(_length, slot.chunk_keys()))


def _stored_bytes(slot: SlotVersion) -> int:
    return slot.size + sum(int(key.rpartition(".")[2]) for key in slot.chunk_keys())


def _place(advisory: Advisory) -> tuple[bytes, str, int]:
    return advisory.storage_index, advisory.kind, advisory.shnum
