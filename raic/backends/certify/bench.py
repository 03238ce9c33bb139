"""What checks work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from attrs import field, frozen
from twisted.internet.interfaces import IConsumer, IProducer, IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from raic.backends.certify.outcomes import CheckFailed, expect
from raic.backends.certify.sandbox import FIRST_PAUSE, LONGEST_PAUSE, Sandbox, listed_keys
from raic.errors import ObjectNotFound
from raic.interfaces import IServiceTraits, IStorageProvider

T = TypeVar("T")

MIB = 1024 * 1024

SLOWEST = 32 * 1024
"""Bytes a second: a slower link makes checks fail."""


@frozen
class Options:
    """How thorough a certification is.

    :ivar samples: how many small objects latencies are measured with.
    :ivar transfer_bytes: how many bytes throughput is measured with.
    :ivar connections: how many calls are made at once.
    :ivar settle_seconds: how long listings, and reads of what was deleted, may be out of date.
    :ivar check_seconds: how long a check may take besides moving its bytes.
    """

    samples: int = 20
    transfer_bytes: int = 8 * MIB
    connections: int = 8
    settle_seconds: float = 30.0
    check_seconds: float = 90.0


@frozen
class Bench:
    """A provider, and what is known of it.

    :ivar leaf: the innermost: it knows its service's ways.
    :ivar emulated: what the leaf does itself, and how.
    """

    provider: Sandbox
    leaf: IStorageProvider
    clock: IReactorTime
    options: Options
    emulated: Mapping[str, str] = field(factory=dict)

    @property
    def part_size(self) -> int | None:
        """The size of the parts of large objects; None where they are stored in one piece."""
        if not IServiceTraits.providedBy(self.leaf):
            return None
        return int(IServiceTraits(self.leaf).part_size)

    @property
    def large_size(self) -> int:
        """The size of an object that is larger than one part."""
        return (self.part_size or 3 * MIB) + MIB + 1

    async def timed(self, awaited: Awaitable[T]) -> tuple[float, T]:
        """How many seconds something takes, and its result."""
        began = self.clock.seconds()
        result = await awaited
        return max(0.0, self.clock.seconds() - began), result

    async def settled(self, holds: Callable[[], Awaitable[bool]], otherwise: str) -> float:
        """Wait until something holds; returns how many seconds it took.

        :raises CheckFailed: it does not hold soon enough.
        """
        began = self.clock.seconds()
        pause = FIRST_PAUSE
        while not await holds():
            waited = self.clock.seconds() - began
            if waited >= self.options.settle_seconds:
                raise CheckFailed(f"{otherwise} after {waited:.0f} s")
            await deferLater(self.clock, pause, lambda: None)
            pause = min(2 * pause, LONGEST_PAUSE)
        return self.clock.seconds() - began

    async def keys(self, folder: str) -> list[str]:
        """The keys that are listed below a folder of ours."""
        return await listed_keys(self.provider, self.provider.key(folder))

    async def put(self, name: str, data: bytes) -> str:
        """Store a small object; returns its key."""
        key = self.provider.key(name)
        stored = await self.provider.put_object(key, data)
        expect(stored.size == len(data), f"{stored.size} bytes were stored, not {len(data)}")
        return key

    async def must_read(self, key: str, data: bytes, what: str) -> None:
        """Read a small object, and one byte beyond it.

        :raises CheckFailed: it is not this one.
        """
        found = await self.provider.get_object(key, 0, len(data) + 1)
        expect(found == data, f"{what}: {difference(found, data)}")

    async def is_gone(self, key: str) -> bool:
        """Whether nothing can be read under a key.

        The leaf is asked: the layers would ask again and again for what should be there.
        """
        try:
            await self.leaf.get_object(key, 0, 1)
        except ObjectNotFound:
            return True
        return False


def difference(found: bytes, wanted: bytes) -> str:
    """How two byte strings differ."""
    if len(found) != len(wanted):
        return f"{len(found)} bytes came back instead of {len(wanted)}"
    pairs = enumerate(zip(found, wanted, strict=True))
    at = next((place for place, (one, other) in pairs if one != other), None)
    return f"byte {at} came back altered"


@implementer(IConsumer)
class Receiver:
    """Takes a stream as fast as it comes.

    :param take: called with each piece.
    """

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See ``IConsumer``."""

    def unregisterProducer(self) -> None:
        """See ``IConsumer``."""

    def write(self, data: bytes) -> None:
        """See ``IConsumer``."""
        self._take(data)
