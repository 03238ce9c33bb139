"""What operations would take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from attrs import define, evolve

from raic.backends.array.maintenance import (
    ADD,
    DRAIN,
    REPAIR,
    REPLACE,
    SCRUB,
    Estimate,
    Operation,
    Traffic,
)
from raic.backends.array.provider import ArrayProvider
from raic.backends.array.upkeep.verifying import fragment_size
from raic.fragmentkeys import parse_fragment_key
from raic.ledger import IFragmentLedger

_PAGE = 1000
"""As many fragments are listed, or deleted, with one request."""


@define
class Volume:
    """What an array holds.

    :ivar data: bytes of the objects.
    :ivar stored: bytes of one fragment of each.
    """

    objects: int = 0
    data: int = 0
    stored: int = 0

    @property
    def pages(self) -> int:
        """How many requests list one fragment of each."""
        return max(1, -(-self.objects // _PAGE))


class Estimator:
    """Adds up what an operation asks of each provider."""

    def __init__(self, array: ArrayProvider, ledger: IFragmentLedger, operation: Operation) -> None:
        self._array = array
        self._ledger = ledger
        self._operation = operation
        self._traffic: dict[str, Traffic] = defaultdict(Traffic)
        self._fragments = 0

    async def run(self) -> Estimate:
        """Raises an ``IndexFailure``."""
        volume = await self._volume()
        steps: dict[str, Callable[[Volume], None]] = {
            SCRUB: self._scrub,
            REPLACE: self._replace,
            ADD: self._add,
            DRAIN: self._drain,
        }
        if self._operation.kind == REPAIR:
            await self._repair()
        else:
            steps[self._operation.kind](volume)
        return Estimate(self._operation, volume.objects, self._fragments, dict(self._traffic))

    async def _volume(self) -> Volume:
        volume, after = Volume(), ""
        while True:
            keys = await self._ledger.next_objects(after, _PAGE)
            for key in keys:
                shape = self._array.lengths.known(key)
                volume.objects += 1
                if shape is not None:
                    volume.data += shape.length
                    volume.stored += shape.code.fragment_size(shape.length)
            if not keys:
                return volume
            after = keys[-1]

    def _ask(
        self, name: str, requests: int, down: int = 0, up: int = 0, stored: int | None = None
    ) -> None:
        before = self._traffic[name]
        self._traffic[name] = evolve(
            before,
            requests=before.requests + requests,
            downloaded=before.downloaded + down,
            uploaded=before.uploaded + up,
            stored=before.stored + (up if stored is None else stored),
        )

    def _list_all(self, volume: Volume) -> None:
        placement = self._array.placement()
        for number in placement.numbers():
            self._ask(placement.home(number).name, volume.pages)

    def _scrub(self, volume: Volume) -> None:
        self._list_all(volume)
        placement = self._array.placement()
        self._fragments = volume.objects * len(placement.numbers())
        if self._operation.deep:
            for number in placement.numbers():
                self._ask(placement.home(number).name, volume.objects, down=volume.stored)

    def _replace(self, volume: Volume) -> None:
        old, new = self._operation.names
        self._fragments = volume.objects
        self._ask(old, volume.objects + 2 * volume.pages, down=volume.stored, stored=-volume.stored)
        self._ask(new, volume.objects + 3 * volume.pages, up=volume.stored)

    def _add(self, volume: Volume) -> None:
        (name,) = self._operation.names
        self._fragments = volume.objects
        self._read(volume.objects, volume.stored, lacking=None)
        self._ask(name, volume.objects + 2 * volume.pages, up=volume.stored)

    def _drain(self, volume: Volume) -> None:
        (name,) = self._operation.names
        self._list_all(volume)
        self._fragments = volume.objects
        self._ask(name, 2 * volume.pages, stored=-volume.stored)

    async def _repair(self) -> None:
        after = ""
        placement = self._array.placement()
        while True:
            page = await self._ledger.next_repairs(_PAGE, after)
            for text in page:
                key = parse_fragment_key(text)
                if key is None or key.number not in placement.lasting():
                    continue
                size = fragment_size(key)
                self._fragments += 1
                self._ask(placement.home(key.number).name, 2, up=size)
                self._read(1, size, lacking=key.number)
            if not page:
                return
            after = page[-1]

    def _read(self, objects: int, stored: int, lacking: int | None) -> None:
        """Objects are read from as many members as are needed, the best ones."""
        placement = self._array.placement()
        homes = [(n, placement.home(n)) for n in placement.numbers() if n != lacking]
        count = self._array.code.needed
        size = stored // max(1, objects)
        for number in self._array.health.ranked(homes, size)[:count]:
            self._ask(placement.home(number).name, objects, down=stored)
