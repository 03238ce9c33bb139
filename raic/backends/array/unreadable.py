"""The one error of an object of which too few fragments could be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raic.errors import (
    AccessDenied,
    ObjectCorrupt,
    ObjectNotFound,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)

Verdicts = Mapping[int, Sequence[tuple[str, ProviderError]]]
"""By fragment number, what each member that was asked for it said, with its name."""

_KINDS = (ProviderUnreachable, ProviderTimedOut, ProviderBusy, AccessDenied, StorageUnusable)


def unreadable(
    name: str, operation: str, object_key: str, verdicts: Verdicts, needed: int, hopeful: int
) -> ProviderError:
    """Why an object cannot be read.

    The error is temporary if the members that could not be reached might have what is lacking;
    if none has anything the object is not there; otherwise it is damaged.

    :param name: the array's.
    :param hopeful: how many fragments were good, or not heard of when the read was given up.
    """
    gone = [n for n, said in verdicts.items() if _all(said, ObjectNotFound)]
    wrong = [n for n, said in verdicts.items() if any(_is(e, ObjectCorrupt) for _, e in said)]
    away = [n for n in verdicts if n not in gone and n not in wrong]
    said = "; ".join(_sentence(*each) for n in sorted(verdicts) for each in verdicts[n])
    detail = f"{object_key}: fewer than {needed} fragments can be read: {said}"
    if hopeful + len(away) < needed:
        missing = len(gone) > 0 and not wrong and not hopeful
        return (ObjectNotFound if missing else ObjectCorrupt)(name, operation, detail)
    errors = [error for n in away for _, error in verdicts[n]]
    passing = [error for error in errors if error.temporary]
    if hopeful + sum(_any_temporary(verdicts[n]) for n in away) >= needed:
        return _kind(passing)(name, operation, detail)
    lasting = [error for error in errors if not error.temporary]
    return _kind(lasting)(name, operation, detail, lasting[0].remedy)


def _any_temporary(said: Sequence[tuple[str, ProviderError]]) -> bool:
    return any(error.temporary for _, error in said)


def _kind(errors: Sequence[ProviderError]) -> type[ProviderError]:
    """The class that most of them are of; the first where no other one is more frequent."""
    kinds = [next((k for k in _KINDS if isinstance(e, k)), StorageUnusable) for e in errors]
    return max(kinds, key=kinds.count, default=ProviderTimedOut)


def _all(said: Sequence[tuple[str, ProviderError]], kind: type[ProviderError]) -> bool:
    return all(_is(error, kind) for _, error in said)


def _is(error: ProviderError, kind: type[ProviderError]) -> bool:
    return isinstance(error, kind)


def _sentence(member: str, error: ProviderError) -> str:
    return f"{member}: {type(error).__name__}: {error.detail}"
