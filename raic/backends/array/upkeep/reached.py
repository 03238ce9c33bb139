"""How far a scrub is, so that the next process goes on with it."""

from __future__ import annotations

import json
from collections.abc import Callable

from attrs import asdict, field, frozen

from raic.backends.array.upkeep.scrubbing import Scrub, Scrubbed
from raic.ledger import IFragmentLedger

NOTES = {False: "scrub under way", True: "deep scrub under way"}
"""The notes' names, by whether it is deep."""

_SECONDS = 5.0


@frozen
class Reached:
    """How far a scrub is, as it is noted.

    :ivar after: the last object that was looked at.
    :ivar found: what was found so far.
    """

    began: int
    after: str = ""
    found: Scrubbed = field(factory=Scrubbed)

    def dump(self) -> str:
        """As it is kept in the ledger."""
        counts = asdict(self.found, filter=lambda attribute, _: attribute.name != "errors")
        return json.dumps({"began": self.began, "after": self.after, "found": counts})

    @classmethod
    def load(cls, text: str) -> Reached:
        """What was kept."""
        kept = json.loads(text)
        return cls(kept["began"], kept["after"], Scrubbed(**kept["found"]))


class Milestones:
    """Notes now and then how far a scrub is."""

    def __init__(
        self, ledger: IFragmentLedger, seconds: Callable[[], float], began: int, *, deep: bool
    ) -> None:
        self._ledger = ledger
        self._seconds = seconds
        self._began = began
        self._name = NOTES[deep]
        self._next = 0.0

    async def note(self, scrub: Scrub) -> None:
        """Note how far it is, unless that was done a moment ago."""
        if self._seconds() >= self._next:
            reached = Reached(self._began, scrub.after, scrub.result)
            await self._ledger.set_note(self._name, reached.dump())
            self._next = self._seconds() + _SECONDS

    async def end(self) -> None:
        """Forget it: it is over."""
        await self._ledger.set_note(self._name, "")
