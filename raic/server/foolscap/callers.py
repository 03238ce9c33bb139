"""Who calls: the connections, as those see them who answer."""

from __future__ import annotations

from typing import Protocol

from attrs import define


class Caller(Protocol):
    """The client's end of a connection."""

    def is_connected(self) -> bool:
        """Whether it is still there."""

    def quiet_seconds(self) -> float:
        """For how long it has neither read nor written anything: 0.0 while it waits for an answer,
        or uploads.
        """

    def hang_up(self) -> None:
        """End the connection; what was answered is still sent."""

    def begin_uploads(self, count: int) -> None:
        """Note that it has begun to upload so many shares."""

    def end_upload(self) -> None:
        """Note that one of them has ended."""


@define
class Callers:
    """Knows whose call is just being made.

    :ivar present: the caller, until the method that was called returns, be it with a Deferred;
        None outside of calls that came over a connection.
    """

    present: Caller | None = None
