"""What writes that failed left on some members."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.backends.array.members import Member
from raic.deferreds import apart
from raic.errors import IndexStopped
from raic.ledger import IFragmentLedger
from raic.values import Garbage

T = TypeVar("T")

_REMEMBERED = 10_000


class Leftovers:
    """Deletes fragments of objects that never came to be, which nobody may see meanwhile.

    :param request_seconds: a request that was given up has no effect any more after so long.
    """

    _log = Logger()

    def __init__(
        self, name: str, ledger: IFragmentLedger, clock: IReactorTime, request_seconds: float
    ) -> None:
        self._name = name
        self._ledger = ledger
        self._clock = clock
        self._request_seconds = request_seconds
        self._hidden: OrderedDict[str, bool] = OrderedDict()  # whether until told otherwise
        self._running: dict[str, int] = {}
        self._waiters: dict[str, list[Deferred[None]]] = {}
        self._deletions: set[Deferred[frozenset[str]]] = set()
        self._stopped = False

    def start(self) -> None:
        """Delete what is to be discarded from now on."""
        self._stopped = False

    def stop(self) -> Deferred[None]:
        """Delete nothing more: what is not known to be deleted becomes garbage.

        :return: see :meth:`settled`.
        """
        self._stopped = True
        for deletion in list(self._deletions):
            deletion.cancel()
        return self.settled()

    def settled(self) -> Deferred[None]:
        """Fires when all that is to be discarded is deleted or noted; never fails."""
        return gatherResults([self._wait(key) for key in self._running]).addCallback(lambda _: None)

    def is_hidden(self, object_key: str) -> bool:
        """Whether there may be fragments of an object that does not exist."""
        return object_key in self._hidden

    def hide(self, object_key: str) -> None:
        """There may be fragments, but no object, until :meth:`show`."""
        self._hide(object_key, True)

    def show(self, object_key: str) -> None:
        """The fragments were deleted, or the object was written after all, by a later call."""
        self._hidden.pop(object_key, None)

    def gone(self, object_key: str) -> Deferred[None] | None:
        """Fires when the deletion under way has ended; None when there is none."""
        return self._wait(object_key) if object_key in self._running else None

    def discard(self, object_key: str, fragments: Sequence[tuple[Member, str]]) -> Deferred[None]:
        """Delete fragments; those that cannot be deleted now become garbage.

        :param fragments: keys, with the member that has each.
        :return: fires when that is done; never fails.
        """
        if not fragments:
            return succeed(None)
        self._hide(object_key, self._hidden.get(object_key, False))
        self._running[object_key] = self._running.get(object_key, 0) + 1
        done = self._wait(object_key)
        self._delete(object_key, fragments).addBoth(self._ended, object_key)
        return done

    def _hide(self, object_key: str, lasting: bool) -> None:
        self._hidden[object_key] = lasting
        while len(self._hidden) > _REMEMBERED:
            self._hidden.popitem(last=False)

    def _wait(self, object_key: str) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._waiters.setdefault(object_key, []).append(waiter)
        return waiter

    def _delete(self, object_key: str, fragments: Sequence[tuple[Member, str]]) -> Deferred[None]:
        kept: list[str] = []

        def note(answer: frozenset[str] | Failure, key: str) -> None:
            if isinstance(answer, Failure) or key in answer:
                kept.append(key)

        deletions = [self._delete_one(member, key).addBoth(note, key) for member, key in fragments]
        return gatherResults(deletions).addCallback(lambda _: self._deleted(object_key, kept))

    def _delete_one(self, member: Member, key: str) -> Deferred[frozenset[str]]:
        if self._stopped:
            return succeed(frozenset([key]))

        def ended(answer: T) -> T:
            self._deletions.discard(deletion)
            return answer

        deletion = apart(maybeDeferred(member.provider.delete_objects, [key]))
        self._deletions.add(deletion)
        return deletion.addBoth(ended)

    def _deleted(self, object_key: str, kept: Sequence[str]) -> Deferred[None] | None:
        if not kept:
            if not self._hidden.get(object_key):
                self.show(object_key)
            return None
        now = int(self._clock.seconds())
        garbage = [Garbage(key, now + int(self._request_seconds)) for key in kept]
        return self._ledger.release(garbage).addErrback(self._unnoted)

    def _unnoted(self, failure: Failure) -> None:
        """A scrub finds what nobody refers to."""
        if self._stopped and failure.check(IndexStopped) is not None:
            return  # a request that was given up long ago came back after the end
        self._log.warn(
            "{array}: fragments of a failed write could be neither deleted nor noted: {error}",
            array=self._name,
            error=failure.value,
        )

    def _ended(self, _: object, object_key: str) -> None:
        self._running[object_key] -= 1
        if not self._running[object_key]:
            del self._running[object_key]
            for waiter in self._waiters.pop(object_key):
                waiter.callback(None)
