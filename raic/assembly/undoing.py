"""Stopping what was started."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

from raic.deferreds import async_to_deferred


class Undoing:
    """What stops the parts of a node: the last that was started comes first."""

    _log = Logger()

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def add(self, undo: Callable[[], object]) -> None:
        """Have what was just started stopped before all that was started until now.

        :param undo: may return a Deferred, which is waited for.
        """
        self._undo.append(undo)

    def add_as_second(self, undo: Callable[[], object]) -> None:
        """Have something stopped after all the rest but what was started first of all."""
        self._undo.insert(1, undo)

    @async_to_deferred
    async def undo(self) -> None:
        """Stop everything, in order; what fails on the way is logged.

        :return: fires when all is stopped; never fails.
        """
        while self._undo:
            undo = self._undo.pop()
            try:
                await maybeDeferred(undo)
            except Exception:  # noqa: BLE001 - the rest has to be stopped all the same
                self._log.failure("while stopping the node")
