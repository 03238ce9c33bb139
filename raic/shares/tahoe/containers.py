"""Tahoe's containers, specified in ``docs/specifications/tahoe-containers.rst``.

A container is a file that holds one share and its leases.  Reading one needs its beginning and its
end, whatever lies between.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import Enum
from hashlib import sha256
from pathlib import Path
from struct import Struct

from attrs import field, frozen

from raic.shares.secrets import lease_digest
from raic.values import Lease

NODEID_BYTES = 20
NEWEST = 2
"""The version that Tahoe writes since 1.17."""

_IMMUTABLE = Struct(">LLL")
_IMMUTABLE_LEASE = Struct(">L32s32sL")
_MUTABLE = Struct(">32s20s32sQQ")
_MUTABLE_LEASE = Struct(">LL32s32s20s")
_COUNT = Struct(">L")
_HIGHEST = 2**32 - 1
_FIXED_LEASES = 4
_SHARE_BEGINS = _MUTABLE.size + _FIXED_LEASES * _MUTABLE_LEASE.size
_OWNER = 1
"""Tahoe numbers owners, and has only ever had this one; 0 is an empty place for a lease."""


class Kind(Enum):
    """What a container holds."""

    IMMUTABLE = "immutable"
    MUTABLE = "mutable"


class NotAContainer(Exception):
    """A file cannot be used as a share; the text says why."""


@frozen
class Container:
    """What a container says.

    :ivar version: 1, with the secrets of leases as they are, or 2, with their digests.
    :ivar offset: where the share's first byte is.
    :ivar length: the share's own length.
    :ivar leases: with digests, whatever the version.
    :ivar write_enabler: empty in an immutable one.
    :ivar nodeid: of the node that recorded the write enabler; empty in an immutable one.
    """

    kind: Kind
    version: int
    offset: int
    length: int
    leases: tuple[Lease, ...]
    write_enabler: bytes = field(default=b"", repr=False)
    nodeid: bytes = b""


@frozen
class Frame:
    """What goes around a share in a file: ``before`` its bytes and ``after`` them."""

    before: bytes = field(repr=False)
    after: bytes = field(repr=False)


def read_container(descriptor: int) -> Container:
    """What an open file says.

    :raises NotAContainer: it is none, or was cut short, or is half-written.
    :raises OSError: it cannot be read.
    """
    size = os.fstat(descriptor).st_size
    begin = os.pread(descriptor, _SHARE_BEGINS, 0)
    for version, magic in _MAGICS.items():
        if begin.startswith(magic):
            return _read_mutable(descriptor, size, begin, version)
    if len(begin) < _IMMUTABLE.size:
        raise NotAContainer(f"it has only {size} bytes")
    return _read_immutable(descriptor, size, begin)


def immutable_frame(length: int, leases: Sequence[Lease]) -> Frame:
    """A container of the newest version for an immutable share."""
    records = [
        _IMMUTABLE_LEASE.pack(_OWNER, one.renew_digest, one.cancel_digest, _moment(one))
        for one in leases
    ]
    before = _IMMUTABLE.pack(NEWEST, min(length, _HIGHEST), len(leases))
    return Frame(before, b"".join(records))


def mutable_frame(
    length: int, leases: Sequence[Lease], write_enabler: bytes, nodeid: bytes, accepted_by: bytes
) -> Frame:
    """A container of the newest version for a mutable share.

    :param nodeid: of the node that recorded the write enabler.
    :param accepted_by: of the node that granted the leases.
    """
    records = [
        _MUTABLE_LEASE.pack(_OWNER, _moment(one), one.renew_digest, one.cancel_digest, accepted_by)
        for one in leases
    ]
    blanks = [bytes(_MUTABLE_LEASE.size)] * max(0, _FIXED_LEASES - len(records))
    fixed, extra = records[:_FIXED_LEASES] + blanks, records[_FIXED_LEASES:]
    end = _SHARE_BEGINS + length
    head = _MUTABLE.pack(_MAGICS[NEWEST], nodeid, write_enabler, length, end)
    return Frame(head + b"".join(fixed), _COUNT.pack(len(extra)) + b"".join(extra))


def _moment(lease: Lease) -> int:
    return max(0, min(lease.expires, _HIGHEST))


def _magic(version: int) -> bytes:
    name = f"Tahoe mutable container v{version}\n".encode("ascii")
    if version == 1:
        return name + b"\x75\x09\x44\x03\x8e"
    # Tahoe's tagged hash: of the tag as a netstring and the text as it is, twice
    tag = b"allmydata_mutable_container_header"
    once = sha256(b"%d:%s," % (len(tag), tag) + name).digest()
    return name + sha256(once).digest()[:5]


_MAGICS = {version: _magic(version) for version in (1, 2)}


def _read_immutable(descriptor: int, size: int, begin: bytes) -> Container:
    version, said, count = _IMMUTABLE.unpack_from(begin)
    if version not in (1, 2):
        raise NotAContainer("it begins like no container that is known")
    end = size - count * _IMMUTABLE_LEASE.size
    length = end - _IMMUTABLE.size
    if length < 0 or said != min(length, _HIGHEST):
        raise NotAContainer(f"it has {size} bytes, which does not go with {count} leases")
    records = _IMMUTABLE_LEASE.iter_unpack(_read(descriptor, end, size - end))
    leases = tuple(_lease(version, renew, cancel, expires) for _, renew, cancel, expires in records)
    return Container(Kind.IMMUTABLE, version, _IMMUTABLE.size, length, leases)


def _read_mutable(descriptor: int, size: int, begin: bytes, version: int) -> Container:
    if len(begin) < _SHARE_BEGINS:
        raise NotAContainer(f"it has only {size} bytes")
    _, nodeid, write_enabler, length, extra = _MUTABLE.unpack_from(begin)
    if not _SHARE_BEGINS + length <= extra <= size - _COUNT.size:
        raise NotAContainer(f"it has {size} bytes, which does not go with a share of {length}")
    (count,) = _COUNT.unpack(_read(descriptor, extra, _COUNT.size))
    begins, bytes_of_extra = extra + _COUNT.size, count * _MUTABLE_LEASE.size
    if begins + bytes_of_extra > size:
        raise NotAContainer(f"it has {size} bytes, which does not go with {count} more leases")
    records = begin[_MUTABLE.size :] + _read(descriptor, begins, bytes_of_extra)
    leases = tuple(
        _lease(version, renew, cancel, expires)
        for owner, expires, renew, cancel, _ in _MUTABLE_LEASE.iter_unpack(records)
        if owner
    )
    return Container(Kind.MUTABLE, version, _SHARE_BEGINS, length, leases, write_enabler, nodeid)


def _lease(version: int, renew: bytes, cancel: bytes, expires: int) -> Lease:
    if version == 1:
        return Lease(lease_digest(renew), lease_digest(cancel), expires)
    return Lease(renew, cancel, expires)


def _read(descriptor: int, offset: int, length: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    if len(data) != length:
        raise NotAContainer("it was cut short while it was read")
    return data


def merged(leases: Iterable[Lease]) -> tuple[Lease, ...]:
    """Each lease once, as long as it lasts longest; the latest to expire first."""
    longest: dict[bytes, Lease] = {}
    for lease in leases:
        other = longest.get(lease.renew_digest)
        if other is None or other.expires < lease.expires:
            longest[lease.renew_digest] = lease
    return tuple(sorted(longest.values(), key=lambda one: -one.expires))


def read_container_at(path: Path) -> Container:
    """What a file says.

    :raises NotAContainer: it is none, or was cut short, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return read_container(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NotAContainer(f"it cannot be read: {error.strerror}") from error
