"""The keys of ``[server:NAME]`` sections."""

from __future__ import annotations

from raic.config import parsers
from raic.config.key import ours

SECTION = "server:*"

SERVER = (
    ours(
        SECTION,
        "backend",
        parsers.text,
        "",
        "Where this server's shares live: provider:NAME or array:NAME.  Required.",
    ),
    ours(
        SECTION,
        "nickname",
        parsers.text,
        "",
        "The name that clients show; empty for the node's own and the server's.",
    ),
    ours(
        SECTION,
        "tub.port",
        parsers.optional(parsers.ports),
        "",
        "Where this server listens, as [node] tub.port.  Required.",
    ),
    ours(
        SECTION,
        "tub.location",
        parsers.optional(parsers.location),
        "",
        "Where clients connect to, as [node] tub.location.  Required.",
    ),
)
