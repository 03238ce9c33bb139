"""With which codes the objects of an array were written."""

from __future__ import annotations

import json
from collections.abc import Collection

from raic.backends.array.code import Code
from raic.ledger import IFragmentLedger

NOTE = "codes"


class Codes:
    """The code that new objects get, and all that objects may have.

    Keys of objects do not tell their codes, so what an array has ever written with is noted in
    the ledger: without that, objects with a former code would be neither deleted nor, as a rule,
    found at once.

    :ivar current: of new objects.
    """

    def __init__(self, current: Code, former: Collection[Code] = ()) -> None:
        self.current = current
        self._all = dict.fromkeys([current, *former])

    def all(self) -> tuple[Code, ...]:
        """Every code; the current one is the first."""
        return tuple(self._all)

    @property
    def is_sure(self) -> bool:
        """Whether an object can have no other code than the current one."""
        return len(self._all) == 1

    async def load(self, ledger: IFragmentLedger) -> None:
        """Learn what was noted, and note the current code, before anything is written with it.

        Raises an ``IndexFailure``.
        """
        text = (await ledger.get_notes()).get(NOTE, "[]")
        noted = {Code(needed, block_size) for needed, block_size in json.loads(text)}
        self._all.update(dict.fromkeys(sorted(noted, key=_numbers)))
        if not noted.issuperset(self._all):
            await ledger.set_note(NOTE, json.dumps([_numbers(code) for code in self._all]))

    async def learn(self, codes: Collection[Code], ledger: IFragmentLedger) -> None:
        """There are objects with these codes, too.

        Raises an ``IndexFailure``.
        """
        self._all.update(dict.fromkeys(sorted(codes, key=_numbers)))
        await self.load(ledger)


def _numbers(code: Code) -> tuple[int, int]:
    return code.needed, code.block_size
