"""Who may ask, and how: what is checked of a request before anything is done for it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import parse_qsl

from attrs import define
from twisted.internet.interfaces import IReactorTime

from raic.server.web.answers import Refused

USER = "operator"
"""The name that goes with the password; any other is as good."""

LONGEST_TARGET = 1024
"""How long the path of a request may be, with its query."""

FREE_FAILURES = 5
"""How many wrong passwords in a row a peer may send, before it has to wait."""

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 300.0
"""How long; doubled from the first with each further one."""

FORGET_SECONDS = 900.0
"""After so long without a wrong one a peer starts anew."""

PEERS = 1000
"""How many peers are remembered."""

Headers = Callable[[str], "list[str]"]
"""All values of a header, by its name."""

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


def check_host(headers: Headers, names: Collection[str]) -> str:
    """Refuse what was asked of another name than this node's: a page elsewhere may have had its
    own name point here.

    Addresses are taken: nobody's name is in them.

    :param names: lower case.
    :return: the header.
    """
    values = headers("host")
    found = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        raise Refused(400, "exactly one Host header is needed, with a name or an address")
    host = found["host"].lower().rstrip(".")
    if host not in names and not _is_address(host.strip("[]")):
        raise Refused(
            421,
            "this node's status page is not known by that name: use its address, or add the name"
            " to [node] web.hosts in raic.cfg",
        )
    return values[0]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def check_origin(headers: Headers, host: str) -> None:
    """Refuse what a page from elsewhere asks for; links to this page may be followed."""
    origins = headers("origin")
    if origins and origins not in ([f"http://{host}"], [f"https://{host}"]):
        raise Refused(403, "pages from elsewhere may ask for nothing here")
    site, mode = headers("sec-fetch-site"), headers("sec-fetch-mode")
    if site and site[0] not in ("same-origin", "none") and mode != ["navigate"]:
        raise Refused(403, "pages from elsewhere may ask for nothing here")


def take_query(query: str, known: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The parameters of a request.

    :param known: by name, the values that it may have.
    """
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=8)
    except ValueError:
        raise Refused(400, "the parameters cannot be understood") from None
    taken: dict[str, str] = {}
    for name, value in pairs:
        if name not in known or name in taken:
            there = ", ".join(known) or "none"
            raise Refused(400, f"the parameters here are: {there}; each at most once")
        if value not in known[name]:
            raise Refused(400, f"{name} is one of: {', '.join(known[name])}")
        taken[name] = value
    return taken


@define
class _Failures:
    count: int = 0
    last: float = 0.0


class Doorkeeper:
    """Knows the password.

    :param password: None where none is needed.
    """

    def __init__(self, password: str | None, clock: IReactorTime) -> None:
        self._digest = None if password is None else _digest(password)
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    @property
    def is_needed(self) -> bool:
        """Whether one is needed."""
        return self._digest is not None

    def check(self, headers: Headers, peer: str) -> None:
        """Refuse who does not know the password, and for a while who tried too often."""
        if self._digest is None:
            return
        failures = self._failures.get(peer)
        now = self._clock.seconds()
        if failures is not None and now - failures.last > FORGET_SECONDS:
            del self._failures[peer]
            failures = None
        if failures is not None and (wait := _wait(failures, now)) > 0:
            raise Refused(
                429, "too many wrong passwords: wait a while", {"Retry-After": f"{wait + 1:.0f}"}
            )
        given = _given(headers("authorization"))
        if given is not None and compare_digest(_digest(given), self._digest):
            self._failures.pop(peer, None)
            return
        if given is not None:
            self._note(peer, now)
        raise Refused(
            401,
            "the password of the status page is needed",
            {"WWW-Authenticate": 'Basic realm="RAIC", charset="UTF-8"'},
        )

    def knows(self, headers: Headers, peer: str) -> bool:
        """Whether :meth:`check` lets in."""
        try:
            self.check(headers, peer)
        except Refused:
            return False
        return True

    def _note(self, peer: str, now: float) -> None:
        failures = self._failures.setdefault(peer, _Failures())
        failures.count, failures.last = failures.count + 1, now
        self._failures.move_to_end(peer)
        while len(self._failures) > PEERS:
            self._failures.popitem(last=False)


def _wait(failures: _Failures, now: float) -> float:
    """How many seconds the peer still has to wait."""
    beyond = failures.count - FREE_FAILURES
    if beyond < 0:
        return 0.0
    pause = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(beyond, 20))
    return failures.last + pause - now


def _given(values: list[str]) -> str | None:
    """The password that was sent; None without any."""
    scheme, _, rest = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2]
    except ValueError:
        return ""


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8")).digest()
