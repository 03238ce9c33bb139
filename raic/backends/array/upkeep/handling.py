"""What is done with one fragment: looking at it, reading, copying, or making it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure

from raic.backends.array.code import HEADER_BYTES, Code
from raic.backends.array.encoding import FragmentEncoder
from raic.backends.array.fetching import Blocks
from raic.backends.array.fragment import FragmentTags
from raic.backends.array.lengths import Shape
from raic.backends.array.members import Member
from raic.backends.array.provider import ArrayProvider
from raic.backends.array.streaming import FragmentStream
from raic.backends.array.target import Target
from raic.backends.array.unwritten import translated
from raic.backends.array.upkeep.pacing import Pace, sleep
from raic.backends.array.upkeep.pouring import Pour
from raic.backends.array.upkeep.verifying import FragmentVerifier, fragment_size
from raic.backends.tags import TagMismatch
from raic.deferreds import async_to_deferred
from raic.errors import ObjectCorrupt, ObjectNotFound, ProviderError, StorageUnusable
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from raic.interfaces import IObjectUpload
from raic.ledger import IFragmentLedger
from raic.values import FragmentState

_PUT_BYTES = 1024 * 1024
"""Fragments up to this size are written in one request."""

_Take = Callable[[bytes], "Deferred[None]"]


class Handler:
    """Does things with fragments, no faster than ``pace`` says."""

    def __init__(
        self,
        array: ArrayProvider,
        ledger: IFragmentLedger,
        clock: IReactorTime,
        random: Random,
        pace: Pace,
    ) -> None:
        self.array = array
        self.ledger = ledger
        self.clock = clock
        self.random = random
        self.pace = pace

    def now(self) -> int:
        """The time, in whole seconds."""
        return int(self.clock.seconds())

    async def shape(self, object_key: str) -> Shape:
        """How long an object is, and how it was cut; raises as :meth:`Lengths.find` fails."""
        lengths = self.array.lengths
        known = lengths.known(object_key) if lengths.is_sure(object_key) else None
        return known or await lengths.find(object_key, "stream_object")

    async def counting(self, object_key: str, number: int) -> FragmentKey:
        """The key of the fragment that counts."""
        state = await self.ledger.lookup(object_key)
        shape = await self.shape(object_key)
        return shape.key(object_key, number, state.attempts.get(number, FIRST_ATTEMPT))

    async def look(self, key: FragmentKey, member: Member) -> bool:
        """Whether a member has a fragment, by its beginning and its end.

        Raises ObjectCorrupt when it has another one, else what the member fails with.
        """
        code = Code(key.needed, key.block_size)
        last = code.stripe_count(key.length) - 1
        offset, size = Blocks(code, key.length).stored(last, last)
        try:
            header = await self._get(member, key, 0, HEADER_BYTES)
            tail = await self._get(member, key, offset, size + 1)
        except ObjectNotFound:
            return False
        tags = FragmentTags(self.array.reading.array_key, key)
        try:
            tags.check_header(header)
            tags.checked(last, memoryview(tail))
        except TagMismatch as mismatch:
            raise _corrupt(member, key, mismatch) from None
        return True

    async def verify(self, key: FragmentKey, member: Member) -> None:
        """Read all of a fragment.

        Raises ObjectNotFound, ObjectCorrupt, or what the member fails with.
        """

        @async_to_deferred
        async def drop(_: bytes) -> None:
            return None

        await self._read(key, member, drop)

    async def copy(self, key: FragmentKey, source: Member, target: Member) -> None:
        """Write what one member has of a fragment to another one; it is checked on the way.

        Raises what either fails with.
        """
        sink = Sink(target, key)
        try:
            await self._read(key, source, sink.write)
            await sink.finish()
        except Exception:
            await sink.abort()
            raise

    async def make(self, key: FragmentKey, target: Member, state: FragmentState) -> None:
        """Make a fragment of others, and write it.

        Raises what the reading of the object fails with, or the member.

        :param state: of its object.
        """
        code, number = Code(key.needed, key.block_size), key.number
        array_key = self.array.reading.array_key
        encoder = FragmentEncoder(code, key.length, array_key, {number: key})
        sink = Sink(target, key)

        @async_to_deferred
        async def take(data: bytes) -> None:
            piece = b"".join(encoder.make(number, encoder.add(data)))
            if piece:
                await sink.write(piece)
            await self._spend(len(data) + len(piece))

        def stream(consumer: IConsumer) -> Deferred[int]:
            known = Target(self.array.reading, key, state)
            return FragmentStream(self.array.reading, known, 0, key.length, consumer).start()

        try:
            count = await Pour(take).run(stream)
            if count != key.length:
                detail = f"{key.object_key}: {count} bytes instead of {key.length}"
                raise StorageUnusable(self.array.name, "stream_object", detail)
            if not key.length:
                await sink.write(b"".join(encoder.make(number, encoder.add(b""))))
            await sink.finish()
        except Exception:
            await sink.abort()
            raise

    async def _read(self, key: FragmentKey, member: Member, take: _Take) -> None:
        """Read and check a fragment, and pass on what was proved."""
        verifier = FragmentVerifier(self.array.reading.array_key, key)

        @async_to_deferred
        async def proved(data: bytes) -> None:
            piece = verifier.add(data)
            if piece:
                await take(piece)
            await self._spend(len(data))

        def stream(consumer: IConsumer) -> Deferred[int]:
            # One byte more than there may be: what is too long is wrong, too.
            asked = member.provider.stream_object
            return maybeDeferred(asked, str(key), 0, fragment_size(key) + 1, consumer)

        try:
            await Pour(proved).run(stream)
            verifier.end()
        except TagMismatch as mismatch:
            raise _corrupt(member, key, mismatch) from None

    async def _get(self, member: Member, key: FragmentKey, offset: int, size: int) -> bytes:
        data = await maybeDeferred(member.provider.get_object, str(key), offset, size)
        await self._spend(len(data))
        return data

    async def _spend(self, size: int) -> None:
        pause = self.pace.spend(size)
        if pause > 0:
            await sleep(self.clock, pause)


class Sink:
    """A fragment on its way to a member: a small one is written in one request."""

    def __init__(self, member: Member, key: FragmentKey) -> None:
        self._member = member
        self._key = str(key)
        self._upload: IObjectUpload | None = None
        self._pieces: list[bytes] = []
        size = fragment_size(key)
        if size > _PUT_BYTES:
            self._upload = member.provider.open_upload(self._key, size)

    @async_to_deferred
    async def write(self, data: bytes) -> None:
        """Add bytes; fires when there may be more."""
        if self._upload is None:
            self._pieces.append(data)
        else:
            await self._said(self._upload.write(data))

    @async_to_deferred
    async def finish(self) -> None:
        """Fires when the fragment is durable."""
        if self._upload is None:
            data = b"".join(self._pieces)
            await self._said(maybeDeferred(self._member.provider.put_object, self._key, data))
        else:
            await self._said(self._upload.finish())

    async def abort(self) -> None:
        """Give up what was not written as a whole."""
        if self._upload is not None:
            await self._upload.abort()

    async def _said(self, doing: Deferred[Any]) -> None:
        await doing.addErrback(self._translate)

    def _translate(self, failure: Failure) -> Failure:
        # Whose fault it is decides what is done about it.
        error = translated(self._member.name, "finish", failure)
        return failure if error is failure.value else Failure(error)


@frozen
class Trouble:
    """Why something could not be done with a fragment.

    :ivar member: the name of the one to blame; None when the object itself is lacking.
    :ivar lasting: whether waiting will not help.
    """

    error: ProviderError
    member: str | None
    lasting: bool


def trouble(error: ProviderError, array: str) -> Trouble:
    """Whose fault an error is."""
    if error.provider != array:
        return Trouble(error, error.provider, False)
    return Trouble(error, None, isinstance(error, (ObjectNotFound, ObjectCorrupt)))


def _corrupt(member: Member, key: FragmentKey, mismatch: TagMismatch) -> ObjectCorrupt:
    return ObjectCorrupt(member.name, "stream_object", f"{key}: {mismatch}")
