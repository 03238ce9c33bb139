"""Having a valid token at hand, with as few questions as possible."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from raic.backends.swift.driver import Access
from raic.errors import ProviderError

MARGIN = 120.0
"""A token is renewed this many seconds before it ends, or after three quarters of its life."""

RETRY_SECONDS = 10.0
"""How long after a failure a token that still lives is renewed."""


class Keeper:
    """The present token, shared by all threads.

    :param sign_in: gets a new one.
    :param now: the time in seconds.
    """

    def __init__(self, sign_in: Callable[[], Access], now: Callable[[], float]) -> None:
        self._sign_in = sign_in
        self._now = now
        self._lock = Lock()
        self._access: Access | None = None
        self._renew_at = 0.0
        self._ends_at = 0.0

    def current(self) -> Access:
        """A token that lives long enough for a request.

        When it is soon to end, one thread gets a new one; the others go on with the old one as
        long as it lives.

        :raises ProviderError: none could be had.
        """
        access, now = self._access, self._now()
        if access is not None and now < self._renew_at:
            return access
        must_wait = access is None or now >= self._ends_at
        if not self._lock.acquire(blocking=must_wait):
            assert access is not None
            return access
        try:
            if self._access is not None and self._now() < self._renew_at:
                return self._access
            return self._renew_early()
        finally:
            self._lock.release()

    def other_than(self, refused: Access) -> Access:
        """A token after one was refused.

        :raises ProviderError: none could be had.
        """
        with self._lock:
            if self._access is not None and self._access is not refused:
                return self._access
            return self._renew()

    def _renew_early(self) -> Access:
        """A failure is no one's while the old token lives."""
        old = self._access
        try:
            return self._renew()
        except ProviderError:
            now = self._now()
            if old is None or now >= self._ends_at:
                raise
            self._renew_at = now + RETRY_SECONDS
            return old

    def _renew(self) -> Access:
        access = self._access = self._sign_in()
        now = self._now()
        self._ends_at = now + access.life
        self._renew_at = now + max(access.life - MARGIN, access.life * 0.75)
        return access
