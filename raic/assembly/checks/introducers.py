"""The introducers that the node is announced to."""

from __future__ import annotations

import re

from raic.assembly.checks.findings import Finding, error, good
from raic.assembly.checks.view import ConfiguredNode

_FURL = re.compile(r"pb://[a-z2-7]{32}@(?P<hints>[^/]*)/.+")
_HINT = re.compile(r"((tcp|tor):)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}|i2p:.+")


async def check_introducers(node: ConfiguredNode) -> list[Finding]:
    """Whether each FURL says where its introducer is; its form was checked with the file."""
    subject = "introducers"
    found = node.config.introducers
    if not found:
        text = "none: clients need the entry in private/servers.yaml"
        return [good(subject, text)]
    findings = []
    for number, furl in enumerate(found, 1):
        # A FURL is the right to use the introducer: it is not shown.
        parts = _FURL.fullmatch(furl)
        hints = [] if parts is None else parts["hints"].split(",")
        if not any(_HINT.fullmatch(hint) for hint in hints):
            text = f"number {number} has no address that can be connected to"
            remedy = "ask whoever runs it for a FURL such as pb://TUBID@tcp:HOST:PORT/NAME"
            findings.append(error(subject, text, remedy))
    return findings or [good(subject, f"{len(found)}, well formed")]
