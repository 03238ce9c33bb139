"""Objects that are read back before anything refers to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import blake2b

from twisted.internet.interfaces import IConsumer, IProducer
from zope.interface import implementer

from raic.errors import ObjectCorrupt, OutcomeUnknown, ProviderError
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.slot_writer import NewObjects

ReadPiece = Callable[[], Awaitable[bytes]]
"""The next bytes; none at the end."""


@implementer(IConsumer)
class Digesting:
    """A consumer that keeps nothing but a digest of what it is given.

    :param note: called with the length of each piece.
    """

    def __init__(self, note: Callable[[int], None] = lambda _: None) -> None:
        self._digest = blake2b()
        self._note = note

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See :class:`IConsumer`; the producer is never told to wait."""

    def unregisterProducer(self) -> None:
        """See :class:`IConsumer`."""

    def write(self, data: bytes) -> None:
        """See :class:`IConsumer`."""
        self._digest.update(data)
        self._note(len(data))

    def digest(self) -> bytes:
        """Of everything so far."""
        return self._digest.digest()


class CheckedObjects(NewObjects):
    """New objects, each read back as soon as it is stored."""

    def __init__(self, provider: IStorageProvider, index: IIndex) -> None:
        super().__init__(provider, index)
        self._kept = provider

    async def put(self, key: str, data: bytes) -> None:
        """Store a small object.

        :raises ObjectCorrupt: what came back is not what was stored.
        :raises ProviderError: it could not be stored, or not read.
        """
        await super().put(key, data)
        if await self._kept.get_object(key, 0, len(data)) != data:
            raise self._differs(key)

    async def stream(self, key: str, size: int, first: bytes, next_piece: ReadPiece) -> None:
        """Store an object of any size, piece by piece.

        :param first: the bytes it begins with.
        :raises ObjectCorrupt: what came back is not what was stored.
        :raises ProviderError: it could not be stored, or not read.
        """
        await self._index.reserve([key])
        self._may_land_later[key] = False
        sent, received = Digesting(), Digesting()
        upload = self._kept.open_upload(key, size)
        try:
            piece = first + await next_piece()
            while piece:
                sent.write(piece)
                await upload.write(piece)
                piece = await next_piece()
        except Exception:
            await upload.abort()
            raise
        try:
            stored = await upload.finish()
        except ProviderError as error:
            self._may_land_later[key] = isinstance(error, OutcomeUnknown)
            raise
        self.missing.extend(stored.missing)
        await self._kept.stream_object(key, 0, size, received)
        if sent.digest() != received.digest():
            raise self._differs(key)

    def _differs(self, key: str) -> ObjectCorrupt:
        detail = f"{key} was read back with other bytes than were written"
        return ObjectCorrupt(self._kept.name, "verify", detail)
