"""Saying which member lied or lost something, and having it repaired."""

from __future__ import annotations

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.errors import ObjectNotFound, ProviderError
from raic.ledger import IFragmentLedger

INTERVAL = 60.0
"""Seconds between two log events about one member and kind."""


@define
class _Silence:
    until: float
    unsaid: int = 0


class Reports:
    """Notes fragments that a read found bad or gone.

    :param name: the array's.
    """

    _log = Logger()

    def __init__(self, name: str, ledger: IFragmentLedger, clock: IReactorTime) -> None:
        self._name = name
        self._ledger = ledger
        self._clock = clock
        self._silences: dict[tuple[str, str], _Silence] = {}

    def bad(self, key: str, member: str, error: ProviderError) -> None:
        """Have a fragment repaired, and log it unless the like was logged a moment ago."""
        kind = "lost" if isinstance(error, ObjectNotFound) else "altered"
        self._ledger.note_missing([key], f"{member}: {error.detail}").addErrback(self._unnoted)
        now = self._clock.seconds()
        silence = self._silences.get((member, kind))
        if silence is not None and now < silence.until:
            silence.unsaid += 1
            return
        self._silences[member, kind] = _Silence(now + INTERVAL)
        self._log.warn(
            "{array}: {member} has {kind} a fragment, which is to be repaired: {error}{more}",
            array=self._name,
            member=member,
            kind=kind,
            error=error,
            more=f" ({silence.unsaid} more like it before)" if silence and silence.unsaid else "",
        )

    def _unnoted(self, failure: Failure) -> None:
        """A fragment is found bad again by the next read or scrub."""
        self._log.warn(
            "{array}: a fragment could not be noted for repair: {error}",
            array=self._name,
            error=failure.value,
        )
