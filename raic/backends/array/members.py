"""The providers of an array, and which of them has which fragments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attrs import define, frozen

from raic.interfaces import IStorageProvider
from raic.values import Placed


@define(eq=False)
class Member:
    """A provider of an array.

    :ivar name: as in the configuration.
    :ivar price: of reading from it, in any unit: of two that are well the cheaper is asked first.
        May change.
    """

    name: str
    provider: IStorageProvider
    price: float = 0.0


@frozen
class _Place:
    home: Member
    also: Member | None = None


class Placement:
    """Which members have the fragments of which number; never changes.

    :param places: by number, the home, and where else fragments may still be.
    :param filling: numbers that older objects may have no fragment of yet.
    :param leaving: numbers that new objects get no fragment of any more.
    """

    def __init__(
        self,
        places: Mapping[int, tuple[Member, Member | None]],
        filling: Collection[int] = (),
        leaving: Collection[int] = (),
    ) -> None:
        self._places = {number: _Place(*places[number]) for number in sorted(places)}
        self.filling = frozenset(filling).intersection(places)
        self.leaving = frozenset(leaving).intersection(places)
        self.partial = self.filling | self.leaving
        self._lasting = tuple(n for n in self._places if n not in self.leaving)

    @classmethod
    def initial(cls, members: Sequence[Member]) -> Placement:
        """Each member has the number of its place in the sequence."""
        return cls({number: (member, None) for number, member in enumerate(members)})

    @classmethod
    def of(cls, rows: Collection[Placed], members: Sequence[Member]) -> Placement:
        """What :meth:`raic.interfaces.IFragmentLedger.get_placement` says.

        :raises LookupError: a row names a provider that is no member; its text is the name.
        """
        named = {member.name: member for member in members}
        places = {}
        for row in rows:
            former = None if row.former is None else named[row.former]
            places[row.number] = (named[row.provider], former)
        return cls(places)

    def rows(self) -> tuple[Placed, ...]:
        """What :meth:`of` makes the same placement of."""
        return tuple(
            Placed(number, place.home.name, None if place.also is None else place.also.name)
            for number, place in self._places.items()
        )

    def numbers(self) -> tuple[int, ...]:
        """The numbers of the fragments that objects may have, in ascending order."""
        return tuple(self._places)

    def lasting(self) -> tuple[int, ...]:
        """The numbers of the fragments that new objects get, in ascending order."""
        return self._lasting

    def members(self) -> tuple[Member, ...]:
        """Every member that may have fragments, once."""
        named = {member.name: member for number in self._places for member in self.where(number)}
        return tuple(named.values())

    def home(self, number: int) -> Member:
        """Where new fragments of a number go.

        :raises KeyError: no fragments of it are made.
        """
        return self._places[number].home

    def also(self, number: int) -> Member | None:
        """Where fragments of a number are that were not moved home yet; None when all are home."""
        return self._places[number].also

    def where(self, number: int) -> tuple[Member, ...]:
        """Where a fragment of a number can be, its home first; empty for an unknown number."""
        place = self._places.get(number)
        if place is None:
            return ()
        return (place.home,) if place.also is None else (place.home, place.also)

    def moving(self, number: int, home: Member) -> Placement:
        """With a new home for a number, and its present one as where fragments may still be."""
        return self._with(number, (home, self.home(number)))

    def moved(self, number: int) -> Placement:
        """With all fragments of a number at home."""
        return self._with(number, (self.home(number), None))

    def added(self, number: int, home: Member) -> Placement:
        """With one more number, of which there are no fragments yet."""
        return self._with(number, (home, None)).marked(self.filling | {number}, self.leaving)

    def without(self, number: int) -> Placement:
        """With one number less."""
        places = {n: place for n, place in self._all().items() if n != number}
        return Placement(places, self.filling, self.leaving)

    def marked(self, filling: Collection[int], leaving: Collection[int]) -> Placement:
        """With other numbers that not all objects have fragments of; rows do not tell these."""
        return Placement(self._all(), filling, leaving)

    def _with(self, number: int, place: tuple[Member, Member | None]) -> Placement:
        return Placement({**self._all(), number: place}, self.filling, self.leaving)

    def _all(self) -> dict[int, tuple[Member, Member | None]]:
        return {n: (place.home, place.also) for n, place in self._places.items()}
