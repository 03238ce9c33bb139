"""What a copy of a node would have to move."""

from __future__ import annotations

from attrs import frozen

from raic.backends.array.code import Code
from raic.backends.tags import stored_size
from raic.config.model import ArraySettings, Config
from raic.shares.index import lookups
from raic.shares.index.measures import Measure
from raic.shares.index.rows import Execute, chunk_lengths, slot_shares


@frozen
class Surveyed:
    """What there is; :ivar stored: how many bytes each new provider gets, in ``objects``."""

    shares: int
    slots: int
    share_bytes: int
    leases: int
    objects: int
    stored: int


def survey(execute: Execute, new: Config) -> Surveyed:
    """Look through the whole index.

    :param new: with the backend that the copy goes to.
    """
    totals, usage = lookups.totals(execute), lookups.usage(execute, 0)
    measure, objects, stored = _measure(new), 0, 0
    for (length,) in execute("SELECT header_length + length FROM shares"):
        objects, stored = objects + 1, stored + measure(length)
    for size, manifest in execute("SELECT size, manifest FROM slots"):
        lengths = [size, *chunk_lengths(slot_shares(manifest).values()).values()]
        objects, stored = objects + len(lengths), stored + sum(map(measure, lengths))
    return Surveyed(totals.shares, totals.slots, usage.share_bytes, totals.leases, objects, stored)


def _measure(config: Config) -> Measure:
    backend = config.backend
    if isinstance(backend, ArraySettings):
        return Code(backend.needed, backend.block_size).fragment_size
    return stored_size
