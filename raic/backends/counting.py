"""Counting the requests that operations take, where they are sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock


class RequestCounter:
    """The requests of one provider since it was made, by operation; used by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    @contextmanager
    def during(self, operation: str) -> Iterator[None]:
        """While this lasts, requests that are sent in this thread are the operation's."""
        before = _present.set((self, operation))
        try:
            yield
        finally:
            _present.reset(before)

    def add(self, operation: str) -> None:
        """Count one request."""
        with self._lock:
            self._counts[operation] += 1

    def counts(self) -> Mapping[str, int]:
        """How many there were so far, by operation."""
        with self._lock:
            return dict(self._counts)


_present: ContextVar[tuple[RequestCounter, str] | None] = ContextVar("_present", default=None)
"""Who sends requests in this thread, which has a context of its own."""


def count_request() -> None:
    """Note that a request is being sent, for whatever is under way in this thread.

    To be called by what puts requests on the wire, once for each attempt.
    """
    present = _present.get()
    if present is not None:
        counter, operation = present
        counter.add(operation)
