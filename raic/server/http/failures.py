"""What a client is told when something cannot be done.

Expected failures have a status; everything else is 503 too, because Tahoe's clients treat a 500
no better and a later attempt may well succeed.  No answer shows a key, a path or a traceback.
"""

from __future__ import annotations

from traceback import format_tb

from attrs import frozen
from twisted.logger import Logger

from raic.errors import (
    BadUploadSecret,
    BadWriteEnabler,
    ConflictingWrite,
    MessageMalformed,
    MessageTooLarge,
    NoSuchShare,
    ProtocolRefusal,
    RaicError,
    UploadFinished,
    WriteOutOfBounds,
    WriteOutOfWindow,
)

RETRY_SECONDS = 5
"""What ``Retry-After`` says in a 503."""

_STATUS: dict[type[ProtocolRefusal], int] = {
    NoSuchShare: 404,
    BadWriteEnabler: 401,
    BadUploadSecret: 401,
    UploadFinished: 405,
    ConflictingWrite: 409,
    WriteOutOfBounds: 416,
    WriteOutOfWindow: 416,
    MessageTooLarge: 413,
    MessageMalformed: 400,
}

_log = Logger()


@frozen
class Refusal(Exception):
    """An answer that is not a success, raised by whoever finds the reason.

    :ivar headers: further header lines, each ended by CR LF.
    """

    status: int
    text: str
    headers: bytes = b""


def refusal_for(error: Exception, doing: str) -> Refusal:
    """What to answer after ``error``; one that nobody expects is logged here, once.

    :param doing: the name of the endpoint, for the log.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ProtocolRefusal):
        return Refusal(_STATUS.get(type(error), 400), str(error), _allow(error))
    if isinstance(error, RaicError):
        _log.debug("{doing}: {kind}: {error}", doing=doing, kind=type(error).__name__, error=error)
    else:
        _log_unexpected(error, doing)
    return Refusal(503, "the node cannot do this just now", b"Retry-After: %d\r\n" % RETRY_SECONDS)


def _allow(error: ProtocolRefusal) -> bytes:
    # RFC 9110 wants the header with every 405; nothing can be done to a finished upload.
    return b"Allow:\r\n" if isinstance(error, UploadFinished) else b""


def _log_unexpected(error: Exception, doing: str) -> None:
    # The text of an exception can hold a storage index or a secret, its frames cannot.
    _log.error(
        "{doing}: an unexpected {kind}; this is a bug in RAIC, please report it:\n{frames}",
        doing=doing,
        kind=type(error).__name__,
        frames="".join(format_tb(error.__traceback__)),
    )
    _log.debug("{doing}: its text was: {error!r}", doing=doing, error=error)
