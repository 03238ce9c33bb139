"""How failures reach a Foolscap client: as the name of an exception and a line of text.

A client's own mistake keeps its name and text, under the name that a Tahoe server would give it
where there is one.  Of a failure on the node's side the client learns only that it happened; the
node's log has the rest.
"""

from __future__ import annotations

from base64 import b32encode
from typing import NoReturn

from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.errors import (
    BadWriteEnabler,
    ConflictingWrite,
    MessageTooLarge,
    ProtocolRefusal,
    ProviderError,
    RaicError,
    ServiceBusy,
    ServiceStopping,
    WriteOutOfBounds,
)

_log = Logger()

_TAHOE = "allmydata.interfaces"


class BadWriteEnablerError(Exception):
    """The write enabler is not the slot's."""


class DataTooLargeError(Exception):
    """More bytes than the share, or one message, can have."""


class ConflictingWriteError(Exception):
    """Other bytes were already written there."""


class StorageUnavailable(Exception):
    """What keeps the shares failed."""


# The name on the wire is the class's module and name.
for _class in (BadWriteEnablerError, DataTooLargeError, ConflictingWriteError):
    _class.__module__ = _TAHOE


REFUSALS = (ProtocolRefusal, BadWriteEnablerError, DataTooLargeError, ConflictingWriteError)
"""What a client is told when it asked for what cannot be done; all else is the node's fault."""


def raise_for_client(failure: Failure) -> NoReturn:
    """An errback that raises what the client may see."""
    error = failure.value
    if isinstance(error, BadWriteEnabler):
        nodeid = b32encode(error.nodeid).decode("ascii").lower()
        raise BadWriteEnablerError(f"The write enabler was recorded by nodeid '{nodeid}'.")
    if isinstance(error, WriteOutOfBounds | MessageTooLarge):
        raise DataTooLargeError(str(error))
    if isinstance(error, ConflictingWrite):
        raise ConflictingWriteError(str(error))
    if isinstance(error, ProtocolRefusal | ServiceBusy | ServiceStopping):
        raise error
    if isinstance(error, ProviderError):
        # Of its troubles a provider tells itself.
        _log.debug("a Foolscap request failed: {error}", error=error)
    elif isinstance(error, RaicError):
        _log.error("a Foolscap request failed: {error}; {error.remedy}", error=error)
    else:
        _log.failure("a Foolscap request failed", failure)
    raise StorageUnavailable("the storage server cannot reach its storage; try again later")
