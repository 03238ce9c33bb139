"""What an array says of itself."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class FragmentState:
    """What is out of the ordinary with the fragments of one object.

    :ivar missing: the numbers of the fragments that are noted for repair.
    :ivar attempts: by number, the attempt that counts, where it is not the first, ``"0"``.
    """

    missing: frozenset[int] = frozenset()
    attempts: Mapping[int, str] = field(factory=dict)


@frozen
class Placed:
    """Where an array's fragments of one number are.

    :ivar provider: the name of their home: new ones are written there.
    :ivar former: the name of the provider from which they are being moved; None when all are home.
    """

    number: int
    provider: str
    former: str | None = None


@frozen
class ArrayTotals:
    """Running totals of an array.

    :ivar repairs: how many fragments are noted for repair.
    :ivar attempts: of how many fragments another attempt than the first counts.
    :ivar objects: how many objects are referred to.
    :ivar verified: how many of them were ever verified.
    :ivar oldest: when the day began, in UTC, on which the one that was verified longest ago was;
        None when there are none.
    """

    repairs: int
    attempts: int
    objects: int
    verified: int
    oldest: int | None


@frozen
class ArrayEvent:
    """A line of an array's history.

    :ivar what: one word for the kind: ``drain``, ``replace``, ``add``, ``scrub``, ...
    :ivar detail: a sentence for the operator.
    """

    time: int
    what: str
    detail: str
