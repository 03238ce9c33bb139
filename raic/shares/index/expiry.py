"""Dropping what nobody leases any more, and the history of that.

As in ``operations`` and ``lookups``, each function is one whole operation inside a transaction, or
one question.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from raic.shares.index.dropping import Dropped, drop_shares, drop_slot
from raic.shares.index.rows import Execute
from raic.values import ExpiryBatch, ExpiryRule, ExpiryRun, LeasePlace, UpcomingLeases

RUNS = 100
"""How many runs are remembered: the newest."""

DAY_SECONDS = 24 * 60 * 60

_START = LeasePlace(-(2**63), b"", b"")

_OVER = """
    SELECT expires, storage_index, renew_digest FROM leases
    WHERE expires < ? AND (expires, storage_index, renew_digest) > (?, ?, ?)
    ORDER BY expires, storage_index, renew_digest LIMIT ?
"""
_KINDS = """
    SELECT EXISTS (SELECT 1 FROM shares WHERE storage_index = ?1),
        EXISTS (SELECT 1 FROM slots WHERE storage_index = ?1),
        EXISTS (SELECT 1 FROM leases WHERE storage_index = ?1 AND expires >= ?2)
"""
_DROP_LEASES = "DELETE FROM leases WHERE storage_index = ? AND expires < ?"
_RUN = """
    SELECT started, ended, before, immutable, mutable,
        leases, shares, share_bytes, slots, slot_bytes, objects
    FROM expiry_runs
"""
_NOTE_RUN = "INSERT OR REPLACE INTO expiry_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TRIM = """DELETE FROM expiry_runs WHERE started NOT IN
    (SELECT started FROM expiry_runs ORDER BY started DESC LIMIT ?)
"""
_DOOMED = """
    SELECT DISTINCT storage_index FROM leases WHERE expires < ?1 AND storage_index NOT IN
        (SELECT storage_index FROM leases WHERE expires >= ?1)
"""
_UPCOMING = """
    SELECT count(*) FROM (SELECT 1 FROM leases WHERE expires >= ? AND expires < ? LIMIT ?)
"""
# CROSS JOIN has SQLite take the tables in this order: the doomed are few, as a rule.
_SURVEY_SHARES = f"""
    SELECT count(*), coalesce(sum(length), 0)
    FROM ({_DOOMED}) AS doomed CROSS JOIN shares USING (storage_index)
"""  # noqa: S608 (constants)
_SURVEY_SLOTS = f"""
    SELECT count(*), coalesce(sum(size + chunk_bytes), 0), coalesce(sum(1 + chunk_count), 0)
    FROM ({_DOOMED}) AS doomed CROSS JOIN slots USING (storage_index)
"""  # noqa: S608 (constants)


def expire(
    execute: Execute, rule: ExpiryRule, batch: ExpiryBatch
) -> tuple[ExpiryRun, LeasePlace | None]:
    """Drop what has expired, a bounded part of it."""
    over = _next_over(execute, rule, batch.after, batch.limit)
    run = _get_run(execute, rule, batch.run)
    for storage_index in dict.fromkeys(place.storage_index for place in over):
        run = _expire_one(execute, rule, storage_index, batch.not_before, run)
    ended = len(over) < batch.limit
    run = evolve(run, ended=batch.now if ended else None)
    _note_run(execute, run)
    return run, None if ended else over[-1]


def _next_over(
    execute: Execute, rule: ExpiryRule, after: LeasePlace | None, limit: int
) -> list[LeasePlace]:
    start = after or _START
    row = (rule.before, start.expires, start.storage_index, start.renew_digest, limit)
    return [LeasePlace(*found) for found in execute(_OVER, row).fetchall()]


def _expire_one(
    execute: Execute, rule: ExpiryRule, storage_index: bytes, not_before: int, run: ExpiryRun
) -> ExpiryRun:
    bucket, slot, leased = execute(_KINDS, (storage_index, rule.before)).fetchone()
    dropped = Dropped()
    if bucket and rule.immutable and not leased:
        dropped += drop_shares(execute, storage_index, not_before)
    if slot and rule.mutable and not leased:
        dropped += drop_slot(execute, storage_index, not_before)
    leases = 0
    if (rule.immutable or not bucket) and (rule.mutable or not slot):
        # Else they are leases on what does not expire, too.
        leases = execute(_DROP_LEASES, (storage_index, rule.before)).rowcount
    return evolve(
        run,
        leases=run.leases + leases,
        shares=run.shares + dropped.shares,
        share_bytes=run.share_bytes + dropped.share_bytes,
        slots=run.slots + dropped.slots,
        slot_bytes=run.slot_bytes + dropped.slot_bytes,
        objects=run.objects + dropped.objects,
    )


def _get_run(execute: Execute, rule: ExpiryRule, started: int) -> ExpiryRun:
    row = execute(_RUN + "WHERE started = ?", (started,)).fetchone()
    return ExpiryRun(started, rule=rule) if row is None else _run(row)


def _run(row: tuple[Any, ...]) -> ExpiryRun:
    started, ended, before, immutable, mutable, *counts = row
    return ExpiryRun(started, ended, ExpiryRule(before, bool(immutable), bool(mutable)), *counts)


def _note_run(execute: Execute, run: ExpiryRun) -> None:
    rule = run.rule
    row = (run.started, run.ended, rule.before, rule.immutable, rule.mutable)
    counts = (run.leases, run.shares, run.share_bytes, run.slots, run.slot_bytes, run.objects)
    execute(_NOTE_RUN, (*row, *counts))
    execute(_TRIM, (RUNS,))


def get_runs(execute: Execute, limit: int) -> tuple[ExpiryRun, ...]:
    """The newest runs first."""
    found = execute(_RUN + "ORDER BY started DESC LIMIT ?", (limit,)).fetchall()
    return tuple(_run(row) for row in found)


def survey(execute: Execute, rule: ExpiryRule) -> ExpiryRun:
    """What a run would drop, as if it were done; ``started`` and ``leases`` mean nothing."""
    shares = share_bytes = slots = slot_bytes = objects = 0
    if rule.immutable:
        shares, share_bytes = execute(_SURVEY_SHARES, (rule.before,)).fetchone()
    if rule.mutable:
        slots, slot_bytes, objects = execute(_SURVEY_SLOTS, (rule.before,)).fetchone()
    return ExpiryRun(0, None, rule, 0, shares, share_bytes, slots, slot_bytes, objects + shares)


def upcoming(execute: Execute, now: int, limit: int) -> UpcomingLeases:
    """When leases end; see :meth:`raic.interfaces.IIndex.get_upcoming`."""
    (first,) = execute("SELECT MIN(expires) FROM leases WHERE expires >= ?", (now,)).fetchone()
    day, week = (
        execute(_UPCOMING, (now, now + days * DAY_SECONDS, limit)).fetchone()[0] for days in (1, 7)
    )
    return UpcomingLeases(first, day, week)
