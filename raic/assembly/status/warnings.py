"""Remembering what the log warned of lately."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from attrs import evolve
from twisted.logger import ILogObserver, LogEvent, LogLevel, LogPublisher, formatEvent
from zope.interface import implementer

from raic.status import Warned
from raic.status.hiding import without_indexes

KEPT = 50
"""How many warnings are remembered; of those that are alike only the last."""

LONGEST = 1000
"""How many characters of a text are shown."""

OWN = "raic."


@implementer(ILogObserver)
class WarningBook:
    """Remembers this program's own warnings and errors.

    Libraries are left out: what they say can hold what clients sent.  So is the text of an
    exception that nobody expected.
    """

    def __init__(self) -> None:
        self._warned: OrderedDict[Any, Warned] = OrderedDict()
        self._publisher: LogPublisher | None = None

    def listen(self, publisher: LogPublisher) -> None:
        """Remember from now on what is published."""
        self._publisher = publisher
        publisher.addObserver(self)

    def close(self) -> None:
        """Listen no more."""
        if self._publisher is not None:
            self._publisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """See ``ILogObserver``; may be called in any thread."""
        level, source = event.get("log_level"), str(event.get("log_namespace", ""))
        if level is None or level < LogLevel.warn or not source.startswith(OWN):
            return
        kind = (source, event.get("log_format"), event.get("provider"), event.get("operation"))
        text, remedy = _told(event)
        time = float(event.get("log_time", 0.0))
        known = self._warned.pop(kind, None)
        if known is None:
            known = Warned(time, time, level.name, source, text, remedy, 0)
        self._warned[kind] = evolve(
            known, time=time, text=text, remedy=remedy, times=known.times + 1
        )
        while len(self._warned) > KEPT:
            self._warned.popitem(last=False)

    def newest(self) -> tuple[Warned, ...]:
        """What is remembered, the newest first."""
        return tuple(reversed(list(self._warned.values())))


def _told(event: LogEvent) -> tuple[str, str]:
    """What it says, and what to do about it."""
    text = formatEvent(event).splitlines()[0] if event.get("log_format") else ""
    remedy = event.get("remedy") or getattr(event.get("error"), "remedy", "")
    remedy = remedy if isinstance(remedy, str) else ""
    if remedy and remedy in text:
        text = text.replace(remedy, "").rstrip(" ;")
    return without_indexes(text)[:LONGEST], remedy[:LONGEST]
