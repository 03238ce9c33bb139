"""Discarding what a stopped process left of uploads."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.array.members import Member
from raic.backends.array.unwritten import too_few, translated
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.fragmentkeys import fragment_prefix
from raic.interfaces import IInterruptedUploads

_log = Logger()


@async_to_deferred
async def clear_members(name: str, members: Sequence[Member], prefix: str) -> int:
    """Have all members that can do so discard what is under ``prefix``.

    :return: how many there were; fails when no member could be asked.
    """
    counts: list[int] = []
    errors: dict[str, ProviderError] = {}

    def note(failure: Failure, member: str) -> None:
        error = errors[member] = translated(member, "clear_interrupted_uploads", failure)
        _log.warn(
            "{array}: interrupted uploads on {member} were not cleared: {error}",
            array=name,
            member=member,
            error=error,
        )

    clearing = [
        maybeDeferred(
            IInterruptedUploads(member.provider).clear_interrupted_uploads, fragment_prefix(prefix)
        ).addCallbacks(counts.append, note, errbackArgs=(member.name,))
        for member in members
        if IInterruptedUploads.providedBy(member.provider)
    ]
    await gatherResults(clearing)
    if errors and not counts:
        what = "no provider cleared interrupted uploads"
        raise too_few(name, "clear_interrupted_uploads", what, errors, len(errors) - 1)
    return sum(counts)
