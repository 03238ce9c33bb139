"""An object that is being read, and what its readers have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime

from raic.backends.array.code import Code
from raic.backends.array.extent import Extent
from raic.backends.array.fetching import Blocks, Fetch, Source, Wrong
from raic.backends.array.fragment import FragmentTags
from raic.backends.array.health import HealthBook
from raic.backends.array.members import Member, Placement
from raic.backends.array.reports import Reports
from raic.backends.array.settings import ArraySettings
from raic.errors import ObjectNotFound
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from raic.values import FragmentState

_CACHED_TAGS = 512


@frozen
class Tools:
    """What all readers of an array share.

    :ivar placement: the present one.
    :ivar sibling: the key and the tags of another fragment of an object, by the key of any, its
        number and its attempt.
    """

    name: str
    placement: Callable[[], Placement]
    array_key: bytes
    clock: IReactorTime
    settings: ArraySettings
    health: HealthBook
    reports: Reports
    probes: set[Fetch] = field(factory=set)
    sibling: Callable[[FragmentKey, int, str], tuple[str, FragmentTags]] = field(init=False)

    @sibling.default
    def _cached_siblings(self) -> Callable[[FragmentKey, int, str], tuple[str, FragmentTags]]:
        array_key = self.array_key

        def make(key: FragmentKey, number: int, attempt: str) -> tuple[str, FragmentTags]:
            sibling = key.sibling(number, attempt)
            return str(sibling), FragmentTags(array_key, sibling)

        return lru_cache(_CACHED_TAGS)(make)

    def report(self, target: Target, wrong: Wrong) -> None:
        """Note that a member lied or lost something, unless it is being repaired already."""
        if target.is_assumed and isinstance(wrong.error, ObjectNotFound):
            return  # nobody can have what the object was not cut into
        self.health.of(wrong.member).wrong()
        if wrong.number not in target.missing:
            self.reports.bad(wrong.key, wrong.member, wrong.error)


class Target:
    """An object that is to be read.

    :param key: of any of its fragments.
    :ivar is_assumed: whether the object may have been written with another code than ``key`` says:
        until a block is right.
    :ivar missing: the numbers of fragments that are known to be bad or gone, or may not exist.
    """

    def __init__(
        self, tools: Tools, key: FragmentKey, state: FragmentState, *, is_assumed: bool = False
    ) -> None:
        self.object_key = key.object_key
        self.code = Code(key.needed, key.block_size)
        self.length = key.length
        self.blocks = Blocks(self.code, key.length)
        self._tools = tools
        self._key = key
        self._state = state
        self.is_assumed = is_assumed
        self._placement = tools.placement()
        self.missing = state.missing | self._placement.partial

    def extent(self, begin: int, end: int) -> Extent:
        """A range of it."""
        return Extent(self.code, self.length, begin, end)

    def numbers(self) -> tuple[int, ...]:
        """Of the fragments that it may have."""
        return self._placement.numbers()

    def home(self, number: int) -> Member:
        """The member that is to have a fragment."""
        return self._placement.home(number)

    def source(self, number: int) -> Source:
        """Where a fragment can be read."""
        attempt = self._state.attempts.get(number, FIRST_ATTEMPT)
        key, tags = self._tools.sibling(self._key, number, attempt)
        return Source(number, key, tags, self._placement.where(number))

    def ranked(self, size: int) -> list[int]:
        """All numbers, those to ask first at the front; what is known to be missing comes last."""
        homes = ((number, self._placement.home(number)) for number in self._placement.numbers())
        ranked = self._tools.health.ranked(homes, size)
        if self.missing:
            ranked.sort(key=self.missing.__contains__)
        return ranked

    def is_well(self, number: int) -> bool:
        """Whether a fragment is likely to be had at once."""
        if number in self.missing:
            return False
        return self._tools.health.of(self._placement.home(number).name).is_well

    def patience(self, fetch_member: Member, size: int, others: list[int]) -> float:
        """How long to wait for a member before one of the others is asked as well."""
        names = [self._placement.home(number).name for number in others]
        return self._tools.health.patience(fetch_member.name, size, names)


def cancel_timer(timer: Any) -> None:
    """Cancel a delayed call that may be over, or not exist."""
    if timer is not None and timer.active():
        timer.cancel()
