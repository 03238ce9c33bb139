"""Log lines on standard error: one event each, without what clients would not want to be read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from traceback import format_tb
from typing import IO, Any

from attrs import frozen
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

_PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
"""As in syslog(3)."""


@frozen
class LogStyle:
    """How an event is written.

    :ivar as_json: as an object on one line; otherwise as lines for people.
    :ivar journal: for systemd's journal, which reads the priority in front of a line, and knows
        the time.
    """

    as_json: bool = False
    journal: bool = False

    def write(
        self,
        seconds: float,
        level: str,
        source: str,
        message: str,
        failure: tuple[str, ...] = (),
    ) -> str:
        """The text of one event, with the line break at its end.

        :param level: the name of one of ``LogLevel``.
        :param source: the module that tells it.
        :param failure: what was raised, and the lines of the frames.
        """
        make = self._object if self.as_json else self._lines
        lines = make(f"{_moment(seconds):%Y-%m-%dT%H:%M:%SZ}", level, source, message, failure)
        mark = f"<{_PRIORITIES[level]}>" if self.journal else ""
        return "".join(f"{mark}{line}\n" for line in lines)

    def _lines(
        self, moment: str, level: str, source: str, message: str, failure: tuple[str, ...]
    ) -> list[str]:
        begin = "" if self.journal else f"{moment} "
        first, *more = f"{begin}{level} {source}: {message}".splitlines()
        return [first, *(f"  {line}" for line in (*more, *failure))]

    def _object(
        self, moment: str, level: str, source: str, message: str, failure: tuple[str, ...]
    ) -> list[str]:
        fields: dict[str, Any] = {
            "time": moment,
            "level": level,
            "source": source,
            "message": message,
        }
        if failure:
            fields |= {"error": failure[0], "frames": failure[1:]}
        return [json.dumps(fields)]


def style_for(log_format: str, stream: IO[str], environment: Mapping[str, str]) -> LogStyle:
    """How to write to a stream.

    :param log_format: the key ``log_format``.
    :param environment: systemd says in ``JOURNAL_STREAM`` what leads to its journal.
    """
    return LogStyle(log_format == "json", _is_journal(stream, environment))


def _is_journal(stream: IO[str], environment: Mapping[str, str]) -> bool:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # there is no file behind it
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class LogLevelSetting:
    """The least level of what is logged.

    Libraries log addresses and requests that name storage indexes: below warnings they are heard
    at the level ``debug`` alone.
    """

    def __init__(self, level: str) -> None:
        self.predicate = LogLevelFilterPredicate()
        self.reveals = False
        self.set(level)

    def set(self, level: str) -> None:
        """Log what is at or above ``level`` from now on."""
        own = LogLevel.levelWithName(level)
        others = own if own <= LogLevel.debug else max(own, LogLevel.warn)
        self.predicate.setLogLevelForNamespace("", others)
        self.predicate.setLogLevelForNamespace(OWN_NAMESPACE, own)
        self.reveals = own <= LogLevel.debug


def begin_logging(stream: IO[str], level: str, style: LogStyle = LogStyle()) -> LogLevelSetting:
    """Log to ``stream`` from now on, for the rest of the process's life.

    :return: by which another level can be set.
    """
    setting = LogLevelSetting(level)
    observer = _observer(stream, setting, style)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    return setting


def make_observer(
    stream: IO[str], level: str, style: LogStyle = LogStyle()
) -> FilteringLogObserver:
    """An observer that writes what is at or above ``level``."""
    return _observer(stream, LogLevelSetting(level), style)


def _observer(stream: IO[str], setting: LogLevelSetting, style: LogStyle) -> FilteringLogObserver:
    return FilteringLogObserver(
        FileLogObserver(stream, lambda event: format_event(event, style, reveals=setting.reveals)),
        [setting.predicate],
    )


def format_event(event: LogEvent, style: LogStyle, *, reveals: bool) -> str:
    """Its text: time, level, where from, what; after a failure, its frames.

    :param reveals: whether the text of an exception may be shown: it can hold anything that a
        client sent.
    """
    # The second is how Twisted's old logging passes it.
    failure = event.get("log_failure") or event.get("failure")
    return style.write(
        event.get("log_time", 0),
        event.get("log_level", LogLevel.info).name,
        event.get("log_namespace", ""),
        _message(event),
        () if failure is None else _frames(failure, reveals=reveals),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _message(event: LogEvent) -> str:
    if "failure" in event:
        # The text of such an event is the whole traceback, exception text included.
        return str(event.get("why") or "unexpected error")
    return formatEvent(event)


def _frames(failure: Failure, *, reveals: bool) -> tuple[str, ...]:
    error = failure.value
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    frames = "".join(format_tb(failure.getTracebackObject())).splitlines()
    if not reveals:
        return (kind, *frames)
    first, *more = f"{kind}: {error}".splitlines()
    return (first, *more, *frames)
