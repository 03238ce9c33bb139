"""The one error of a write that too few members did."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.python.failure import Failure

from raic.errors import (
    KeyTaken,
    NoSpace,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)

_TEMPORARY = (ProviderUnreachable, ProviderTimedOut, ProviderBusy)


def translated(name: str, operation: str, failure: Failure) -> ProviderError:
    """What a member said, as an error of a provider: a plugin may say anything."""
    error = failure.value
    if isinstance(error, ProviderError):
        return error
    return StorageUnusable(name, operation, f"{type(error).__name__}: {error}")


def too_few(
    name: str, operation: str, what: str, errors: Mapping[str, ProviderError], spare: int
) -> ProviderError:
    """Why something could not be done.

    Its class tells most when it is, in this order: unknown, if the outcome of anything is; that
    the key is taken; that there is no space, if there would have been enough members otherwise;
    a temporary one, if there would have been enough but for those; else what one of them said.

    :param name: the array's.
    :param what: what was to be done, and by how many.
    :param errors: what each member said, by name; at least one.
    :param spare: how many members could have failed without harm.
    """
    said = "; ".join(
        f"{member}: {type(errors[member]).__name__}: {errors[member].detail}"
        for member in sorted(errors)
    )
    cause = _cause(list(errors.values()), spare)
    kind = next((k for k in _TEMPORARY if isinstance(cause, k)), type(cause))
    if kind not in (*_TEMPORARY, OutcomeUnknown, KeyTaken, NoSpace):
        kind = ProviderUnreachable if cause.temporary else StorageUnusable
    return kind(name, operation, f"{what}: {said}", cause.remedy)


def _cause(errors: list[ProviderError], spare: int) -> ProviderError:
    """The error to be told."""
    for kind in (OutcomeUnknown, KeyTaken):
        for error in errors:
            if isinstance(error, kind):
                return error
    full = [error for error in errors if isinstance(error, NoSpace)]
    if full and len(errors) - len(full) <= spare:
        return full[0]
    passing = [error for error in errors if error.temporary]
    lasting = [error for error in errors if not error.temporary]
    return passing[0] if passing and len(lasting) <= spare else lasting[0]
