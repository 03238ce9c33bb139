"""Which fragments of a stripe to ask for.

A set of fragment numbers is an integer here, with bit ``number`` set for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def hopeful(data: int, possible: int, needed: int) -> bool:
    """Whether a stripe can be had of these fragments.

    :param data: the data blocks that are wanted of it.
    """
    return not data & ~possible or possible.bit_count() >= needed


def lacking(
    data: int,
    expected: int,
    unasked: Sequence[int],
    needed: int,
    is_well: Callable[[int], bool],
) -> Sequence[int]:
    """Whom to ask for a stripe besides those who were.

    Either the data blocks that are wanted, or any ``needed`` blocks will do.  The first are
    chosen where they are fewer, unless that means to ask a member that is not well.

    :param data: the data blocks that are wanted.
    :param expected: what is here, or expected in time.
    :param unasked: who can be asked, the best first.
    :return: as many as there are, where there are not enough.
    """
    wanted = needed - expected.bit_count()
    data &= ~expected
    if not data or wanted <= 0:
        return ()
    plain = [number for number in unasked if data >> number & 1]
    if len(plain) == data.bit_count() and len(plain) < wanted:
        well = [number for number in unasked if is_well(number)]
        if len(well) < wanted or all(number in well for number in plain):
            return plain
    return unasked[:wanted]


def as_set(numbers: Sequence[int]) -> int:
    """The set of some numbers."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits
