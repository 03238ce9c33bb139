"""Which members have which fragments: as noted, or, for an index that is made anew, as found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count

from twisted.logger import Logger

from raic.backends.array.members import Member, Placement
from raic.errors import ConfigurationError, StorageUnusable
from raic.values import Placed

Held = Mapping[str, Mapping[int, int]]
"""By the name of each member that could be listed, how many fragments of each number it has."""

_log = Logger()


def placement_noted(
    name: str,
    rows: Collection[Placed],
    members: Sequence[Member],
    happy: int,
    make_member: Callable[[str], Member] | None,
) -> Placement:
    """Where fragments are, and where new ones go, as the ledger says.

    Where that and the configuration differ is logged.

    :param name: the array's.
    :param members: as configured.
    :param happy: how many members a write needs.
    :param make_member: see :class:`raic.backends.array.provider.ArrayProvider`.
    :raises StorageUnusable: there are fragments on a provider that cannot be made a member.
    """
    names = {each for row in rows for each in (row.provider, row.former) if each is not None}
    configured = {member.name for member in members}
    _log_differences(name, configured - names, len(rows), happy)
    try:
        made = [_made(name, each, make_member) for each in sorted(names - configured)]
        return Placement.of(rows, [*members, *made])
    except (LookupError, ConfigurationError) as unknown:
        raise StorageUnusable(
            name,
            "start",
            f"there are fragments on {unknown}, which is not one of the array's providers",
            "name it in raic.cfg again, and replace or drain it with raic array",
        ) from None


def _log_differences(name: str, unused: Collection[str], placed: int, happy: int) -> None:
    for each in sorted(unused):
        _log.warn(
            "{array}: {member} has no fragments and is not used; to give it some, run 'raic"
            " array add {member}', else remove it from 'providers'",
            array=name,
            member=each,
        )
    if placed < happy:
        _log.warn(
            "{array}: writes need {happy} providers, and there are {count}: nothing can be"
            " written until more are added, or 'happy' is less",
            array=name,
            happy=happy,
            count=placed,
        )


def _made(name: str, member_name: str, make_member: Callable[[str], Member] | None) -> Member:
    """A member that the configuration does not count among those of the array."""
    if make_member is None:
        raise KeyError(member_name)
    member = make_member(member_name)
    _log.warn(
        "{array}: {member} has fragments: add it to 'providers' in [array:{array}]",
        array=name,
        member=member_name,
    )
    return member


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
