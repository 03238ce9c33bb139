"""``raic`` in a process of its own, with providers that can be given troubles while it runs.

A socket in the node directory takes lines of JSON and answers each with one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

import raic.assembly.arrays
import raic.assembly.attaching
import raic.assembly.members
import raic.assembly.stack
import raic.assembly.upkeep
import raic.backends.array.health
import raic.server.space
import raic.shares.ownership
from raic.assembly.arrays import ArrayStack
from raic.backends.array.code import Code
from raic.backends.array.fetching import Blocks
from raic.backends.array.fragment import HEADER_BYTES, FragmentTags
from raic.backends.array.upkeep import repairing
from raic.backends.array.upkeep.service import ArrayMaintenance
from raic.backends.layers.circuit import CircuitSettings
from raic.backends.layers.timeout import Timeouts
from raic.backends.tags import TagMismatch
from raic.cli import main
from raic.config.identity import Identity
from raic.config.model import ProviderSettings
from raic.deferreds import async_to_deferred
from raic.errors import ObjectNotFound
from raic.fragmentkeys import FragmentKey, parse_fragment_key
from raic.interfaces import IStorageProvider
from raic.shares.listing import pages
from tests.end_to_end.troubled import Trouble, TroubledProvider

SOCKET = "troubles"
OWNERSHIP_SECONDS = 4.0
"""How often the claims on the prefix are read: after twice as long without, nothing is written."""

SPACE_SECONDS = 0.4
"""How often it is asked how much room there is."""

_QUICK: Any = {
    "circuit": CircuitSettings(pause=0.2, longest_pause=0.5),
    "timeouts": Timeouts(answer=4.0),
}
_SHOWN = 5


class Troubles:
    """All providers of the node, and what is to be known of its array.

    :param folder: the node directory.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = Random(seed)
        self._providers: dict[str, TroubledProvider] = {}
        self._stack: ArrayStack | None = None
        self._maintenance: ArrayMaintenance | None = None
        self._key = b""
        self._listening = False

    def wrap(self, leaf: IStorageProvider, reactor: Any) -> IStorageProvider:
        """Put troubles around a provider."""
        if not self._listening:
            self._listening = True
            factory = Factory.forProtocol(partial(_Commands, self))
            reactor.listenUNIX(str(self._folder / SOCKET), factory)
        troubled = TroubledProvider(leaf, reactor, Random(self._random.random()))
        self._providers[leaf.name] = troubled
        return troubled

    def note_array(self, stack: ArrayStack, key: bytes) -> ArrayStack:
        """Remember the array."""
        self._stack, self._key = stack, key
        return stack

    def set(self, member: str, kind: str, lasting: bool) -> None:
        """Give one provider a trouble."""
        self._providers[member].set(Trouble(kind, lasting))

    def note_maintenance(self, *args: Any, **more: Any) -> ArrayMaintenance:
        """Make what looks after the array, and remember it."""
        self._maintenance = ArrayMaintenance(*args, **more)
        return self._maintenance

    @async_to_deferred
    async def scrub(self) -> None:
        """Have the array find what its providers have forgotten."""
        assert self._maintenance is not None
        await self._maintenance.scrub(False, lambda _: None)
        for each in self._providers.values():
            each.forgotten.clear()

    @async_to_deferred
    async def census(self, deep: bool) -> Mapping[str, Any]:
        """Which fragments are missing, of all objects that the index refers to.

        Those that a provider has forgotten need not be noted: only a scrub finds them.

        :param deep: whether every byte is looked at.
        """
        held = {name: await _keys(each.inner) for name, each in self._providers.items()}
        shapes = {
            parsed.object_key: parsed
            for key in set().union(*held.values())
            if (parsed := parse_fragment_key(key)) is not None
        }
        objects = await self._objects()
        lost = [key for key in objects if key not in shapes]
        fragments = [
            each for key in objects if key in shapes for each in await self._fragments(shapes[key])
        ]
        missing = [each for each in fragments if str(each[0]) not in held[each[1]]]
        noted = frozenset(await self._repairs())
        known = noted.union(*(each.forgotten for each in self._providers.values()))
        altered = []
        if deep:
            there = [each for each in fragments if each not in missing]
            altered = [str(each[0]) for each in there if not await self._is_whole(*each)]
        unnoted = [
            str(each[0])
            for each in missing
            if str(each[0]) not in known and await self._is_still_missing(*each)
        ]
        return {
            "objects": len(objects),
            "lost": lost[:_SHOWN],
            "missing": len(missing),
            "unnoted": unnoted[:_SHOWN],
            "altered": altered[:_SHOWN],
            "noted": len(noted),
        }

    async def _objects(self) -> list[str]:
        """All that the index refers to."""
        assert self._stack is not None
        found: list[str] = []
        ledger = self._stack.ledger.attached
        while more := await ledger.next_objects(found[-1] if found else "", 500):
            found += more
        return found

    async def _fragments(self, shape: FragmentKey) -> list[tuple[FragmentKey, str]]:
        """Every fragment that an object is to have, and its provider."""
        assert self._stack is not None
        state = await self._stack.ledger.lookup(shape.object_key)
        placement = self._stack.array.placement()
        return [
            (shape.sibling(number, state.attempts.get(number, "0")), placement.home(number).name)
            for number in placement.numbers()
        ]

    async def _is_still_missing(self, fragment: FragmentKey, member: str) -> bool:
        """Whether a fragment neither arrived, nor was made anew, since it was looked for."""
        if await self._is_whole(fragment, member):
            return False
        return (fragment, member) in await self._fragments(fragment)

    async def _is_whole(self, fragment: FragmentKey, member: str) -> bool:
        code = Code(fragment.needed, fragment.block_size)
        blocks = Blocks(code, fragment.length)
        tags = FragmentTags(self._key, fragment)
        last = code.stripe_count(fragment.length) - 1
        size = sum(blocks.stored(last, last))
        try:
            stored = await self._providers[member].inner.get_object(str(fragment), 0, size + 1)
            if len(stored) != size or stored[:HEADER_BYTES] != tags.header():
                return False
            for stripe in range(last + 1):
                at, length = blocks.stored(stripe, stripe)
                tags.checked(stripe, memoryview(stored)[at : at + length])
        except (ObjectNotFound, TagMismatch):
            return False
        return True

    async def _repairs(self) -> list[str]:
        assert self._stack is not None
        found: list[str] = []
        while more := await self._stack.ledger.next_repairs(1000, found[-1] if found else ""):
            found += more
        return found


