"""How much an array holds and can still take."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.members import Member
from raic.backends.array.unwritten import too_few, translated
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.values import Space


@async_to_deferred
async def space_of(name: str, members: Sequence[Member], needed: int, happy: int) -> Space:
    """Ask all members.

    An object needs room with ``happy`` members, for a ``needed``-th of its bytes with each.

    :return: ``used`` as far as members could tell; fails when no member answers.
    """
    spaces: list[Space] = []
    errors: dict[str, ProviderError] = {}

    def note(failure: Failure, member: str) -> None:
        errors[member] = translated(member, "get_space", failure)

    asking = [
        maybeDeferred(member.provider.get_space).addCallbacks(
            spaces.append, note, errbackArgs=(member.name,)
        )
        for member in members
    ]
    await gatherResults(asking)
    if not spaces:
        raise too_few(name, "get_space", "no provider answered", errors, len(members) - 1)
    available = sorted((space.available for space in spaces), reverse=True)
    told = [space.used for space in spaces if space.used is not None]
    return Space(
        sum(told) if told else None,
        needed * available[happy - 1] if len(available) >= happy else 0,
    )
