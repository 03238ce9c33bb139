"""One operation at a time on each slot."""

from __future__ import annotations

from collections import deque

from attrs import Factory, define
from twisted.internet.defer import Deferred, succeed


@define
class _Queue:
    held: bool = True
    handing_over: bool = False
    waiting: deque[Deferred[None]] = Factory(deque)


class SlotLocks:
    """Locks by storage index; an idle slot has none."""

    def __init__(self) -> None:
        self._queues: dict[bytes, _Queue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def acquire(self, storage_index: bytes) -> Deferred[None]:
        """Wait for one's turn, in the order of asking.

        :return: fires when the lock is held; not to be cancelled.
        """
        queue = self._queues.get(storage_index)
        if queue is None:
            self._queues[storage_index] = _Queue()
            return succeed(None)
        turn: Deferred[None] = Deferred()
        queue.waiting.append(turn)
        return turn

    def release(self, storage_index: bytes) -> None:
        """Hand the lock to the next."""
        queue = self._queues[storage_index]
        queue.held = False
        if queue.handing_over:
            # the loop below, further up the stack, goes on: without it a thousand operations
            # that never wait would nest a thousand deep
            return
        queue.handing_over = True
        while queue.waiting and not queue.held:
            queue.held = True
            queue.waiting.popleft().callback(None)
        queue.handing_over = False
        if not queue.held:
            del self._queues[storage_index]
