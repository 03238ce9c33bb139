"""Log lines on standard error: one per event, without what clients would not want to be read."""

from __future__ import annotations

from datetime import datetime, timezone
from traceback import format_tb
from typing import IO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.failure import Failure

OWN_NAMESPACE = "raic"


def begin_logging(stream: IO[str], level: str) -> None:
    """Log to ``stream`` from now on, for the rest of the process's life.

    Libraries log addresses and requests that name storage indexes: below warnings they are heard
    at the level ``debug`` alone.
    """
    globalLogBeginner.beginLoggingTo([make_observer(stream, level)], redirectStandardIO=False)


def make_observer(stream: IO[str], level: str) -> FilteringLogObserver:
    """An observer that writes what is at or above ``level``."""
    own = LogLevel.levelWithName(level)
    predicate = LogLevelFilterPredicate(
        defaultLogLevel=own if own <= LogLevel.debug else max(own, LogLevel.warn)
    )
    predicate.setLogLevelForNamespace(OWN_NAMESPACE, own)
    reveals = own <= LogLevel.debug
    return FilteringLogObserver(
        FileLogObserver(stream, lambda event: format_event(event, reveals=reveals)), [predicate]
    )


def format_event(event: LogEvent, *, reveals: bool) -> str:
    """A line: time, level, where from, what; after a failure, its frames, indented.

    :param reveals: whether the text of an exception may be shown: it can hold anything that a
        client sent.
    """
    level = event.get("log_level", LogLevel.info)
    moment = datetime.fromtimestamp(event.get("log_time", 0), timezone.utc)
    source = event.get("log_namespace", "")
    # The second is how Twisted's old logging passes it.
    failure = event.get("log_failure") or event.get("failure")
    lines = [f"{moment:%Y-%m-%dT%H:%M:%SZ} {level.name} {source}: {_message(event)}"]
    if failure is not None:
        lines += _frames(failure, reveals=reveals)
    return "\n  ".join("\n".join(lines).splitlines()) + "\n"


def _message(event: LogEvent) -> str:
    if "failure" in event:
        # The text of such an event is the whole traceback, exception text included.
        return str(event.get("why") or "unexpected error")
    return formatEvent(event)


def _frames(failure: Failure, *, reveals: bool) -> list[str]:
    error = failure.value
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    frames = "".join(format_tb(failure.getTracebackObject()))
    return [f"{kind}: {error}" if reveals else kind, *frames.splitlines()]
