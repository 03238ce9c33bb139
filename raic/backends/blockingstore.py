"""What a blocking SDK must be made to do, so that it can be a provider.

See :mod:`raic.backends.blocking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from attrs import frozen

from raic.errors import ProviderError
from raic.values import ObjectPage, Space

UNLIMITED = 2**40
"""What a provider without a quota says it can still take."""

_MIB = 1024 * 1024


class Body(Protocol):
    """The bytes of a range, on their way.

    :ivar length: how many there are: fewer than asked for only at the object's end.
    """

    length: int

    def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``, which is no more than are left; empty only when the
        connection ended too early.
        """

    def close(self) -> None:
        """Let go of the connection, without waiting; also after an error, also twice."""


class BlockingStore(Protocol):
    """A service as its SDK sees it.

    All methods but ``translated`` are called in worker threads, several at once.  They raise
    ``ProviderError``, or what the SDK raises, which is then translated.  Keys are those of the
    provider, not yet prefixed.  A write whose answer is lost raises, or is translated to,
    ``OutcomeUnknown``.  What puts requests on the wire calls
    :func:`raic.backends.counting.count_request` for each.
    """

    def open(self) -> None:
        """Connect, and prove that the store can be listed, written to, read and deleted from."""

    def close(self) -> None:
        """Release connections; called when no other call is under way, also if never opened."""

    def put(self, operation: str, key: str, data: bytes | bytearray) -> None:
        """Store a whole object.  Storing the same bytes again succeeds."""

    def begin_parts(self, key: str, size: int) -> Any:
        """Begin to store an object in parts.

        :return: what the next three are to be given.
        """

    def put_part(self, upload: Any, number: int, data: bytes | bytearray) -> Any:
        """Store a part; may be called again with the same number and bytes.

        :param number: 0 for the first.
        :return: a receipt.
        """

    def complete_parts(self, upload: Any, receipts: Sequence[Any], *, again: bool) -> None:
        """Make the object visible.

        :param receipts: of all parts in order.
        :param again: whether an earlier call may have succeeded without our knowing.
        """

    def discard_parts(self, upload: Any) -> None:
        """Forget what was stored of an object; also after a ``complete_parts`` that failed."""

    def open_body(self, operation: str, key: str, offset: int, length: int) -> Body:
        """Ask for a range; a missing object is ``ObjectNotFound`` even if the range is empty."""

    def list_page(self, prefix: str, token: str | None) -> ObjectPage:
        """See :meth:`raic.interfaces.IStorageProvider.list_objects`."""

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """See :meth:`raic.interfaces.IStorageProvider.delete_objects`."""

    def clear_interrupted(self, prefix: str) -> int:
        """Discard parts of uploads that this process did not begin.

        :return: how many uploads there were.
        """

    def space(self) -> Space:
        """See :meth:`raic.interfaces.IStorageProvider.get_space`."""

    def translated(self, operation: str, error: Exception) -> ProviderError | None:
        """What an SDK's exception means; None for one that is not the SDK's or the network's."""


@frozen
class PartPlan:
    """How large objects are cut.

    :ivar part_size: of all parts but the last, as long as ``max_parts`` suffice.
    :ivar in_flight: how many parts of one upload are on their way at once.
    """

    part_size: int = 8 * _MIB
    in_flight: int = 3
    max_parts: int = 10_000

    def part_size_of(self, size: int) -> int:
        """The size of the parts of an object: grows by whole MiB."""
        least = -(-size // self.max_parts)
        if least <= self.part_size:
            return self.part_size
        return -(-least // _MIB) * _MIB

    def buffer_size(self, size: int) -> int:
        """The memory that an upload takes: the parts on their way, and the one being filled."""
        return min(size, (self.in_flight + 1) * self.part_size_of(size))
