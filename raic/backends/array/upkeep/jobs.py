"""Operations that are under way, and who follows them."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from raic.backends.array.maintenance import Follower, Operation, Outcome, Progress, UnderWay
from raic.errors import ServiceStopping


class Job:
    """An operation that is under way; it goes on whoever looks."""

    def __init__(self, operation: Operation, began: int) -> None:
        self.operation = operation
        self.began = began
        self.progress = Progress(0)
        self._followers: list[Follower] = []
        self._waiting: list[Deferred[Outcome]] = []
        self._doing: Deferred[Outcome] | None = None

    def begin(self, doing: Deferred[Outcome], ended: Callable[[Job], None]) -> None:
        """Note what does it.

        :param ended: called when it is over, before those who wait.
        """
        self._doing = doing

        def end(outcome: Outcome | Failure) -> None:
            ended(self)
            if isinstance(outcome, Failure) and is_cancelled(outcome):
                outcome = Failure(ServiceStopping("the node is shutting down"))
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(outcome)  # a Failure makes it fail

        doing.addBoth(end)

    def follow(self, follower: Follower) -> Deferred[Outcome]:
        """Be told how far it is from now on.

        :return: fires or fails as the operation does.
        """

        def forget(waiting: Deferred[Outcome]) -> None:
            self._waiting.remove(waiting)
            self._followers.remove(follower)

        waiting: Deferred[Outcome] = Deferred(forget)
        self._waiting.append(waiting)
        self._followers.append(follower)
        follower(self.progress)
        return waiting

    def tell(self, progress: Progress) -> None:
        """It has come this far."""
        if progress != self.progress:
            self.progress = progress
            for follower in list(self._followers):
                follower(progress)

    def under_way(self) -> UnderWay:
        """What is told of it."""
        return UnderWay(self.operation, self.progress, self.began)

    def stop(self) -> None:
        """End it where it is."""
        if self._doing is not None:
            self._doing.cancel()


def is_cancelled(failure: Failure) -> bool:
    """Whether an operation ended because the node stops."""
    return failure.check(CancelledError) is not None
