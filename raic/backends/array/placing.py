"""Which members have which fragments, by what is found there: for an index that is made anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from raic.backends.array.members import Member, Placement
from raic.errors import StorageUnusable

Held = Mapping[str, Mapping[int, int]]
"""By the name of each member that could be listed, how many fragments of each number it has."""


def placement_found(name: str, members: Sequence[Member], held: Held) -> Placement:
    """Where fragments are, and where new ones go.

    A number belongs to the member that has most of its fragments; another one that has some, as
    while it was taking the place of the first, is where they are looked for, too.  A member that
    has nothing gets the number of its place in the configuration, or any that is free.

    :param name: the array's.
    :param members: in the order of the configuration.
    :raises StorageUnusable: of a member that cannot be listed it cannot be told which number it
        has, because the others do not have those of their places.
    """
    places: dict[int, tuple[Member, Member | None]] = {}
    for number in sorted({number for numbers in held.values() for number in numbers}):
        having = [member for member in members if held.get(member.name, {}).get(number)]
        having.sort(key=lambda member: -held[member.name][number])
        places[number] = having[0], having[1] if having[1:] else None
    used = {member.name for place in places.values() for member in place if member is not None}
    usual = all(members.index(home) == number for number, (home, _) in places.items())
    for position, member in enumerate(members):
        if member.name in used:
            continue
        if member.name not in held and not usual:
            raise _unknown(name, member, places)
        free = position if position not in places else next(n for n in count() if n not in places)
        places[free] = member, None
    return Placement(places)


def _unknown(
    name: str, away: Member, places: Mapping[int, tuple[Member, Member | None]]
) -> StorageUnusable:
    others = ", ".join(f"{home.name} has {number}" for number, (home, _) in sorted(places.items()))
    return StorageUnusable(
        name,
        "list_objects",
        f"{away.name} cannot be listed, so nobody knows the number of its fragments: {others}",
        f"bring {away.name} back, or take it off 'providers' if it is gone for good, then run the"
        " restore again",
    )