async def _keys(provider: IStorageProvider) -> frozenset[str]:
    return frozenset([listed.key async for page in pages(provider, "") for listed in page])


class _Commands(LineReceiver):
    """One connection of whoever gives troubles."""

    delimiter = b"\n"

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles

    def lineReceived(self, line: bytes) -> None:
        command = json.loads(line)
        method = getattr(self._troubles, command.pop("do"))
        maybeDeferred(method, **command).addBoth(self._answer)

    def _answer(self, result: object) -> None:
        text = {"failed": str(result)} if isinstance(result, Failure) else {"answer": result}
        self.sendLine(json.dumps(text).encode())


def _quick(settings: ProviderSettings) -> ProviderSettings:
    """The settings with which a provider is left alone for a shorter time."""
    if settings.cloud is None:
        return settings
    layers = evolve(settings.cloud.layers, **_QUICK)
    return evolve(settings, cloud=evolve(settings.cloud, layers=layers))


def run(folder: Path, seed: int) -> None:
    """Run the node."""
    troubles = Troubles(folder, seed)
    members, stack = raic.assembly.members, raic.assembly.stack
    make_member, make_array = members.make_member, raic.assembly.arrays.make_array
    make_leaf, make_folder = members.make_leaf, members.make_folder

    def troubled_leaf(*args: Any) -> IStorageProvider:
        return troubles.wrap(make_leaf(*args), args[-1])

    def troubled_folder(*args: Any, **more: Any) -> IStorageProvider:
        return troubles.wrap(make_folder(*args, **more), args[-1])

    def quick_member(config: Any, settings: ProviderSettings, *args: Any, **more: Any) -> Any:
        return make_member(config, _quick(settings), *args, **more)

    def noted_array(*args: Any) -> ArrayStack:
        (identity,) = (each for each in args if isinstance(each, Identity))
        return troubles.note_array(make_array(*args), identity.array_key or b"")

    folder_layers = evolve(members.FOLDER_IN_ARRAY, **_QUICK)
    patches: Any = {
        members: {
            "make_leaf": troubled_leaf,
            "make_folder": troubled_folder,
            "FOLDER_IN_ARRAY": folder_layers,
        },
        stack: {"make_member": quick_member, "make_array": noted_array},
        raic.backends.array.health: {"_FIRST_PROBE": 0.2, "_LAST_PROBE": 0.5},
        raic.shares.ownership: {"INTERVAL_SECONDS": OWNERSHIP_SECONDS},
        repairing: {
            "_IDLE_SECONDS": 0.1,
            "_MEMBER_SECONDS": (0.1, 0.5),
            "_REFUSAL_SECONDS": (0.1, 0.5),
            "_OBJECT_SECONDS": (0.1, 0.5),
        },
        raic.assembly.upkeep: {"ArrayMaintenance": troubles.note_maintenance},
        raic.server.space: {"REFRESH_SECONDS": SPACE_SECONDS},
    }
    for module, names in patches.items():
        for name, value in names.items():
            assert hasattr(module, name), name
            setattr(module, name, value)
    main(["run", str(folder)])


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
