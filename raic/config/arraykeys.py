"""The keys of ``[array:NAME]`` sections."""

from __future__ import annotations

from raic.config import parsers
from raic.config.key import ours

SECTION = "array:*"

_SMALLEST_BLOCK = 4096
_LARGEST_BLOCK = 1024 * 1024


def _names(value: str) -> tuple[str, ...]:
    """Names, separated by commas."""
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise ValueError("write the names of providers, separated by commas")
    if len(set(names)) < len(names):
        raise ValueError("each provider can stand there once only")
    return names


def _block(value: str) -> int:
    """A power of two from 4KiB to 1MiB."""
    size = parsers.size(value)
    if not _SMALLEST_BLOCK <= size <= _LARGEST_BLOCK or size & (size - 1):
        raise ValueError("write a power of two from 4KiB to 1MiB, such as 64KiB")
    return size


ARRAY = (
    ours(
        SECTION,
        "providers",
        parsers.optional(_names),
        "",
        "The providers that hold the fragments, separated by commas; each has its own section.",
    ),
    ours(
        SECTION,
        "needed",
        parsers.optional(parsers.whole),
        "",
        "How many providers suffice to read.  Required.",
    ),
    ours(
        SECTION,
        "happy",
        parsers.optional(parsers.whole),
        "",
        "How many providers must have a write before it is acknowledged.  Required.",
    ),
    ours(
        SECTION,
        "allow_bare_ack",
        parsers.boolean,
        "false",
        "Whether happy may equal needed: what was just written then survives no loss at all.",
        live=True,
    ),
    ours(
        SECTION,
        "allow_shared_domain",
        parsers.boolean,
        "false",
        "Whether one operator, jurisdiction or site may hold more fragments than can be lost.",
        live=True,
    ),
    ours(
        SECTION,
        "block_size",
        _block,
        "64KiB",
        "How objects are cut: a power of two from 4KiB to 1MiB.",
    ),
    ours(
        SECTION,
        "straggler_seconds",
        parsers.whole,
        "2",
        "How long a write waits at most for providers that are slower than the others.",
    ),
    ours(
        SECTION,
        "cache_size",
        parsers.size,
        "32MiB",
        "How much memory holds what was read; 0 for no cache and no reading ahead.",
        live=True,
    ),
    ours(
        SECTION,
        "read_ahead",
        parsers.size,
        "2MiB",
        "How far ahead of a sequential reader is fetched; 0 for not at all.",
        live=True,
    ),
    ours(
        SECTION,
        "repair_rate",
        parsers.optional(parsers.positive_size),
        "",
        "How many bytes a second background repair, scrub and moves may use; empty for no limit.",
        live=True,
    ),
)
