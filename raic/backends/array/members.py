"""The providers of an array, and which of them has which fragments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attrs import frozen

from raic.interfaces import IStorageProvider
from raic.values import Placed


@frozen(eq=False)
class Member:
    """A provider of an array.

    :ivar name: as in the configuration.
    :ivar price: of reading from it, in any unit: of two that are well the cheaper is asked first.
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
    """

    def __init__(self, places: Mapping[int, tuple[Member, Member | None]]) -> None:
        self._places = {number: _Place(*places[number]) for number in sorted(places)}

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
        """The numbers of fragments that new objects have, in ascending order."""
        return tuple(self._places)

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
        """With one more number."""
        return self._with(number, (home, None))

    def without(self, number: int) -> Placement:
        """With one number less."""
        return Placement({n: (self.home(n), self.also(n)) for n in self._places if n != number})

    def _with(self, number: int, place: tuple[Member, Member | None]) -> Placement:
        places = {n: (self.home(n), self.also(n)) for n in self._places}
        return Placement({**places, number: place})
