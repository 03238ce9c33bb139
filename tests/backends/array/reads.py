"""An array to read from, whose members take their time and misbehave as they are told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, cast

from attrs import Factory, define
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.array.code import Code
from raic.backends.array.codes import Codes
from raic.backends.array.fragment import FragmentTags
from raic.backends.array.lengths import Lengths, Shape
from raic.backends.array.members import Member, Placement
from raic.backends.array.reading import FragmentReader
from raic.backends.array.settings import ArraySettings
from raic.backends.layers.forwarding import ForwardingProvider, is_over
from raic.backends.memory import MemoryProvider
from raic.backends.streams import PieceStream
from raic.errors import IndexBusy, ObjectNotFound, ProviderUnreachable
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, parse_fragment_key
from raic.interfaces import IInspectingConsumer, IStorageProvider
from raic.ledger import IFragmentLedger
from raic.values import FragmentState

ARRAY_KEY = bytes(range(32))
KEY = "shares/aa/aaaaaaaaaaaaaaaaaaaaaaaaaa/0.txn"


@lru_cache(4)
def content(size: int) -> bytes:
    """Bytes none of which is where another one ought to be."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


@define
class Trouble:
    """What is wrong with a member.

    :ivar away: it cannot be reached.
    :ivar forgets: it has nothing.
    :ivar flips: positions in a fragment at which a byte is altered.
    :ivar keeps: how many bytes of a fragment it has kept; None for all.
    :ivar swaps: it answers with the fragment of this number instead.
    :ivar adds: how many bytes it answers too many.
    :ivar raises: it fails with an error that is no provider's.
    :ivar hangs_at: the position from which on it does not answer.
    :ivar dies_at: the position from which on its connection breaks.
    """

    away: bool = False
    forgets: bool = False
    flips: Collection[int] = ()
    keeps: int | None = None
    swaps: int | None = None
    adds: int = 0
    raises: bool = False
    hangs_at: int | None = None
    dies_at: int | None = None

    def error(self, name: str) -> Exception | None:
        """With which every read fails."""
        if self.away:
            return ProviderUnreachable(name, "get_object", "it is away")
        if self.raises:
            return RuntimeError("as a plugin may")
        return ObjectNotFound(name, "get_object", "it was forgotten") if self.forgets else None


@define
class Asked:
    """A request.

    :ivar received: how many bytes were answered.
    """

    key: str
    offset: int
    length: int
    received: int = 0


@implementer(IStorageProvider)
class Link(ForwardingProvider):
    """A member, as an array sees it.

    :ivar delay: the seconds that a request takes, or a piece of a stream; at once for 0.
    :ivar inspects: whether it lets a consumer inspect the pieces of a stream.
    :ivar asked: the reads so far.
    :ivar under_way: how many of them are not over.
    :ivar cancelled: how many were called back.
    """

    def __init__(self, inner: MemoryProvider, clock: Clock) -> None:
        self.name = inner.name
        self._inner = inner
        self._clock = clock
        self.trouble = Trouble()
        self.delay: Callable[[], float] = float
        self.piece = 4096
        self.inspects = False
        self.asked: list[Asked] = []
        self.under_way = 0
        self.cancelled = 0

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        asked = Asked(key, offset, length)
        self.asked.append(asked)
        return self._counted(self._read(asked, offset, length))

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        asked = Asked(key, offset, length)
        self.asked.append(asked)

        def inspected(data: bytes) -> Sequence[bytes]:
            if self.inspects and data:
                assert IInspectingConsumer.providedBy(consumer)
                consumer.inspect(data)
            return (data,)

        def read(position: int, size: int) -> Deferred[Sequence[bytes]]:
            return self._read(asked, position, size).addCallback(inspected)

        return self._counted(PieceStream(consumer, read, offset, length, self.piece).start())

    def _counted(self, deferred: Deferred[Any]) -> Deferred[Any]:
        self.under_way += 1
        return deferred.addBoth(self._ended)

    def _ended(self, result: Any) -> Any:
        self.under_way -= 1
        if isinstance(result, Failure) and result.check(CancelledError):
            self.cancelled += 1
        return result

    def _read(self, asked: Asked, position: int, size: int) -> Deferred[bytes]:
        seconds = self.delay()
        hangs_at = self.trouble.hangs_at
        if hangs_at is not None and position + size > hangs_at:
            return Deferred()
        if not seconds:
            return self._answer(asked, position, size)
        later: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer = self._clock.callLater(seconds, later.callback, None)
        return later.addCallback(lambda _: self._answer(asked, position, size))

    def _answer(self, asked: Asked, position: int, size: int) -> Deferred[bytes]:
        trouble, key = self.trouble, asked.key
        dies = trouble.dies_at is not None and position + size > trouble.dies_at
        if dies:
            return fail(ProviderUnreachable(self.name, "get_object", "the connection broke"))
        error = trouble.error(self.name)
        if error is not None:
            return fail(error)
        if trouble.swaps is not None:
            wanted = parse_fragment_key(key)
            assert wanted is not None
            key = str(wanted.sibling(trouble.swaps))

        def altered(data: bytes) -> bytes:
            if trouble.keeps is not None:
                data = data[: max(0, trouble.keeps - position)]
            found = bytearray(data)
            for flip in trouble.flips:
                if position <= flip < position + len(found):
                    found[flip - position] ^= 0x40
            asked.received += len(found)
            return bytes(found) + bytes(trouble.adds)

        return self._inner.get_object(key, position, size).addCallback(altered)


