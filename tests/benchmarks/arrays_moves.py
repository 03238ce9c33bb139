"""What arrays are measured with: shares that are written and read as clients do it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from itertools import pairwise
from os import urandom
from time import perf_counter, process_time
from typing import Any

from attrs import frozen

from raic.assembly.members import length_of
from raic.backends.array.code import Code
from raic.backends.array.members import Member
from raic.backends.array.memoryledger import MemoryLedger
from raic.backends.array.provider import ArrayProvider
from raic.interfaces import IStorageProvider
from raic.shares.keys import ShareKey, new_transaction_id
from tests.benchmarks.s3_throughput import MIB, WRITE_BYTES, Discard

HEADER_BYTES = 412
"""About what stands before a share in its object."""

READ_BYTES = 350_000
"""About what a client asks for at once."""

ARRAY = "array"


@frozen
class Sample:
    """One transfer.

    :ivar seconds: how long it took.
    :ivar cpu: how many seconds of a processor this process took.
    :ivar size: how many bytes there were.
    """

    seconds: float
    cpu: float
    size: int

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.size / self.seconds


Measured = dict[str, dict[str, list[Sample]]]
"""By what was done and with whom, turn by turn."""


@frozen
class Options:
    """What is measured; the sizes are those of shares, in bytes.

    :ivar read_size: of the share that is read piece by piece.
    :ivar rate: of a line, in bytes a second each way.
    :ivar delay: of a line, in seconds each way.
    :ivar moto: whether it plays the services, which costs more than what is measured.
    """

    needed: int = 2
    total: int = 3
    size: int = 256 * MIB
    read_size: int = 32 * MIB
    rounds: int = 3
    rate: float = 100e6 / 8
    delay: float = 0.040
    directory: str | None = None
    fsync: bool = False
    moto: bool = False


class Share:
    """A share as it reaches a provider, and as it is read."""

    def __init__(self, size: int) -> None:
        self.size = HEADER_BYTES + size
        self.key = str(ShareKey(bytes(16), 0, new_transaction_id(), size, self.size))
        data = urandom(MIB) * -(-self.size // MIB)
        cuts = [0, *range(HEADER_BYTES + WRITE_BYTES, self.size, WRITE_BYTES), self.size]
        self._writes = [data[begin:end] for begin, end in pairwise(cuts)]

    async def upload(self, provider: IStorageProvider) -> None:
        """Write it, in pieces as a client sends them."""
        upload = provider.open_upload(self.key, self.size)
        for data in self._writes:
            await upload.write(data)
        stored = await upload.finish()
        assert not stored.missing

    async def download(self, provider: IStorageProvider) -> None:
        """Read it in one request."""
        size = self.size - HEADER_BYTES
        received = await provider.stream_object(self.key, HEADER_BYTES, size, Discard())
        assert received == size

    async def read(self, provider: IStorageProvider) -> None:
        """Read it piece by piece, each when the one before it is there."""
        for offset in range(HEADER_BYTES, self.size, READ_BYTES):
            size = min(READ_BYTES, self.size - offset)
            assert len(await provider.get_object(self.key, offset, size)) == size


async def timed(size: int, moving: Awaitable[None]) -> Sample:
    """Wait for a transfer."""
    begun, cpu = perf_counter(), process_time()
    await moving
    return Sample(perf_counter() - begun, process_time() - cpu, size)


def make_array(options: Options, members: Sequence[Member], reactor: Any) -> ArrayProvider:
    """All members must have a share before it counts as stored."""
    return ArrayProvider(
        "array",
        members,
        Code(options.needed),
        options.total,
        bytes(32),
        MemoryLedger(),
        reactor,
        length_of=length_of,
    )
