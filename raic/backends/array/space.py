"""How much an array holds and can still take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.code import HEADER_BYTES, Code
from raic.backends.array.members import Member
from raic.backends.array.unwritten import too_few, translated
from raic.backends.tags import TAG_BYTES
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.values import Space


@async_to_deferred
async def space_of(name: str, members: Sequence[Member], code: Code, happy: int) -> Space:
    """Ask all members.

    An object needs room with ``happy`` members, for one fragment with each.  Room that members
    share is divided among them, since as a rule each of them stores a fragment.

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
    room = sorted(_rooms(spaces), reverse=True)
    told = [space.used for space in spaces if space.used is not None]
    return Space(
        sum(told) if told else None,
        longest_object(code, room[happy - 1]) if len(room) >= happy else 0,
    )


def longest_object(code: Code, room: int) -> int:
    """How long an object may be whose fragments have at most ``room`` bytes."""
    stored = room - HEADER_BYTES
    blocks = stored - TAG_BYTES * -(-stored // (code.block_size + TAG_BYTES))
    return max(0, code.needed * blocks)


def _rooms(spaces: Sequence[Space]) -> list[int]:
    sharers = Counter(space.pool.name for space in spaces if space.pool is not None)
    return [
        space.available
        if space.pool is None
        else min(space.available, space.pool.available // sharers[space.pool.name])
        for space in spaces
    ]
