"""The index, and the disk that it lies on."""

from __future__ import annotations

import os
from functools import partial

from raic.assembly.checks.deadline import TookTooLong
from raic.assembly.checks.findings import Finding, error, good, warning
from raic.assembly.checks.indexfile import find_damage, known_version
from raic.assembly.checks.view import ConfiguredNode
from raic.errors import IndexTooNew
from raic.sizes import in_words

SCANT_BYTES = 200 * 1000 * 1000
"""With less than this around the index, a busy node's log of changes may fill the disk."""


DAMAGE_SECONDS = 10.0
"""How long a large index is looked at."""


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
    totals = index.totals
    assert totals is not None  # it was read, or one of the above is so
    held = f"{totals.shares} shares, {totals.slots} slots, {totals.leases} leases"
    if node.runner is not None:
        # Its process has it open; a long look would hold up its writing.
        return [good(subject, f"in use: {held}")]
    damage = await _damage(node)
    if damage:
        return [error(subject, f"{path} is damaged: {damage}", restore)]
    return [good(subject, f"in order{'' if damage == '' else ', as far as was looked'}: {held}")]


async def _damage(node: ConfiguredNode) -> str | None:
    """See :func:`~raic.assembly.checks.indexfile.find_damage`."""
    clock = node.surroundings.reactor
    end = clock.seconds() + min(DAMAGE_SECONDS, node.surroundings.seconds)
    look = partial(find_damage, node.config.index_path, lambda: clock.seconds() < end)
    try:
        return await node.surroundings.ask(look)
    except TookTooLong:
        return None


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
