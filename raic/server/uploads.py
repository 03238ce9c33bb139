"""The immutable shares that are being uploaded, in either dialect."""

from __future__ import annotations

from collections.abc import Iterator
from hmac import compare_digest

from attrs import field, frozen

from raic.errors import BadUploadSecret, NoSuchShare
from raic.interfaces import IBucketUpload


@frozen
class _InProgress:
    upload: IBucketUpload
    secret: bytes | None = field(repr=False)

    def belongs_to(self, secret: bytes | None) -> bool:
        """Whether ``secret`` is the one that the upload was allocated with."""
        if self.secret is None or secret is None:
            return False
        return compare_digest(self.secret, secret)


class Uploads:
    """At most one upload for each storage index and share number.

    :ivar reserved: the sum of their allocated sizes, in bytes.
    """

    def __init__(self) -> None:
        self._by_place: dict[tuple[bytes, int], _InProgress] = {}
        self.reserved = 0

    def __iter__(self) -> Iterator[IBucketUpload]:
        return iter([entry.upload for entry in self._by_place.values()])

    def __len__(self) -> int:
        return len(self._by_place)

    def holds(self, storage_index: bytes, shnum: int) -> bool:
        """Whether the share is being uploaded."""
        return (storage_index, shnum) in self._by_place

    def add(
        self, storage_index: bytes, shnum: int, upload: IBucketUpload, secret: bytes | None
    ) -> None:
        """Note an upload that has begun.

        :param secret: None for an upload that only its allocator can reach.
        """
        self._by_place[storage_index, shnum] = _InProgress(upload, secret)
        self.reserved += upload.size

    def remove(self, storage_index: bytes, shnum: int) -> None:
        """Note that the upload has ended."""
        entry = self._by_place.pop((storage_index, shnum), None)
        if entry is not None:
            self.reserved -= entry.upload.size

    def find(self, storage_index: bytes, shnum: int, secret: bytes | None) -> IBucketUpload | None:
        """The upload, if there is one and ``secret`` is its own."""
        entry = self._by_place.get((storage_index, shnum))
        return entry.upload if entry is not None and entry.belongs_to(secret) else None

    def get(self, storage_index: bytes, shnum: int, secret: bytes) -> IBucketUpload:
        """The upload.

        :raises NoSuchShare: there is none.
        :raises BadUploadSecret: its secret is another one.
        """
        entry = self._by_place.get((storage_index, shnum))
        if entry is None:
            raise NoSuchShare("no such upload is in progress")
        if not entry.belongs_to(secret):
            raise BadUploadSecret("the upload secret is not this upload's")
        return entry.upload
