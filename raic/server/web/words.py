"""Figures as people read them."""

from __future__ import annotations

from datetime import datetime, timezone

from raic.sizes import in_words

NOTHING = "–"  # noqa: RUF001 - a dash, for what is not known
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def count(number: float | None) -> str:
    """``12,345``."""
    return NOTHING if number is None else f"{number:,.0f}"


def size(number: float | None) -> str:
    """``23.0 GB``."""
    return NOTHING if number is None else in_words(int(number))


def rate(number: float | None) -> str:
    """Of calls: ``0.3/s``."""
    if number is None:
        return NOTHING
    return f"{number:.0f}/s" if number >= 10 or not number else f"{number:.1f}/s"


def flow(number: float | None) -> str:
    """Of bytes: ``1.5 MB/s``."""
    return NOTHING if number is None else f"{in_words(int(number))}/s"


def latency(seconds: float | None) -> str:
    """``0.2 ms``, ``15 ms``, ``1.3 s``."""
    if seconds is None:
        return NOTHING
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def span(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h``, ``5 days``."""
    seconds = max(0.0, seconds)
    for unit, name in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def ago(moment: float | None, now: float) -> str:
    """``3 min ago``, ``in 5 days``, ``never``."""
    if moment is None:
        return "never"
    passed = now - moment
    if passed < -1:
        return f"in {span(-passed)}"
    return "just now" if passed < 5 else f"{span(passed)} ago"


def moment(time: float | None) -> str:
    """``2030-01-16T14:38:16Z``."""
    if time is None:
        return ""
    return f"{datetime.fromtimestamp(time, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def utc(time: float) -> str:
    """``2030-01-16 14:38:16 UTC``."""
    return f"{datetime.fromtimestamp(time, timezone.utc):%Y-%m-%d %H:%M:%S UTC}"


def percent(part: float, whole: float) -> float:
    """From 0 to 100, with one decimal."""
    return round(100 * min(1.0, part / whole), 1) if whole > 0 else 0.0
