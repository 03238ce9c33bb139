"""How often so many providers can be reached at once: exactly, from how often each can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from attrs import field, frozen

MOST_DOMAINS = 12
"""Every combination of them being up or down is looked at."""

Domain = tuple[str, str]
"""A label and its value, such as ``operator`` and ``amazon``."""


@frozen
class Reach:
    """How often a provider can be reached.

    :ivar up: the part of the time, from 0 to 1; where the availability of a domain is given, that
        in which it can be reached while the domain can.
    :ivar domains: what it is part of.
    """

    up: float
    domains: frozenset[Domain] = field(default=frozenset())


def fewer_than(least: int, up: Sequence[float]) -> float:
    """The part of the time in which fewer than ``least`` can be reached.

    It is summed up from small parts, so that it is right however near to 0 it is.

    :param up: the part of the time for each, independent of one another.
    """
    if least <= 0:
        return 0.0
    # By how many are up: the part of the time; nobody asks for those that are enough.
    parts = [1.0] + [0.0] * (least - 1)
    for each in up:
        for count in range(least - 1, 0, -1):
            parts[count] = parts[count] * (1 - each) + parts[count - 1] * each
        parts[0] *= 1 - each
    return sum(parts)


def unavailability(least: int, members: Sequence[Reach], domains: Mapping[Domain, float]) -> float:
    """The part of the time in which fewer than ``least`` members can be reached.

    :param domains: the part of the time for those that can fail as a whole.
    :raises ValueError: there are more of these than can be looked at.
    """
    shared = [domain for domain in domains if any(domain in each.domains for each in members)]
    if len(shared) > MOST_DOMAINS:
        raise ValueError(f"give the availability of at most {MOST_DOMAINS} domains")
    total = 0.0
    for states in product((True, False), repeat=len(shared)):
        weight = 1.0
        for domain, is_up in zip(shared, states, strict=True):
            weight *= domains[domain] if is_up else 1 - domains[domain]
        down = {domain for domain, is_up in zip(shared, states, strict=True) if not is_up}
        if weight:
            total += weight * fewer_than(
                least, [0.0 if each.domains & down else each.up for each in members]
            )
    return total
