"""What the listings of an array's members tell: what a restore goes by, when nothing else does."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping

from attrs import Factory, define
from twisted.internet.defer import gatherResults

from raic.backends.array.code import Code
from raic.backends.array.members import Member
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, parse_fragment_key
from raic.interfaces import IFragmentLedger, IStorageProvider

Attempts = Mapping[str, Mapping[int, FragmentKey]]
"""By object key and number, a fragment of a later attempt than the first."""


@define
class Census:
    """What was found.

    :ivar attempts: the fragments that were made anew.  They are preferred to those of the first
        attempt: whoever made them had a reason.  A fragment whose making was not committed any
        more is as good: it became visible as a whole.
    :ivar codes: with which there are fragments.
    :ivar held: by the name of each member that could be listed, how many fragments of each number
        it has.
    """

    attempts: dict[str, dict[int, FragmentKey]] = Factory(dict)
    codes: set[Code] = Factory(set)
    held: dict[str, Counter[int]] = Factory(dict)


@async_to_deferred
async def take_census(members: Collection[Member]) -> Census:
    """List all members.

    Those that cannot be listed are left out: what only they have cannot be read anyway.

    :return: fires with what was found; never fails because of a member.
    """
    census = Census()
    found = await gatherResults([_count(member, census) for member in members])
    for fragment in sorted((key for keys in found for key in keys), key=str):
        census.attempts.setdefault(fragment.object_key, {})[fragment.number] = fragment
    return census


async def record_attempts(ledger: IFragmentLedger, attempts: Attempts, not_before: int) -> None:
    """Have these attempts count, in an index that was just made; those of unknown objects go.

    :param not_before: nothing that this makes garbage is deleted before this second.
    """
    for fragments in attempts.values():
        for fragment in fragments.values():
            first = str(fragment.sibling(fragment.number))
            await ledger.commit_attempt(str(fragment), first, not_before)


@async_to_deferred
async def _count(member: Member, census: Census) -> list[FragmentKey]:
    """Count what a member has; its fragments of later attempts."""
    held: Counter[int] = Counter()
    later: list[FragmentKey] = []
    shapes: set[tuple[int, int]] = set()
    try:
        async for key in _fragments(member.provider):
            held[key.number] += 1
            shapes.add((key.needed, key.block_size))
            if key.attempt != FIRST_ATTEMPT:
                later.append(key)
    except ProviderError:
        return []
    census.held[member.name] = held
    census.codes |= {Code(*shape) for shape in shapes}
    return later


async def _fragments(provider: IStorageProvider) -> AsyncIterator[FragmentKey]:
    token = None
    while True:
        page = await provider.list_objects("", token)
        for listed in page.objects:
            key = parse_fragment_key(listed.key)
            if key is not None:
                yield key
        token = page.next_token
        if token is None:
            return
