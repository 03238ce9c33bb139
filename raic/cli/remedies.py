"""Every error with its remedy, as reStructuredText: for who reads a name in the log."""

from __future__ import annotations

from collections.abc import Iterator

from raic import errors
from raic.cli import node_link
from raic.errors import ProtocolRefusal, RaicError

_SAID = "what the message says; it differs from case to case."
_CLIENT = "nothing: the client is told, and it is the client's affair."

WITHOUT_REMEDY: dict[type[RaicError], str] = {
    errors.VersionConflict: "nothing: two clients changed one mutable file, and one tries again.",
    errors.ServiceStopping: "nothing: the node is being stopped.",
    errors.OperationRefused: _SAID,
    errors.ConfigurationError: _SAID,
    errors.CredentialsUnusable: _SAID,
    errors.ListenerUnusable: _SAID,
    node_link.NodeNotRunning: "start the node: raic run NODEDIR.",
    node_link.CommandFailed: _SAID,
}
"""What to do about errors whose class has no remedy, refusals of clients' requests excepted."""


def describe_errors() -> list[str]:
    """A definition list of all errors that a log or a command can name."""
    lines: list[str] = []
    for kind in all_errors():
        meaning = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
        again = "  It may go away by itself." if kind.temporary else ""
        lines += [f"``{kind.__name__}``", f"   {meaning}{again}", ""]
        lines += [f"   *What to do:* {what_to_do(kind)}", ""]
    return lines


def all_errors() -> list[type[RaicError]]:
    """Every class that is raised itself, those that only gather others excepted."""
    return sorted(set(_below(RaicError)) - _GATHERING, key=lambda kind: kind.__name__)


def what_to_do(kind: type[RaicError]) -> str:
    """The remedy of a class, as a sentence.

    :raises KeyError: nobody has written what to do.
    """
    if kind.remedy:
        return f"{kind.remedy}."
    return _CLIENT if issubclass(kind, ProtocolRefusal) else WITHOUT_REMEDY[kind]


_GATHERING = {errors.ProviderError, errors.IndexFailure, errors.ProtocolRefusal}


def _below(kind: type[RaicError]) -> Iterator[type[RaicError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("raic."):
            yield each
            yield from _below(each)
