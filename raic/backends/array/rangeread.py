"""Reading a range of an object that fits in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from raic.backends.array.choosing import as_set, hopeful, lacking
from raic.backends.array.fetching import Fetch, Wrong
from raic.backends.array.probing import probe
from raic.backends.array.target import Target, Tools, cancel_timer
from raic.backends.array.unreadable import unreadable
from raic.errors import ObjectCorrupt, ObjectNotFound, ProviderError, ProviderTimedOut

_CLEARLY = 1.5  # as long as those took that were waited for, and a member is slow


class RangeRead:
    """Reads from the fewest and best members, and from others where that does not do.

    For each stripe it needs either the data blocks that the range touches, or any ``needed``
    blocks.  A set of fragment numbers is an integer here, with bit ``number`` set for each.

    An empty range needs one block all the same, any of the object's last stripe: it proves that
    the object is there, and as long as it is thought to be.

    :param begin: of the range.
    :param end: of the range; not beyond the object's end.
    :param operation: for messages.
    """

    def __init__(
        self, tools: Tools, target: Target, begin: int, end: int, operation: str = "get_object"
    ) -> None:
        self._tools = tools
        self._target = target
        self._operation = operation
        self._extent = target.extent(begin, end) if begin < end else None
        if self._extent is not None:
            self._needed = target.code.needed
            self._stripes = range(self._extent.first, self._extent.last + 1)
            self._data = {stripe: self._extent.data(stripe) for stripe in self._stripes}
        else:
            last = target.code.stripe_count(target.length) - 1
            self._needed = 1
            self._stripes = range(last, last + 1)
            self._data = {last: (1 << target.code.needed) - 1}
        self._blocks: dict[int, dict[int, memoryview]] = {stripe: {} for stripe in self._stripes}
        self._have = dict.fromkeys(self._stripes, 0)
        asked = target.blocks.stored(self._stripes[0], self._stripes[-1])[1]
        self._ranked = target.ranked(asked)
        self._spent = 0  # what is not to be asked again
        self._bad = dict.fromkeys(self._stripes, 0)  # what is not, for one stripe
        self._under_way: list[Fetch] = []
        self._verdicts: dict[int, list[tuple[str, ProviderError]]] = {}
        self._wrong: list[Wrong] = []
        self._longest = 0.0
        self._over = False
        self._deadline: Any = None
        self._outcome: Deferred[bytes] = Deferred(lambda _: self._fail(CancelledError()))

    def start(self) -> Deferred[bytes]:
        """Read.

        :return: fires with the range, or fails with one error that says what all members said.
        """
        self._ask_more()
        asked = as_set([*self._verdicts, *(fetch.number for fetch in self._under_way)])
        if any(not self._target.is_well(number) for number in self._ranked):
            probe(self._tools, self._target, self._stripes[0], asked)
        if not self._over:
            seconds = self._tools.settings.read_seconds
            self._deadline = self._tools.clock.callLater(seconds, self._expire, seconds)
        return self._outcome

    # Whom to ask

    def _ask_more(self) -> None:
        """Ask for what neither came nor is expected to come in time."""
        chosen: dict[int, list[int]] = {}
        for stripe in self._stripes:
            for number in self._lacking(stripe):
                chosen.setdefault(number, []).append(stripe)
        if self._over:
            return
        begun = [self._fetch(number, min(of), max(of)) for number, of in chosen.items()]
        self._under_way += begun
        for fetch in begun:
            if not self._over:
                fetch.start()
        for fetch in begun:
            if not fetch.over and not self._over:
                self._watch(fetch)

    def _fetch(self, number: int, first: int, last: int) -> Fetch:
        tools = self._tools
        source = self._target.source(number)
        blocks = self._target.blocks
        return Fetch(source, blocks, first, last, tools.health, tools.clock, self._arrived)

    def _lacking(self, stripe: int) -> Sequence[int]:
        """Who is to be asked for a block of a stripe."""
        expected, late = self._have[stripe], 0
        for fetch in self._under_way:
            if fetch.first <= stripe <= fetch.last:
                if fetch.late:
                    late |= 1 << fetch.number
                else:
                    expected |= 1 << fetch.number
        data = self._data[stripe]
        taken = expected | late | self._spent | self._bad[stripe]
        unasked = [number for number in self._ranked if not taken >> number & 1]
        if not hopeful(data, expected | late | as_set(unasked), self._needed):
            # It cannot be had; but what it suffers from only those who were not asked can tell.
            if not unasked and all(fetch.late for fetch in self._under_way):
                self._give_up((expected | late).bit_count())
            return unasked
        return lacking(data, expected, unasked, self._needed, self._target.is_well)

    def _watch(self, fetch: Fetch) -> None:
        """Ask another one when this one takes longer than it should."""
        asked = {each.number for each in self._under_way}
        others = [n for n in self._ranked if n not in asked and not self._spent >> n & 1]
        fetch.patience = self._target.patience(fetch.member, fetch.size, others)
        left = max(0.0, fetch.patience - fetch.elapsed())
        fetch.timer = self._tools.clock.callLater(left, self._overdue, fetch)

    def _overdue(self, fetch: Fetch) -> None:
        fetch.late = True
        self._ask_more()

    # What comes

    def _arrived(self, fetch: Fetch) -> None:
        if self._over:
            return
        self._under_way.remove(fetch)
        bit = 1 << fetch.number
        if fetch.good:
            self._target.is_assumed = False
        for stripe, block in fetch.good.items():
            self._blocks[stripe][fetch.number] = block
            self._have[stripe] |= bit
        self._wrong += fetch.wrongs()
        if fetch.is_whole:
            self._longest = max(self._longest, fetch.elapsed())
        else:
            self._avoid(fetch)
        if self._is_complete():
            self._succeed()
        elif not fetch.is_whole or not self._under_way:
            self._ask_more()

    def _avoid(self, fetch: Fetch) -> None:
        """Do not ask for the same again, and rather ask others for something else."""
        self._verdicts[fetch.number] = fetch.errors
        bit = 1 << fetch.number
        if any(isinstance(error, ObjectCorrupt) for _, error in fetch.errors):
            for stripe in range(fetch.first, fetch.last + 1):
                self._bad[stripe] |= bit & ~self._have[stripe]
        else:
            self._spent |= bit
        self._ranked.remove(fetch.number)
        self._ranked.append(fetch.number)

    def _is_complete(self) -> bool:
        return all(
            hopeful(self._data[stripe], have, self._needed) for stripe, have in self._have.items()
        )

    # How it ends

    def _succeed(self) -> None:
        for fetch in self._under_way:
            elapsed = fetch.elapsed()
            if fetch.late and elapsed > _CLEARLY * self._longest:
                self._tools.health.of(fetch.member.name).overtaken(fetch.size, elapsed)
        self._end()
        self._report()
        self._outcome.callback(self._joined())

    def _joined(self) -> bytes:
        if self._extent is None:
            return b""
        pieces: list[memoryview] = []
        for stripe, blocks in self._blocks.items():
            pieces += self._extent.pieces(stripe, blocks)
        return pieces[0].tobytes() if len(pieces) == 1 else b"".join(pieces)

    def _give_up(self, possible: int) -> None:
        """Too few are left that could answer."""
        key = self._target.object_key
        error = unreadable(
            self._tools.name, self._operation, key, self._verdicts, self._needed, possible
        )
        if not isinstance(error, ObjectNotFound):
            self._report()
        self._fail(error)

    def _report(self) -> None:
        for wrong in self._wrong:
            self._tools.report(self._target, wrong)

    def _expire(self, seconds: float) -> None:
        waited = sorted({fetch.member.name for fetch in self._under_way})
        said = [f"{member}: {error}" for each in self._verdicts.values() for member, error in each]
        detail = f"{self._target.object_key}: no answer within {seconds:g} s from "
        detail += "; ".join([", ".join(waited), *said])
        self._fail(ProviderTimedOut(self._tools.name, self._operation, detail))

    def _fail(self, error: Exception) -> None:
        if not self._over:
            self._end()
            self._outcome.errback(Failure(error))

    def _end(self) -> None:
        self._over = True
        cancel_timer(self._deadline)
        under_way, self._under_way = self._under_way, []
        for fetch in under_way:
            fetch.cancel()
