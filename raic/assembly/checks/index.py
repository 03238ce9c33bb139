"""The index, and the disk that it lies on."""

from __future__ import annotations

import os

from raic.assembly.checks.findings import Finding, error, good, warning
from raic.assembly.checks.indexfile import known_version
from raic.assembly.checks.view import ConfiguredNode
from raic.errors import IndexTooNew
from raic.sizes import in_words

SCANT_BYTES = 200 * 1000 * 1000
"""With less than this around the index, a busy node's log of changes may fill the disk."""


async def check_index(node: ConfiguredNode) -> list[Finding]:
    """Whether there is an index, and whether this RAIC can use it.

    Whether there should be one is for those to say who have seen what the providers hold.
    """
    subject, index, path = "index", node.index, node.config.index_path
    restore = f"run 'raic restore --local {node.directory}'"
    if not index.exists:
        return [good(subject, "there is none yet: the first start makes it")]
    if index.problem:
        return [error(subject, f"{path}: {index.problem}", f"stop the node, then {restore}")]
    version = index.version or 0
    if version > known_version():
        text = f"{path} has version {version}, this RAIC knows {known_version()}"
        return [error(subject, text, IndexTooNew.remedy)]
    if version < known_version():
        return [good(subject, f"version {version}: the next start brings it up to date")]
    if index.cut_short:
        return [good(subject, "the last run was cut short: the next start puts that in order")]
    return [good(subject, _described(node))]


def _described(node: ConfiguredNode) -> str:
    totals = node.index.totals
    if totals is None:
        return f"version {node.index.version}"
    seen = (
        "" if node.index.thorough or node.runner is not None else " (not all of it was looked at)"
    )
    return f"in order{seen}: {totals.shares} shares, {totals.slots} slots, {totals.leases} leases"


async def check_disk(node: ConfiguredNode) -> list[Finding]:
    """Whether the index can grow."""
    subject = "disk"
    found = await node.surroundings.ask(lambda: os.statvfs(node.directory))
    free = found.f_bavail * found.f_frsize
    text = f"{in_words(free)} free around the index"
    if not os.access(node.directory, os.W_OK | os.X_OK):
        return [
            error(
                subject,
                f"{node.directory} cannot be written to by this user",
                f"run this as the node's own user, or: chown -R USER {node.directory}",
            )
        ]
    if free < SCANT_BYTES:
        remedy = f"free some space on the disk that holds {node.directory}"
        return [warning(subject, text, remedy)]
    return [good(subject, text)]
