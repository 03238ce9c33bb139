"""Which fragments were made anew: what a restore goes by, when nothing else tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

from twisted.internet.defer import gatherResults

from raic.backends.array.members import Member
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, parse_fragment_key
from raic.interfaces import IFragmentLedger, IStorageProvider

Attempts = Mapping[str, Mapping[int, FragmentKey]]
"""By object key and number, a fragment of a later attempt than the first."""


@async_to_deferred
async def take_census(members: Collection[Member]) -> Attempts:
    """Look for fragments that were made anew.

    They are preferred to those of the first attempt: whoever made them had a reason.  A fragment
    whose making was not committed any more is as good: it became visible as a whole.

    Members that cannot be listed are left out: what only they have cannot be read anyway.

    :return: fires with the attempts.
    """
    found = await gatherResults([_later_attempts(member.provider) for member in members])
    attempts: dict[str, dict[int, FragmentKey]] = {}
    for fragment in sorted((key for keys in found for key in keys), key=str):
        attempts.setdefault(fragment.object_key, {})[fragment.number] = fragment
    return attempts


async def record_attempts(ledger: IFragmentLedger, attempts: Attempts, not_before: int) -> None:
    """Have these attempts count, in an index that was just made; those of unknown objects go.

    :param not_before: nothing that this makes garbage is deleted before this second.
    """
    for fragments in attempts.values():
        for fragment in fragments.values():
            first = str(fragment.sibling(fragment.number))
            await ledger.commit_attempt(str(fragment), first, not_before)


@async_to_deferred
async def _later_attempts(provider: IStorageProvider) -> list[FragmentKey]:
    try:
        return [key async for key in _fragments(provider) if key.attempt != FIRST_ATTEMPT]
    except ProviderError:
        return []


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
