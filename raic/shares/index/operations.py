"""What can be done to the index: each function is one whole operation inside a transaction.

Each checks what it must before its first change, so one that raises ``VersionConflict`` has
changed nothing, and each may be called again after its transaction was rolled back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attrs import frozen

from raic.errors import VersionConflict
from raic.shares.index.dropping import slot_objects
from raic.shares.index.fragments import note_repairs
from raic.shares.index.garbage import discard, end_intents, neglect, release
from raic.shares.index.rows import Execute, key_index, key_name, share_row, slot_row
from raic.shares.keys import SHARES, SLOTS
from raic.values import Garbage, Lease, SlotVersion, StoredShare, Version

_RENEW = """INSERT INTO leases
    SELECT ?1, ?2, ?3, ?4
    WHERE EXISTS (SELECT 1 FROM shares WHERE storage_index = ?1)
        OR EXISTS (SELECT 1 FROM slots WHERE storage_index = ?1)
    ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires)
"""
_ADD_SHARE = """INSERT INTO shares (storage_index, shnum, name, header_length, length, stored)
    VALUES (?1, ?2, ?3, ?4, ?5, stored_bytes(?4 + ?5)) ON CONFLICT DO NOTHING
"""
_CURRENT = "SELECT epoch, counter, name, chunk_count, manifest FROM slots WHERE storage_index = ?"
_SET_SLOT = """INSERT INTO slots
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, all_stored_bytes(?), ?)
    ON CONFLICT DO UPDATE SET
        epoch = excluded.epoch, counter = excluded.counter, name = excluded.name,
        header_length = excluded.header_length, size = excluded.size,
        chunk_count = excluded.chunk_count, chunk_bytes = excluded.chunk_bytes,
        manifest = excluded.manifest, enabler_digest = excluded.enabler_digest,
        enabler_sealed = excluded.enabler_sealed, enabler_nodeid = excluded.enabler_nodeid,
        verified = NULL, stored = excluded.stored, share_bytes = excluded.share_bytes
"""
_DROP_SLOT = "DELETE FROM slots WHERE storage_index = ?"
_DROP_SLOT_LEASES = """DELETE FROM leases WHERE storage_index = ?1
    AND NOT EXISTS (SELECT 1 FROM shares WHERE storage_index = ?1)
"""
_FORGET = {
    SHARES: "DELETE FROM shares WHERE storage_index = ? AND name = ?",
    SLOTS: "DELETE FROM slots WHERE storage_index = ? AND name = ?",
}
_DROP_BARE_LEASES = """DELETE FROM leases WHERE storage_index = ?1
    AND NOT EXISTS (SELECT 1 FROM shares WHERE storage_index = ?1)
    AND NOT EXISTS (SELECT 1 FROM slots WHERE storage_index = ?1)
