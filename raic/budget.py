"""A shared limit on memory."""

from __future__ import annotations

from raic.errors import ServiceBusy


class MemoryBudget:
    """How many bytes may be held at once, over all connections and uploads.

    Who will hold bytes takes them first and gives them back when done.

    :param limit: in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self, size: int) -> None:
        """Take ``size`` bytes.

        :raises ServiceBusy: fewer are left; nothing was taken.
        """
        if self.taken + size > self.limit:
            raise ServiceBusy(f"{size} bytes of memory asked for, {self.limit - self.taken} left")
        self.taken += size

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        if size > self.taken:
            raise ValueError("more given back than was taken")
        self.taken -= size
