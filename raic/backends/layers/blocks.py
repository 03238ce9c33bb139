"""Blocks of objects in a bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

Name = tuple[str, int]
"""An object's key and a block's number."""


class BlockStore:
    """Keeps the blocks that were used last, and longer those that were used again.

    A block is on trial until it is used again after the read that fetched it; then it is
    kept: blocks on trial cannot drive it out as long as those that are kept take less than
    ``kept_share`` of the room.  So one long sequential read drives out what is read once, and
    nothing else.

    :param capacity: in bytes.
    :ivar used: the bytes in it.
    """

    def __init__(self, capacity: int, kept_share: float = 0.75) -> None:
        self._kept_share = kept_share
        self._capacity = capacity
        self._most_kept = int(capacity * kept_share)
        self._trial: OrderedDict[Name, bytes] = OrderedDict()
        self._kept: OrderedDict[Name, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._numbers: dict[str, set[int]] = {}
        self.used = 0

    def __contains__(self, name: Name) -> bool:
        return name in self._trial or name in self._kept

    def peek(self, name: Name) -> bytes | None:
        """A block, None when it is not here; does not count as use."""
        block = self._kept.get(name)
        return block if block is not None else self._trial.get(name)

    def use(self, name: Name, *, again: bool) -> None:
        """Note that a block that is here was used.

        :param again: whether this shows that it is used repeatedly.
        """
        if name in self._kept:
            self._kept.move_to_end(name)
        elif again:
            block = self._kept[name] = self._trial.pop(name)
            self._kept_bytes += len(block)
            self._demote()
        else:
            self._trial.move_to_end(name)

    def add(self, name: Name, block: bytes) -> None:
        """Take in a block, in place of others that were not used for long."""
        if name in self or len(block) > self._capacity:
            return
        self._trial[name] = block
        self._numbers.setdefault(name[0], set()).add(name[1])
        self.used += len(block)
        while self.used > self._capacity:
            self._drop_oldest()

    def resize(self, capacity: int) -> None:
        """Keep at most so many bytes from now on."""
        self._capacity = capacity
        self._most_kept = int(capacity * self._kept_share)
        self._demote()
        while self.used > capacity:
            self._drop_oldest()

    def drop(self, keys: Iterable[str]) -> None:
        """Forget all blocks of some objects."""
        for key in keys:
            for number in self._numbers.pop(key, ()):
                self._remove((key, number))

    def clear(self) -> None:
        """Forget everything."""
        self.drop(list(self._numbers))

    def _demote(self) -> None:
        while self._kept_bytes > self._most_kept:
            name, block = self._kept.popitem(last=False)
            self._kept_bytes -= len(block)
            self._trial[name] = block

    def _drop_oldest(self) -> None:
        source = self._trial or self._kept
        name = next(iter(source))
        self._remove(name)
        numbers = self._numbers[name[0]]
        numbers.discard(name[1])
        if not numbers:
            del self._numbers[name[0]]

    def _remove(self, name: Name) -> None:
        block = self._trial.pop(name, None)
        if block is None:
            block = self._kept.pop(name)
            self._kept_bytes -= len(block)
        self.used -= len(block)
