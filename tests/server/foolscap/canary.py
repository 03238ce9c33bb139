"""A stand-in for what a client sends along to say that it is there."""

from __future__ import annotations

from collections.abc import Callable


class Canary:
    """The part of a Foolscap reference that uploads use.

    :ivar watchers: who wants to know when the connection is lost.
    """

    def __init__(self) -> None:
        self.watchers: list[Callable[[], None]] = []

    def notifyOnDisconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """As Foolscap's."""
        self.watchers.append(callback)
        return callback

    def dontNotifyOnDisconnect(self, marker: Callable[[], None]) -> None:
        """As Foolscap's."""
        self.watchers.remove(marker)

    def lose_connection(self) -> None:
        """Tell them."""
        for callback in self.watchers:
            callback()
