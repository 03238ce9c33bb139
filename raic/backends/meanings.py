"""What errors of services mean, whichever service it is: our classes, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from raic.backends.network import Trouble
from raic.errors import (
    AccessDenied,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    RaicError,
)

WRITES = frozenset({"put_object", "finish"})
"""The operations after which an object may appear though no answer came."""


@frozen
class Meaning:
    """A class of errors.

    :ivar remedy: may have names in braces, which :meth:`made` is given; empty for the class's own.
    """

    kind: type[ProviderError]
    remedy: str = ""

    def made(self, provider: str, operation: str, detail: str, **names: str) -> ProviderError:
        """The error itself."""
        return self.kind(provider, operation, detail, self.remedy.format(**names))


LOST = Meaning(OutcomeUnknown)


def of_failure(operation: str, headers: Mapping[str, str]) -> Meaning:
    """What an answer means that says that the service failed, with a status of 500 or above.

    The service may have done what it failed to say; not so when it says when to come back.

    :param headers: by lower-case names.
    """
    lost = operation in WRITES and "retry-after" not in headers
    return LOST if lost else Meaning(ProviderBusy)


def of_trouble(
    operation: str, found: Trouble, certificate: Meaning, unreachable: Meaning
) -> Meaning:
    """What it means that no answer came.

    :param certificate: where the other side is not trusted.
    :param unreachable: where the request was not sent, or its outcome does not matter.
    """
    if found is Trouble.CERTIFICATE:
        return certificate
    if found is Trouble.NOT_CONNECTED:
        return unreachable
    if operation in WRITES:
        return LOST
    return Meaning(ProviderTimedOut) if found is Trouble.TIMED_OUT else unreachable


def of_no_credentials(error: RaicError) -> Meaning:
    """What it means that the credentials could not be had."""
    return Meaning(AccessDenied, error.remedy.replace("{", "{{").replace("}", "}}"))
