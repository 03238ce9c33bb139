"""What is said of a call that took too long."""

from __future__ import annotations

from raic.errors import OutcomeUnknown, ProviderError, ProviderTimedOut

WRITES = frozenset({"put_object", "delete_objects", "finish"})
"""Operations that may have been done although no answer came.  A write to an upload is none:
nothing of it can be seen before the upload is finished."""

UNWANTED = frozenset({"get_object", "list_objects", "get_space"})
"""Operations that change nothing: one that is cancelled has not failed."""


def late(provider: str, operation: str, seconds: float) -> ProviderError:
    """The error of a call that took too long: of a write nobody knows what became."""
    kind = OutcomeUnknown if operation in WRITES else ProviderTimedOut
    return kind(provider, operation, f"no answer within {seconds:g} seconds")
