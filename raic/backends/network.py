"""What goes wrong with requests over HTTP before an answer is complete."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TypeVar

from requests import Response
from requests import exceptions as requests_errors
from urllib3 import exceptions as http

_TEXT_CHARACTERS = 200

R = TypeVar("R", bound="Refused")


class Trouble(Enum):
    """Kinds of failures."""

    CERTIFICATE = "the other side is not trusted"
    NOT_CONNECTED = "the request was not sent"
    TIMED_OUT = "no answer came in time"
    BROKEN = "the connection broke"


_NOT_CONNECTED = (
    http.NewConnectionError,
    http.ConnectTimeoutError,
    http.ProxyError,
    requests_errors.ConnectTimeout,
    requests_errors.ProxyError,
)
_TIMED_OUT = (requests_errors.Timeout, http.TimeoutError, TimeoutError)
_BROKEN = (requests_errors.RequestException, http.HTTPError, OSError)


def trouble(error: Exception) -> Trouble | None:
    """What an exception of requests, urllib3 or the sockets below them means; None for others."""
    if not isinstance(error, _BROKEN):
        return None
    chain = tuple(_chain(error))
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
        return Trouble.CERTIFICATE
    if any(isinstance(link, _NOT_CONNECTED) for link in chain):
        return Trouble.NOT_CONNECTED
    if any(isinstance(link, _TIMED_OUT) for link in chain):
        return Trouble.TIMED_OUT
    return Trouble.BROKEN


def in_words(error: Exception) -> str:
    """What an exception says: of one that means that there was no connection, only why.

    The libraries wrap that in the names of their classes and the whole address.
    """
    if trouble(error) is Trouble.NOT_CONNECTED:
        for link in _chain(error):
            if isinstance(link, OSError) and link.strerror:
                return f"no connection: {link.strerror.lower()}"
    return str(error) or type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was made of: the libraries wrap each other's."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]


class Refused(Exception):
    """An answer that is not the one hoped for.

    :ivar request: what was asked.
    :ivar status: HTTP's.
    """

    def __init__(
        self, request: str, status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{request}: status {status}: {text[:_TEXT_CHARACTERS].strip()}")
        self.request = request
        self.status = status
        self.headers = headers or {}

    @classmethod
    def by(cls: type[R], request: str, answer: Response) -> R:
        """Reads the beginning of an answer's body, and lets go of it."""
        try:
            text = answer.raw.read(_TEXT_CHARACTERS * 4).decode("utf-8", "replace")
        except (http.HTTPError, OSError):
            text = answer.reason
        answer.close()
        return cls(request, answer.status_code, " ".join(text.split()), answer.headers)


def hours_apart(headers: Mapping[str, str], now: float) -> float:
    """How far our clock and that of an answer are apart; 0 where it does not say.

    :param headers: by lower-case names.
    """
    try:
        theirs = parsedate_to_datetime(headers["date"]).timestamp()
    except (ValueError, TypeError, KeyError):
        return 0.0
    return abs(theirs - now) / 3600


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds an answer asks us to wait; None where it does not say.

    :param headers: by lower-case names.
    """
    text = str(headers.get("retry-after", ""))
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, KeyError):
        return None
