"""What can be wrong with one provider of a node that runs, switched on and off from outside."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from random import Random
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from raic.backends.faults import Alteration
from raic.backends.faulty import AlteredConsumer
from raic.backends.layers.forwarding import ForwardingProvider
from raic.errors import NoSpace, ObjectNotFound, OutcomeUnknown, ProviderUnreachable
from raic.interfaces import IImmediateReads, IObjectUpload, IStorageProvider
from raic.values import ObjectPage, Space, Stored

REFUSES, HANGS, SLOW, TRUNCATES, FLIPS = "refuses", "hangs", "slow", "truncates", "flips"
FORGETS, SWAPS, FULL, AWAY = "forgets", "swaps", "full", "away"
KINDS = (REFUSES, HANGS, SLOW, TRUNCATES, FLIPS, FORGETS, SWAPS, FULL, AWAY)

SLOW_SECONDS = 2.0
_REMEMBERED = 200


@define
class Trouble:
    """What is wrong now.

    :ivar kind: one of ``KINDS``; empty for nothing.
    :ivar lasting: whether what is forgotten is gone for good; else it comes back at the end.
    """

    kind: str = ""
    lasting: bool = False


class TroubledProvider(ForwardingProvider):
    """A provider with troubles.

    :ivar inner: the provider itself.
    :ivar forgotten: the keys of objects that it has deleted without being told to.
    """

    def __init__(self, inner: IStorageProvider, clock: IReactorTime, random: Random) -> None:
        super().__init__(inner)
        self.inner = inner
        self.forgotten: set[str] = set()
        self._clock = clock
        self._random = random
        self._trouble = Trouble()
        self._held: list[Deferred[None]] = []
        self._seen: dict[str, int] = {}  # keys written lately, and their sizes

    def set(self, trouble: Trouble) -> None:
        """Have this trouble from now on; what hangs goes on as soon as it is another one."""
        self._trouble = trouble
        held, self._held = self._held, []
        for call in held:
            call.callback(None)

    def started(self, key: str, size: int) -> None:
        """Remember an object, to take it for another one later."""
        self._seen[key] = size
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def call(self, forward: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """Make a call, as far as the trouble allows it."""
        kind = self._trouble.kind
        if kind in (REFUSES, AWAY):
            return fail(ProviderUnreachable(self.name, "call", "it is away, says the campaign"))
        if kind == HANGS:
            gate: Deferred[None] = Deferred()
            self._held.append(gate)
            return gate.addCallback(lambda _: self.call(forward))
        if kind == SLOW:
            clock: Any = self._clock
            return deferLater(clock, SLOW_SECONDS, forward)
        return forward()

    def call_at_once(self, forward: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """Make a call that is no request of its own."""
        return forward() if self._trouble.kind == SLOW else self.call(forward)

    def written(self, key: str, forward: Callable[[], Deferred[Stored]]) -> Deferred[Stored]:
        """Make an object visible, as far as the trouble allows it."""
        kind = self._trouble.kind
        if kind == FULL:
            return fail(NoSpace(self.name, "finish", "it is full, says the campaign"))
        storing = self.call(forward)
        if kind == FORGETS:

            def forget(stored: Stored) -> Deferred[Stored]:
                return self._delete(key).addCallback(lambda _: stored)

            storing.addCallback(forget)
        return storing

    # As a provider

    def start(self) -> Deferred[None]:
        return self.call(self.inner.start)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        self.started(key, size)
        return TroubledUpload(self, key, self.inner.open_upload(key, size))

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        self.started(key, len(data))
        return self.written(key, partial(self.inner.put_object, key, data))

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        if self._trouble.kind == FORGETS:
            return self._forget(key)
        alter = self._alteration()
        read = partial(self.inner.get_object, self._mistaken(key), offset, length)
        reading = self.call(read)
        return reading if alter is None else reading.addCallback(partial(alter, 0))

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        if self._trouble.kind == FORGETS:
            return self._forget(key)
        alter = self._alteration()
        target = consumer if alter is None else AlteredConsumer(consumer, Alteration(alter))
        stream = self.inner.stream_object
        return self.call(lambda: stream(self._mistaken(key), offset, length, target))

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        if self._trouble.kind not in ("", FULL):
            return None
        return IImmediateReads(self.inner).read_now(key, offset, length)

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        return self.call(partial(self.inner.list_objects, prefix, token))

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        return self.call(partial(self.inner.delete_objects, keys))

    def get_space(self) -> Deferred[Space]:
        if self._trouble.kind == FULL:
            return self.inner.get_space().addCallback(lambda space: Space(space.used, 0))
        return self.call(self.inner.get_space)

    # What it lies about

    def _forget(self, key: str) -> Deferred[Any]:
        missing = ObjectNotFound(self.name, "get_object", "it was forgotten, says the campaign")
        if not self._trouble.lasting:
            return fail(missing)
        return self._delete(key).addCallback(lambda _: fail(missing))

    def _delete(self, key: str) -> Deferred[Any]:
        self.forgotten.add(key)
        return self.inner.delete_objects([key])

    def _mistaken(self, key: str) -> str:
        """Another object, if it is to be taken for this one."""
        others = [other for other in self._seen if other != key]
        if self._trouble.kind != SWAPS or not others:
            return key
        alike = [other for other in others if self._seen[other] == self._seen.get(key)]
        return self._random.choice(alike or others)

    def _alteration(self) -> Callable[[int, bytes], bytes] | None:
        kind = self._trouble.kind
        if kind == TRUNCATES:
            keep = self._random.choice((0, 1, 95, 96, 112, 5_000, 65_600))
            return lambda at, piece: piece[: max(0, keep - at)]
        return self._flip if kind == FLIPS else None

    def _flip(self, _: int, piece: bytes) -> bytes:
        if not piece:
            return piece
        flipped = bytearray(piece)
        flipped[self._random.randrange(len(piece))] ^= 1 << self._random.randrange(8)
        return bytes(flipped)


@implementer(IObjectUpload)
class TroubledUpload:
    """An upload to a provider with troubles."""

    def __init__(self, provider: TroubledProvider, key: str, inner: IObjectUpload) -> None:
        self._provider = provider
        self._key = key
        self._inner = inner
        self._waiting: Deferred[Any] | None = None
        self._under_way = False
        self._begun = False
        self._aborted = False

    def write(self, data: bytes) -> Deferred[None]:
        call = self._provider.call_at_once if self._begun else self._provider.call
        self._begun = True
        return self._ask(call, partial(self._inner.write, data))

    def finish(self) -> Deferred[Stored]:
        return self._ask(partial(self._provider.written, self._key), self._inner.finish)

    def abort(self) -> Deferred[None]:
        self._aborted = True
        if self._waiting is not None and not self._under_way:
            self._waiting.cancel()
        return self._inner.abort()

    def _ask(
        self,
        call: Callable[[Callable[[], Deferred[Any]]], Deferred[Any]],
        ask: Callable[[], Deferred[Any]],
    ) -> Deferred[Any]:
        """Ask, unless it is aborted before its turn comes."""

        def forward() -> Deferred[Any]:
            if self._aborted:
                return fail(self._unknown())
            self._under_way = True
            return ask()

        def pass_on(result: Any) -> None:
            self._under_way = False
            if not answer.called:
                self._waiting = None
                answer.callback(result)

        answer: Deferred[Any] = Deferred(lambda it: it.errback(self._unknown()))
        self._waiting = answer
        call(forward).addBoth(pass_on)
        return answer

    def _unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown(self._provider.name, "finish", "it was aborted")
