"""Discarding what a stopped process left of uploads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.array.members import Member
from raic.backends.array.starting import Starter
from raic.backends.array.unwritten import too_few, translated
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.fragmentkeys import fragment_prefix
from raic.interfaces import IInterruptedUploads

_log = Logger()


@async_to_deferred
async def clear_members(name: str, members: Sequence[Member], prefix: str, starter: Starter) -> int:
    """Have all members that can do so discard what is under ``prefix``.

    One that does not stand yet does so as soon as it has started.

    :return: how many there were with the others; fails when none of them could be asked.
    """
    counts: list[int] = []
    errors: dict[str, ProviderError] = {}

    def note(failure: Failure, member: str) -> None:
        errors[member] = _not_cleared(failure, name, member)

    clearing = []
    for member in members:
        if not IInterruptedUploads.providedBy(member.provider):
            continue
        if starter.stands(member.name):
            asking = _clear(member, prefix)
            clearing.append(asking.addCallbacks(counts.append, note, errbackArgs=(member.name,)))
        else:
            starter.when_it_stands(member.name, partial(_clear_late, name, member, prefix))
    await gatherResults(clearing)
    if errors and not counts:
        what = "no provider cleared interrupted uploads"
        raise too_few(name, "clear_interrupted_uploads", what, errors, len(errors) - 1)
    return sum(counts)


def _clear(member: Member, prefix: str) -> Deferred[int]:
    provider = IInterruptedUploads(member.provider)
    return maybeDeferred(provider.clear_interrupted_uploads, fragment_prefix(prefix))


def _clear_late(name: str, member: Member, prefix: str) -> None:
    def cleared(count: int) -> None:
        if count:
            _log.info(
                "{array}: {count} interrupted uploads on {member} were discarded",
                array=name,
                count=count,
                member=member.name,
            )

    def failed(failure: Failure) -> None:
        _not_cleared(failure, name, member.name)

    _clear(member, prefix).addCallbacks(cleared, failed)


def _not_cleared(failure: Failure, name: str, member: str) -> ProviderError:
    error = translated(member, "clear_interrupted_uploads", failure)
    _log.warn(
        "{array}: interrupted uploads on {member} were not cleared: {error}",
        array=name,
        member=member,
        error=error,
    )
    return error