"""
_SET_ASIDE = "INSERT INTO set_aside VALUES (?, ?) ON CONFLICT DO NOTHING"


def renew_lease(execute: Execute, storage_index: bytes, lease: Lease) -> bool:
    """Grant or renew; False when nothing is stored there."""
    row = (storage_index, lease.renew_digest, lease.cancel_digest, lease.expires)
    return execute(_RENEW, row).rowcount > 0


def commit_share(
    execute: Execute,
    share: StoredShare,
    lease: Lease,
    missing: Collection[str],
    ended: Collection[str],
) -> None:
    """Make a share visible.

    :param ended: the intents that end.
    :raises VersionConflict: the share number is taken.
    """
    if execute(_ADD_SHARE, share_row(share)).rowcount == 0:
        raise VersionConflict(f"share {share.shnum} is there already")
    renew_lease(execute, share.storage_index, lease)
    end_intents(execute, ended)
    note_repairs(execute, missing)


def commit_slot(
    execute: Execute,
    version: SlotVersion,
    expected: Version | None,
    lease: Lease | None,
    not_before: int,
    missing: Collection[str],
    ended: Collection[str],
) -> None:
    """Replace a slot's version.

    :param ended: the intents that end.
    :raises VersionConflict: the current version is not the expected one.
    """
    index = version.storage_index
    new = slot_row(version)
    old = execute(_CURRENT, (index,)).fetchone()
    if (None if old is None else Version(old[0], old[1])) != expected:
        raise VersionConflict("the slot was changed meanwhile")
    if old is not None:
        for key in _object_keys(index, old) - version.keys():
            discard(execute, key, not_before)
    if version.shares:
        execute(_SET_SLOT, new)
        note_repairs(execute, missing)
        if lease is not None:
            renew_lease(execute, index, lease)
    else:
        _drop_slot(execute, index)
        discard(execute, version.key, not_before, tombstone=True)
    end_intents(execute, ended)


def _object_keys(storage_index: bytes, row: tuple[Any, ...]) -> frozenset[str]:
    _, _, name, chunk_count, manifest = row
    return slot_objects(storage_index, name, chunk_count, manifest)


def _drop_slot(execute: Execute, storage_index: bytes) -> None:
    execute(_DROP_SLOT, (storage_index,))
    execute(_DROP_SLOT_LEASES, (storage_index,))


def set_aside(execute: Execute, reasons: Mapping[bytes, str]) -> None:
    """Have all objects of some storage indexes count as known."""
    for storage_index, reason in reasons.items():
        execute(_SET_ASIDE, (storage_index, reason))


def forget(execute: Execute, keys: Collection[str]) -> None:
    """Drop shares and slot versions whose objects are not there any more."""
    for key in keys:
        storage_index = key_index(key)
        for kind, drop in _FORGET.items():
            if storage_index is not None and key.startswith(kind):
                name = key_name(kind, storage_index, key)
                execute(drop, (storage_index, name))
                execute(_DROP_BARE_LEASES, (storage_index,))
        neglect(execute, key)


def load(
    execute: Execute,
    shares: Sequence[tuple[StoredShare, Sequence[Lease]]],
    slots: Sequence[tuple[SlotVersion, Sequence[Lease]]],
) -> None:
    """Add what a restore found.

    The newest version of a slot counts, be it a tombstone: then there is no slot.
    """
    for share, leases in shares:
        execute(_ADD_SHARE, share_row(share))
        _grant(execute, share.storage_index, leases)
    newest: dict[bytes, SlotVersion] = {}
    for version, _ in slots:
        other = newest.setdefault(version.storage_index, version)
        if other.version < version.version:
            newest[version.storage_index] = version
    for version in newest.values():
        _load_slot(execute, version)
    for version, leases in slots:
        _grant(execute, version.storage_index, leases)


def _load_slot(execute: Execute, version: SlotVersion) -> None:
    old = execute(_CURRENT, (version.storage_index,)).fetchone()
    if old is not None and Version(old[0], old[1]) >= version.version:
        return
    if old is not None:
        for key in _object_keys(version.storage_index, old) - version.keys():
            neglect(execute, key)
    if version.shares:
        execute(_SET_SLOT, slot_row(version))
    else:
        _drop_slot(execute, version.storage_index)


def _grant(execute: Execute, storage_index: bytes, leases: Sequence[Lease]) -> None:
    for lease in leases:
        renew_lease(execute, storage_index, lease)


# The index's own bookkeeping.


def extend_counters(execute: Execute, block: int) -> int:
    """Reserve more counters; the last of them."""
    execute("UPDATE meta SET counter = counter + ?", (block,))
    return int(execute("SELECT counter FROM meta").fetchone()[0])


def raise_epoch(execute: Execute, epoch: int) -> None:
    """Have later versions be of a higher epoch."""
    execute("UPDATE meta SET epoch = max(epoch, ?)", (epoch,))


@frozen
class Begun:
    """What a process learns as it takes the index over.

    :ivar last_counter: of the block of counters that it may use.
    :ivar clean: whether the process before it closed the index.
    """

    epoch: int
    last_counter: int
    clean: bool


def begin_use(execute: Execute, block: int, not_before: int) -> Begun:
    """Turn an earlier process's intents into garbage, and reserve counters."""
    epoch, clean = execute("SELECT epoch, clean FROM meta").fetchone()
    left = [key for (key,) in execute("SELECT key FROM intents").fetchall()]
    release(execute, [Garbage(key, not_before, 1 if clean else 2) for key in left])
    execute("UPDATE meta SET clean = 0")
    return Begun(epoch, extend_counters(execute, block), bool(clean))


def end_use(execute: Execute) -> None:
    """Note a clean stop."""
    execute("UPDATE meta SET clean = 1")
