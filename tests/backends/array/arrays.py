"""Arrays for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.task import Clock

from raic.backends.array.code import Code
from raic.backends.array.members import Member
from raic.backends.array.memoryledger import MemoryLedger
from raic.backends.array.provider import ArrayProvider
from raic.backends.array.settings import ArraySettings
from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.memory import MemoryProvider
from raic.fragmentkeys import MAX_OBJECT_KEY_CHARACTERS, escaped
from raic.interfaces import IStorageProvider

ARRAY_KEY = bytes(range(32))
NAMES = ("aws", "ovh", "b2", "attic", "scaleway", "cellar", "shed")


def usable_key(key: str) -> str:
    """A key that is like ``key`` and that an array takes."""
    if len(escaped(key)) <= MAX_OBJECT_KEY_CHARACTERS:
        return key
    return key[: MAX_OBJECT_KEY_CHARACTERS // (2 if "-" in key else 1)].rstrip("/.") or "x"


class Rig:
    """An array over providers in memory, each of which can be made to misbehave.

    :ivar inner: what the members really hold, by name.
    :ivar plans: what goes wrong with each member, by name.
    """

    def __init__(
        self,
        needed: int = 2,
        happy: int = 2,
        total: int = 3,
        *,
        block_size: int = 64,
        settings: ArraySettings | None = None,
        capacities: Sequence[int | None] = (),
        make: Callable[[str], IStorageProvider] | None = None,
        kind: type[ArrayProvider] = ArrayProvider,
        **more: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.names = NAMES[:total]
        limits = {**dict.fromkeys(self.names), **dict(zip(self.names, capacities, strict=False))}
        self.inner: dict[str, Any] = {
            name: MemoryProvider(name, limits[name]) if make is None else make(name)
            for name in self.names
        }
        self.plans = {name: FaultPlan() for name in self.names}
        self.members = [
            Member(name, FaultyProvider(self.inner[name], self.plans[name])) for name in self.names
        ]
        self.ledger = MemoryLedger()
        self.code = Code(needed, block_size)
        self.happy = happy
        self.settings = ArraySettings() if settings is None else settings
        self.more = more
        self.kind = kind
        self.array = self.make()

    def make(self) -> ArrayProvider:
        """The array as a new process would have it."""
        return self.kind(
            "clouds",
            self.members,
            self.code,
            self.happy,
            ARRAY_KEY,
            self.ledger,
            self.clock,
            self.settings,
            **self.more,
        )

    def fragments(self, name: str) -> dict[str, bytes]:
        """What a member in memory holds."""
        return dict(self.inner[name]._objects)
