"""What the grid clients' own erasure coding costs, with and without an array beneath it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from raic.backends.array.planning import GIGABYTE, Choice, Offer


@frozen
class Coding:
    """Tahoe's ``shares.needed`` and ``shares.total``."""

    needed: int
    total: int

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.needed}-of-{self.total}"

    @property
    def without_redundancy(self) -> Coding:
        """The same, with no more shares than are needed."""
        return Coding(self.needed, self.needed)


@frozen
class Arrangement:
    """A way of storing what the clients have.

    :ivar coding: the clients'.
    :ivar code: the array's ``needed`` and ``total``; None for no array.
    :ivar servers: how many storage servers the clients see.
    :ivar overhead: how many bytes are stored for each byte of a file.
    :ivar cost: of storing them, in a month.
    :ivar may_lose: how many providers may be lost, of what is whole.
    """

    coding: Coding
    code: tuple[int, int] | None
    servers: int
    overhead: float
    cost: float
    may_lose: int


def compare(
    offers: Sequence[Offer], coding: Coding, codes: Sequence[Choice], size: int
) -> list[Arrangement]:
    """The ways there are: without an array, a server for each provider, and arrays.

    :param codes: of which each code counts once.
    :param size: how many bytes of shares there are with the clients' present coding.
    """
    files = size * coding.needed / coding.total / GIGABYTE
    expansion = coding.total / coding.needed
    cheapest = min(each.storage for each in offers)
    mean = sum(each.storage for each in offers) / len(offers)
    found = [
        Arrangement(coding, None, 1, expansion, files * expansion * cheapest, 0),
        Arrangement(
            coding,
            None,
            len(offers),
            expansion,
            files * expansion * mean,
            spread_losses(coding, len(offers)),
        ),
    ]
    for needed, total in dict.fromkeys((each.needed, each.total) for each in codes):
        price = sum(each.storage for each in offers[:total]) / needed
        for clients in dict.fromkeys((coding, coding.without_redundancy)):
            factor = clients.total / clients.needed
            overhead, cost = factor * total / needed, files * factor * price
            may_lose = total - needed
            found.append(Arrangement(clients, (needed, total), 1, overhead, cost, may_lose))
    return found


def spread_losses(coding: Coding, servers: int) -> int:
    """How many servers may be lost, whichever they are, of as many as have an even part each."""
    each, more = divmod(coding.total, servers)
    left, lost = coding.total, 0
    while lost < servers:
        left -= each + (lost < more)
        if left < coding.needed:
            break
        lost += 1
    return lost
