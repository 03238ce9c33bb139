"""Comparing what members have with what the index expects, and reading it if wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from raic.backends.array.members import Member, Placement
from raic.backends.array.upkeep.handling import Handler
from raic.backends.array.upkeep.repairing import in_parallel
from raic.backends.array.upkeep.strays import Strays
from raic.backends.array.upkeep.verifying import fragment_size
from raic.backends.array.upkeep.walking import Found, Listed, MemberWalk, everything
from raic.errors import ObjectCorrupt, ObjectNotFound, ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from raic.values import FragmentState, ListedObject

WIDTH = 4
BATCH = 200
DEEP_BATCH = 2 * WIDTH

Unknown = Callable[[Collection[str]], "Deferred[frozenset[str]]"]
"""As :meth:`raic.interfaces.IIndex.unknown_keys`."""

Discard = Callable[[Sequence[ListedObject]], "Deferred[int]"]
"""Is told of objects that are on members but that the index does not refer to; makes garbage of
those that nobody knows, and fires with how many these were."""


@define
class Scrubbed:
    """What a scrub found.

    :ivar objects: how many objects were looked at.
    :ivar fragments: how many of their fragments were there, and right if they were read.
    :ivar missing: how many were not there, or not as long as they should be.
    :ivar altered: how many were altered.
    :ivar adopted: how many count from now on, because those that did are gone.
    :ivar strays: how many fragments were of no use.
    :ivar unresolved: how many could not be looked at, because their members did not answer.
    :ivar errors: why, by the names of the members.
    """

    objects: int = 0
    fragments: int = 0
    missing: int = 0
    altered: int = 0
    adopted: int = 0
    strays: int = 0
    unresolved: int = 0
    errors: dict[str, ProviderError] = field(factory=dict)


async def _nothing(_: Scrub) -> None:
    pass


class Scrub:
    """Goes through everything once.

    :param deep: read and check every block.
    :param told: called with what was found so far.
    :param after: objects up to this one were looked at before.
    :param result: what was found then.
    :param reached: waited for after every few objects.
    :ivar after: the last object that was looked at.
    :ivar result: what was found so far.
    """

    _log = Logger()

    def __init__(
        self,
        handler: Handler,
        unknown_keys: Unknown | None,
        discard: Discard | None,
        told: Callable[[Scrubbed], None],
        *,
        deep: bool = False,
        after: str = "",
        result: Scrubbed | None = None,
        reached: Callable[[Scrub], Awaitable[None]] = _nothing,
    ) -> None:
        self._handler = handler
        self._ledger = handler.ledger
        self._deep = deep
        self._told = told
        self._strays = Strays(handler, unknown_keys, discard)
        self._reached = reached
        self.after = after
        self.result = Scrubbed() if result is None else result
        self._placement: Placement = handler.array.placement()
        self._walks: dict[str, MemberWalk] = {}

    async def run(self) -> Scrubbed:
        """Go through everything, or through what is left of it; raises an ``IndexFailure``."""
        size = DEEP_BATCH if self._deep else BATCH
        before = self.after
        self._walks = {m.name: MemberWalk(m) for m in self._placement.members()}
        batch: list[Found] = []
        async for found in everything(self._ledger, list(self._walks.values())):
            if found.object_key <= before:
                continue
            batch.append(found)
            if len(batch) == size:
                await self._look_at(batch)
                self.after = found.object_key
                await self._reached(self)
                batch = []
        await self._look_at(batch)
        return self.result

    @property
    def held(self) -> dict[str, int]:
        """How many fragments each member that could be listed has."""
        return {name: walk.count for name, walk in self._walks.items() if walk.error is None}

    async def _look_at(self, batch: Sequence[Found]) -> None:
        for name, walk in self._walks.items():
            if walk.error is not None:
                self.result.errors[name] = walk.error
        found = {each.object_key: each for each in batch}

        async def one(object_key: str) -> None:
            await self._look(found[object_key])

        await in_parallel(one, list(found), WIDTH)
        self.result.strays += await self._strays.dispose(self._placement)
        self._told(self.result)

    async def _look(self, found: Found) -> None:
        if not found.is_referred:
            self._strays.unreferred(found, self._placement)
            return
        state = await self._ledger.lookup(found.object_key)
        result = self.result
        result.objects += 1
        whole = True
        for number in self._placement.lasting():
            if number in self._handler.array.placement().numbers():  # or was drained meanwhile
                whole = await self._check(found, number, state) and whole
        self._strays.referred(found, state, self._placement)
        if self._deep and whole:
            await self._ledger.note_verified([found.object_key], self._handler.now())
        if self._deep:  # a batch may take hours
            self._told(result)

    async def _check(self, found: Found, number: int, state: FragmentState) -> bool:
        """Look at one fragment.

        :return: whether it is known to be well.
        """
        members = self._placement.where(number)
        attempt = state.attempts.get(number, FIRST_ATTEMPT)
        pattern = found.pattern()
        expected = None if pattern is None else pattern.sibling(number, attempt)
        right = [
            (member, listed)
            for member in members
            for listed in found.of(member.name)
            if listed.key == expected and listed.size == fragment_size(listed.key)
        ]
        if right:
            return await self._read(right)
        if any(self._walks[member.name].error is not None for member in members):
            self.result.unresolved += 1
            return False
        if number in state.missing:
            self.result.missing += 1
            return False
        key = expected or await self._expected(found.object_key, number)
        if key is None or await self._is_fine_after_all(key, members):
            return False
        if await self._adopted(found, key, members):
            return True
        self.result.missing += 1
        await self._ledger.note_missing([str(key)], "a scrub did not find it")
        return False

    async def _expected(self, object_key: str, number: int) -> FragmentKey | None:
        """The key of a fragment of an object that nobody lists."""
        try:
            return await self._handler.counting(object_key, number)
        except ProviderError:
            return None  # its data is lost, or it was deleted meanwhile

    async def _is_fine_after_all(self, key: FragmentKey, members: Sequence[Member]) -> bool:
        """The object may have been written after the member was listed."""
        for member in members:
            try:
                if await self._handler.look(key, member):
                    return True
            except ObjectCorrupt:
                continue
            except ProviderError:
                self.result.unresolved += 1
                return True
        return False

    async def _adopted(
        self, found: Found, expected: FragmentKey, members: Sequence[Member]
    ) -> bool:
        """Have a fragment of another attempt count, as when the index was lost and made anew."""
        for member in members:
            for listed in found.of(member.name):
                key = listed.key
                if key.number != expected.number or key.attempt == FIRST_ATTEMPT:
                    continue
                try:
                    await self._handler.verify(key, member)
                except ProviderError:
                    continue
                later = self._handler.now() + int(self._handler.array.settings.request_seconds)
                if await self._ledger.commit_attempt(str(key), str(expected), later):
                    self.result.adopted += 1
                    return True
        return False

    async def _read(self, right: Sequence[tuple[Member, Listed]]) -> bool:
        """Read a fragment if it is to be; what its home has is what matters."""
        member, listed = right[0]
        if self._deep:
            try:
                await self._handler.verify(listed.key, member)
            except ObjectNotFound:
                return False  # deleted meanwhile, else the next scrub misses it
            except ObjectCorrupt as error:
                await self._note_altered(member, listed, error)
                return False
            except ProviderError as error:
                self.result.unresolved += 1
                self.result.errors[member.name] = error
                return False
        self.result.fragments += 1
        return True

    async def _note_altered(self, member: Member, listed: Listed, error: ObjectCorrupt) -> None:
        self.result.altered += 1
        self._log.warn(
            "{array}: {member} has altered a fragment, which is to be repaired: {error}",
            array=self._handler.array.name,
            member=member.name,
            error=error,
        )
        reason = f"{member.name}: {error.detail}"
        await self._ledger.note_missing([str(listed.key)], reason)