@define
class Ledger:
    """The part of a ledger that readers use.

    :ivar failing: whether it cannot be asked.
    :ivar noted: the fragments that were found to be bad, with the reasons.
    """

    state: FragmentState = Factory(FragmentState)
    noted: list[tuple[str, str]] = Factory(list)
    failing: bool = False

    def lookup(self, object_key: str) -> Deferred[FragmentState]:
        return fail(IndexBusy("locked")) if self.failing else succeed(self.state)

    def note_missing(self, fragment_keys: Collection[str], reason: str) -> Deferred[None]:
        if self.failing:
            return fail(IndexBusy("locked"))
        self.noted += [(key, reason) for key in fragment_keys]
        return succeed(None)


class Rig:
    """An array of ``total`` members, and a clock.

    :ivar links: the members, by number.
    """

    def __init__(
        self,
        needed: int,
        total: int,
        block_size: int = 64,
        settings: ArraySettings | None = None,
        extra: Sequence[str] = (),
        prices: Sequence[float] | None = None,
    ) -> None:
        self.clock = Clock()
        self.code = Code(needed, block_size)
        self.ledger = Ledger()
        names = [*(f"m{number}" for number in range(total)), *extra]
        self.stores = [MemoryProvider(name) for name in names]
        for store in self.stores:
            store.start()
        self.links = [Link(store, self.clock) for store in self.stores]
        costs = prices or [0.0] * len(names)
        self.members = [
            Member(link.name, link, cost) for link, cost in zip(self.links, costs, strict=True)
        ]
        self.placement = Placement.initial(self.members[:total])
        self.settings = settings or ArraySettings()
        self.lengths = Lengths("array", Codes(self.code), lambda: self.placement)
        self.reader = FragmentReader(
            "array",
            lambda: self.placement,
            self.lengths,
            ARRAY_KEY,
            cast(IFragmentLedger, self.ledger),
            self.clock,
            self.settings,
        )

    def shape(self, length: int) -> Shape:
        """Of an object of this length."""
        return Shape(self.code, length)

    def fragment_key(self, length: int, number: int, attempt: str = FIRST_ATTEMPT) -> FragmentKey:
        """The key of a fragment of the object ``KEY``."""
        return FragmentKey(KEY, self.code.needed, self.code.block_size, length, number, attempt)

    def fragment(self, data: bytes, number: int, attempt: str = FIRST_ATTEMPT) -> bytes:
        """What is stored of an object."""
        tags = FragmentTags(ARRAY_KEY, self.fragment_key(len(data), number, attempt))
        parts = [tags.header()]
        size = self.code.stripe_size
        for stripe in range(self.code.stripe_count(len(data))):
            plain = data[stripe * size : (stripe + 1) * size]
            parts.append(tags.tagged(stripe, self.code.encode(plain, [number])[0]))
        return b"".join(parts)

    def store(self, data: bytes, everywhere: bool = False) -> None:
        """Store the object ``KEY``: each fragment at its member, or all of them at each."""
        for number in self.placement.numbers():
            fragment = self.fragment(data, number)
            for place, store in enumerate(self.stores):
                if everywhere or place == number:
                    store.put_object(str(self.fragment_key(len(data), number)), fragment)

    def advance(self, seconds: float, step: float = 0.001) -> None:
        """Let time pass in small steps."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end - step / 2:
            self.clock.advance(step)

    def wait(self, deferred: Deferred[Any], limit: float = 100.0) -> float:
        """Let time pass until a Deferred has its result, or nothing more is going to happen.

        :return: how long that was.
        """
        began = self.clock.seconds()
        while not is_over(deferred) and self.clock.seconds() - began < limit:
            calls = self.clock.getDelayedCalls()
            if not calls:
                break
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds()))
        return self.clock.seconds() - began

    def received(self) -> list[int]:
        """How many bytes each member answered."""
        return [sum(asked.received for asked in link.asked) for link in self.links]

    def leaks(self) -> list[str]:
        """What a reader has left behind."""
        left = [f"{link.name}: {link.under_way} under way" for link in self.links if link.under_way]
        return left + [repr(call) for call in self.clock.getDelayedCalls()]
