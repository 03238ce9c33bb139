"""The keys of ``[provider:NAME]`` sections."""

from __future__ import annotations

from raic.backends.registry import provider_type, provider_types
from raic.config import parsers
from raic.config.credentials.wanted import STORED, parse_command, parse_mode
from raic.config.key import ours
from raic.config.model import USUAL_AVAILABILITY
from raic.errors import ConfigurationError

FILESYSTEM = "filesystem"
"""The one type that is built in: no credentials, no layers."""

SECTION = "provider:*"

_LONGEST_TIMEOUT = 45


def _kind(value: str) -> str:
    """The name of a type."""
    if value == FILESYSTEM:
        return value
    known = provider_types()
    if value not in known:
        raise ValueError("write one of: " + ", ".join(sorted({FILESYSTEM, *known})))
    try:
        provider_type(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
    return value


def _timeout(value: str) -> int:
    """A whole number above 0, at most 45."""
    seconds = parsers.whole(value)
    if seconds > _LONGEST_TIMEOUT:
        raise ValueError(f"write at most {_LONGEST_TIMEOUT}: clients wait no longer")
    return seconds


TYPE_KEYS = (
    ours(
        SECTION,
        "type",
        _kind,
        FILESYSTEM,
        "What it is: filesystem, s3, swift, cloudfiles, libcloud, or what another package offers.",
    ),
    ours(
        SECTION,
        "quota",
        parsers.optional(parsers.positive_size),
        "",
        "How much may be stored there; empty for no limit.",
        live=True,
    ),
    ours(
        SECTION,
        "operator",
        parsers.optional(parsers.text),
        "",
        "Who runs it: providers of one operator may be lost together.",
        live=True,
    ),
    ours(
        SECTION,
        "jurisdiction",
        parsers.optional(parsers.text),
        "",
        "Whose law it is under, such as ie: providers of one may be seized together.",
        live=True,
    ),
    ours(
        SECTION,
        "site",
        parsers.optional(parsers.text),
        "",
        "Where its machines are: providers at one site may burn together.",
        live=True,
    ),
    ours(
        SECTION,
        "price_storage",
        parsers.price,
        "0",
        "What 1 GB costs in a month, in a currency of your own.",
        live=True,
    ),
    ours(
        SECTION,
        "price_download",
        parsers.price,
        "0",
        "What fetching 1 GB costs.",
        live=True,
    ),
    ours(
        SECTION,
        "price_requests",
        parsers.price,
        "0",
        "What 10,000 requests cost.",
        live=True,
    ),
    ours(
        SECTION,
        "availability",
        parsers.percentage,
        f"{USUAL_AVAILABILITY:g}",
        "What part of the time it can be reached, in percent: for raic plan.",
        live=True,
    ),
)

FILESYSTEM_KEYS = (
    ours(
        SECTION,
        "path",
        parsers.file_name,
        "storage",
        "The folder that holds the objects; relative to the node directory.",
    ),
    ours(
        SECTION,
        "fsync",
        parsers.boolean,
        "true",
        "Whether a share is on the disk before it is acknowledged.  false is what Tahoe does.",
    ),
)

CLOUD_KEYS = (
    ours(
        SECTION,
        "credentials",
        parse_mode,
        STORED,
        "stored, or ambient: the cloud's own library looks for credentials in its own way.",
    ),
    ours(
        SECTION,
        "credentials_command",
        parse_command,
        "",
        "A program that prints the secrets that are found nowhere else.",
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
        "upload_rate",
        parsers.optional(parsers.positive_size),
        "",
        "How many bytes a second are sent at most; empty for no limit.",
        live=True,
    ),
    ours(
        SECTION,
        "download_rate",
        parsers.optional(parsers.positive_size),
        "",
        "How many bytes a second are fetched at most; empty for no limit.",
        live=True,
    ),
    ours(
        SECTION,
        "request_rate",
        parsers.optional(parsers.whole),
        "",
        "How many requests a second are made at most; empty for no limit.",
        live=True,
    ),
    ours(
        SECTION,
        "connections",
        parsers.whole,
        "8",
        "How many calls are under way at once at most; more wait for their turn.",
        live=True,
    ),
    ours(
        SECTION,
        "attempts",
        parsers.whole,
        "10",
        "How often a call is made at most before it fails; 1 for no repetition.",
        live=True,
    ),
    ours(
        SECTION,
        "timeout",
        _timeout,
        "20",
        "After how many seconds without an answer a request has failed.",
        live=True,
    ),
)

PROVIDER = (*TYPE_KEYS, *FILESYSTEM_KEYS, *CLOUD_KEYS)
