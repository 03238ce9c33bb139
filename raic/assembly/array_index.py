"""What the index alone says of an array whose node does not run."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from raic.assembly.checks.indexfile import connect, known_version, look_at_index
from raic.backends.array.maintenance import (
    ArrayStatus,
    MemberStatus,
    Progress,
    RepairStatus,
    ScrubStatus,
    UnderWay,
)
from raic.backends.array.upkeep.moving import NOTE, Move
from raic.backends.array.upkeep.statuses import SCRUB_NOTE
from raic.config.model import ArraySettings, Config
from raic.errors import ConfigurationError, IndexCorrupt, IndexFailure, IndexMissing, IndexTooNew
from raic.fragmentkeys import parse_fragment_key
from raic.shares.index import arrays, fragments, verified
from raic.shares.index.rows import Execute
from raic.values import ArrayEvent, Placed

T = TypeVar("T")

UNKNOWN = "unknown"
"""The state of a provider that nobody has asked anything."""

_PAGE = 1000


def array_of(config: Config) -> ArraySettings:
    """The array that a node has.

    :raises ConfigurationError: it has none.
    """
    if not isinstance(config.backend, ArraySettings):
        raise ConfigurationError([f"[storage] backend is {config.backend.name}, which is no array"])
    return config.backend


def read_status(config: Config) -> ArrayStatus:
    """How an array was doing when its node ended; blocks, and changes nothing.

    :raises IndexFailure: its index cannot be read.
    """
    array = array_of(config)
    return _read(config.index_path, lambda execute: _status(array, execute))


def read_history(config: Config, limit: int) -> tuple[ArrayEvent, ...]:
    """The newest events first; blocks, and changes nothing.

    :raises IndexFailure: its index cannot be read.
    """
    array_of(config)
    return _read(config.index_path, lambda execute: arrays.get_events(execute, limit))


def _read(path: Path, ask: Callable[[Execute], T]) -> T:
    found = look_at_index(path, running=False)
    start = "start the node: it puts that in order"
    if not found.exists:
        raise _failure(IndexMissing, f"there is no index at {path} yet", "start the node first")
    if found.problem:
        raise IndexCorrupt(f"{path}: {found.problem}")
    if found.version is not None and found.version > known_version():
        raise IndexTooNew(f"{path} has version {found.version}, this RAIC knows {known_version()}")
    if found.cut_short:
        raise _failure(IndexFailure, f"{path}: the last run of the node was cut short", start)
    if found.totals is None:
        raise _failure(IndexFailure, f"{path} has the older version {found.version}", start)
    try:
        with closing(connect(path, running=False)) as connection:
            return ask(connection.execute)
    except sqlite3.Error as error:
        raise IndexCorrupt(f"{path}: {error}") from error


def _failure(kind: type[IndexFailure], text: str, remedy: str) -> IndexFailure:
    failure = kind(text)
    failure.remedy = remedy
    return failure


def _status(array: ArraySettings, execute: Execute) -> ArrayStatus:
    totals = verified.array_totals(execute)
    rows = arrays.get_placement(execute)
    notes = arrays.get_notes(execute)
    finished = notes.get(SCRUB_NOTE)
    lacking = _lacking(execute)
    by_number: Counter[int] = Counter()
    for numbers in lacking.values():
        by_number.update(numbers)
    total = len(rows) or array.total
    at_risk = sum(1 for numbers in lacking.values() if total - len(numbers) <= array.needed)
    return ArrayStatus(
        name=array.name,
        needed=array.needed,
        happy=array.happy,
        members=_members(array, rows, by_number),
        objects=totals.objects,
        full=totals.objects - len(lacking),
        degraded=len(lacking) - at_risk,
        at_risk=at_risk,
        repair=RepairStatus(totals.repairs, limit=array.repair_rate),
        scrub=ScrubStatus(
            None if finished is None else int(finished), totals.verified, totals.oldest
        ),
        under_way=_under_way(notes, totals.objects),
    )


def _under_way(notes: Mapping[str, str], objects: int) -> tuple[UnderWay, ...]:
    """What the next start goes on with."""
    if not notes.get(NOTE):
        return ()
    move = Move.load(notes[NOTE])
    text = "it goes on when the node is started"
    return (UnderWay(move.operation, Progress(0, objects, text=text), move.began),)


def _lacking(execute: Execute) -> dict[str, set[int]]:
    """The numbers that are noted for repair, by object."""
    lacking: dict[str, set[int]] = defaultdict(set)
    for text in _repairs(execute):
        key = parse_fragment_key(text)
        if key is not None:
            lacking[key.object_key].add(key.number)
    return lacking


def _repairs(execute: Execute) -> Iterator[str]:
    after = ""
    while page := fragments.next_repairs(execute, _PAGE, after):
        yield from page
        after = page[-1]


def _members(
    array: ArraySettings, rows: tuple[Placed, ...], lacking: Counter[int]
) -> tuple[MemberStatus, ...]:
    homes: dict[str, list[int]] = {member.name: [] for member in array.members}
    former: dict[str, list[int]] = defaultdict(list)
    if not rows:
        rows = tuple(Placed(number, each.name) for number, each in enumerate(array.members))
    for row in rows:
        homes.setdefault(row.provider, []).append(row.number)
        if row.former is not None:
            homes.setdefault(row.former, [])
            former[row.former].append(row.number)
    return tuple(
        MemberStatus(
            name,
            tuple(numbers),
            former=tuple(former[name]),
            state=UNKNOWN,
            missing=sum(lacking[number] for number in numbers),
        )
        for name, numbers in homes.items()
    )
