"""What may be asked over Foolscap, and how large each part of a question may be.

Names, and the order of arguments, are those of Tahoe's remote interfaces: they go over the wire.
Foolscap checks the limits while a message arrives, so that an oversized part is refused from its
announced length, before its bytes are kept.  Where Tahoe sets no limit, one is set here that no
client comes near.
"""

from __future__ import annotations

from foolscap.api import (
    Any,
    ChoiceOf,
    DictOf,
    IntegerConstraint,
    ListOf,
    Referenceable,
    RemoteInterface,
    SetOf,
    StringConstraint,
    TupleOf,
)
from foolscap.remoteinterface import RemoteMethodSchema

from raic.values import MAX_SHARES

MAX_DATA = 256 * 1024 * 1024
"""The most bytes in one string of share data."""

MAX_VECTORS = 65536
"""The most vectors in one list."""

_STORAGE_INDEX = StringConstraint(maxLength=16, minLength=16)
_SECRET = StringConstraint(maxLength=32, minLength=32)
_NUMBER = IntegerConstraint(8)
_DATA = StringConstraint(maxLength=MAX_DATA)
_ANSWERED_DATA = StringConstraint()
_TEST_VECTORS = ListOf(
    TupleOf(_NUMBER, _NUMBER, StringConstraint(maxLength=16), StringConstraint(maxLength=2**20)),
    maxLength=MAX_VECTORS,
)
_WRITE_VECTORS = ListOf(TupleOf(_NUMBER, _DATA), maxLength=MAX_VECTORS)
_READ_VECTORS = ListOf(TupleOf(_NUMBER, _NUMBER), maxLength=MAX_VECTORS)
_READ_DATA = DictOf(_NUMBER, ListOf(_ANSWERED_DATA))
_REASON = StringConstraint(maxLength=2**20)


class RIBucketWriter(RemoteInterface):
    """An upload.  Its remote name is the class's own: Tahoe gives it no other."""

    write = RemoteMethodSchema(offset=_NUMBER, data=_DATA)
    close = RemoteMethodSchema()
    abort = RemoteMethodSchema()


class RIBucketReader(RemoteInterface):
    """A complete immutable share; named as the above."""

    read = RemoteMethodSchema(_response=_ANSWERED_DATA, offset=_NUMBER, length=_NUMBER)
    advise_corrupt_share = RemoteMethodSchema(reason=_REASON)


class RIStorageServer(RemoteInterface):
    """The storage service."""

    __remote_name__ = "RIStorageServer.tahoe.allmydata.com"

    get_version = RemoteMethodSchema(_response=DictOf(bytes, Any()))
    allocate_buckets = RemoteMethodSchema(
        _response=TupleOf(
            SetOf(_NUMBER, maxLength=MAX_SHARES),
            DictOf(_NUMBER, RIBucketWriter, maxKeys=MAX_SHARES),
        ),
        storage_index=_STORAGE_INDEX,
        renew_secret=_SECRET,
        cancel_secret=_SECRET,
        sharenums=SetOf(_NUMBER, maxLength=MAX_SHARES),
        allocated_size=_NUMBER,
        canary=Referenceable,
    )
    add_lease = RemoteMethodSchema(
        storage_index=_STORAGE_INDEX, renew_secret=_SECRET, cancel_secret=_SECRET
    )
    get_buckets = RemoteMethodSchema(
        _response=DictOf(_NUMBER, RIBucketReader, maxKeys=MAX_SHARES), storage_index=_STORAGE_INDEX
    )
    slot_readv = RemoteMethodSchema(
        _response=_READ_DATA,
        storage_index=_STORAGE_INDEX,
        shares=ListOf(_NUMBER, maxLength=MAX_SHARES),
        readv=_READ_VECTORS,
    )
    slot_testv_and_readv_and_writev = RemoteMethodSchema(
        _response=TupleOf(bool, _READ_DATA),
        storage_index=_STORAGE_INDEX,
        secrets=TupleOf(_SECRET, _SECRET, _SECRET),
        tw_vectors=DictOf(
            _NUMBER,
            TupleOf(_TEST_VECTORS, _WRITE_VECTORS, ChoiceOf(None, _NUMBER)),
            maxKeys=MAX_SHARES,
        ),
        r_vector=_READ_VECTORS,
    )
    advise_corrupt_share = RemoteMethodSchema(
        share_type=StringConstraint(maxLength=16),
        storage_index=_STORAGE_INDEX,
        shnum=_NUMBER,
        reason=_REASON,
    )
