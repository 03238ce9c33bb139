"""What was last committed to small slots, for whoever updates them next.

A connection that only reads loses what it remembers of the database with each commit of the other:
to look a slot and its leases up would take longer than to commit its next version.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from attrs import define, evolve
from twisted.internet.defer import Deferred

from raic.values import Inline, Lease, SlotVersion

T = TypeVar("T")

RECENT_SLOTS = 4096
"""How many slots are remembered."""

MOST_SHARES = 4
MOST_LEASES = 8
"""One with more shares or leases is not."""


@define
class _Slot:
    """A slot as it was last committed; its leases are None until somebody asks for them."""

    version: SlotVersion
    leases: tuple[Lease, ...] | None = None


class RecentSlots:
    """Slots as they were last committed, the least recently committed first.

    All that changes slots or leases must be told here: single slots once it is durable, the rest
    while it is under way.
    """

    def __init__(self) -> None:
        self._slots: OrderedDict[bytes, _Slot] = OrderedDict()
        self._sweeping = 0

    def version(self, storage_index: bytes) -> SlotVersion | None:
        """The slot's current version, if it is remembered."""
        slot = self._slots.get(storage_index)
        return None if slot is None else slot.version

    def leases(self, storage_index: bytes) -> tuple[Lease, ...] | None:
        """The leases, the latest to expire first, if they are remembered."""
        slot = self._slots.get(storage_index)
        return None if slot is None else slot.leases

    def committed(self, version: SlotVersion, lease: Lease | None) -> None:
        """A version has replaced whatever there was."""
        before = self._slots.pop(version.storage_index, None)
        if self._sweeping or not _is_small(version):
            return
        leases = None if before is None else before.leases
        self._slots[version.storage_index] = _Slot(version, _with(leases, lease))
        if len(self._slots) > RECENT_SLOTS:
            self._slots.popitem(last=False)

    def renewed(self, storage_index: bytes, lease: Lease) -> None:
        """A lease was granted or renewed."""
        slot = self._slots.get(storage_index)
        if slot is not None:
            slot.leases = _with(slot.leases, lease)

    def looked_up(self, leases: tuple[Lease, ...], storage_index: bytes) -> tuple[Lease, ...]:
        """Remember leases that had to be looked up; returns them."""
        slot = self._slots.get(storage_index)
        if slot is not None and len(leases) <= MOST_LEASES:
            slot.leases = leases
        return leases

    def sweeping(self, operation: Deferred[T]) -> Deferred[T]:
        """Remember nothing until an operation has ended that may drop any slot or lease."""
        self._sweeping += 1
        self._slots.clear()
        return operation.addBoth(self._swept)

    def _swept(self, result: T) -> T:
        self._sweeping -= 1
        return result


def _is_small(version: SlotVersion) -> bool:
    shares = version.shares.values()
    return 0 < len(shares) <= MOST_SHARES and all(
        isinstance(share.content, Inline) for share in shares
    )


def _with(leases: tuple[Lease, ...] | None, lease: Lease | None) -> tuple[Lease, ...] | None:
    """Leases after one was granted or renewed; None when they are not known, or too many."""
    if leases is None or lease is None:
        return leases
    by_secret = {each.renew_digest: each for each in leases}
    before = by_secret.get(lease.renew_digest, lease)
    by_secret[lease.renew_digest] = evolve(before, expires=max(before.expires, lease.expires))
    if len(by_secret) > MOST_LEASES:
        return None
    return tuple(sorted(by_secret.values(), key=_latest_first))


def _latest_first(lease: Lease) -> tuple[int, bytes]:
    return -lease.expires, lease.renew_digest
