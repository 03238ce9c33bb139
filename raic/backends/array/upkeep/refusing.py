"""Why operations are not begun."""

from __future__ import annotations

from collections.abc import Mapping

from raic.backends.array.losing import Home, Loss, crowded
from raic.backends.array.maintenance import ADD, DRAIN, REPLACE, Operation
from raic.backends.array.provider import ArrayProvider
from raic.errors import ConfigurationError, OperationRefused, RaicError

Known = Mapping[str, Mapping[str, str]]
"""The providers of the configuration by name, each with what it has in common with others, as far
as that matters.
"""


def refusal(
    array: ArrayProvider,
    operation: Operation,
    moving: Operation | None,
    known: Known | None,
) -> RaicError | None:
    """Why an operation must not be begun; None when it may.

    :param moving: an operation that moves fragments and is under way.
    :param known: None if nothing is known of the configuration.
    """
    if operation.kind not in (REPLACE, ADD, DRAIN):
        return None
    if moving is not None and moving != operation:
        doing = " ".join((moving.kind, *moving.names))
        remedy = "wait until it has ended: raic array status shows how far it is"
        return OperationRefused(f"'{doing}' is under way", remedy)
    half = _half_replaced(array)
    if half is not None and moving is None:
        return (
            None if operation.kind == REPLACE and half == {*operation.names} else _unfinished(half)
        )
    problems = _name_problems(array, operation, known)
    if problems:
        return ConfigurationError(problems)
    too_few = _too_few(array, operation.names[0]) if operation.kind == DRAIN else None
    return too_few or _too_crowded(array, operation, known or {})


def _name_problems(array: ArrayProvider, operation: Operation, known: Known | None) -> list[str]:
    members = {member.name for member in array.placement().members()}
    there = ", ".join(sorted(members))
    leaving = () if operation.kind == ADD else operation.names[:1]
    coming = () if operation.kind == DRAIN else operation.names[-1:]
    return [
        *(
            f"{name} is none of the array's providers: these are {there}"
            for name in leaving
            if name not in members
        ),
        *(
            f"{name} is one of the array's providers already: name one that is not"
            for name in coming
            if name in members
        ),
        *(unknown_provider(name) for name in coming if known is not None and name not in known),
    ]


def unknown_provider(name: str) -> str:
    """What to say of a name that nothing has."""
    return f"{name} is no provider: add a section [provider:{name}] to raic.cfg"


def _half_replaced(array: ArrayProvider) -> set[str] | None:
    """Two providers that share a number: an index that was made anew knows no more that one of
    them was taking the place of the other.
    """
    placement = array.placement()
    for number in placement.numbers():
        names = {member.name for member in placement.where(number)}
        if len(names) > 1:
            return names
    return None


def _unfinished(names: set[str]) -> OperationRefused:
    one, other = sorted(names)
    return OperationRefused(
        f"{one} and {other} share their fragments: one was taking the place of the other when the"
        " index was lost",
        f"finish that first: raic array replace {one} {other}, or the other way round",
    )


def _too_few(array: ArrayProvider, name: str) -> OperationRefused | None:
    placement = array.placement()
    left = sum(placement.home(number).name != name for number in placement.lasting())
    if left >= array.happy:
        return None
    return OperationRefused(
        f"without {name} {left} providers would be left, and a write needs {array.happy}",
        f"add another provider first, or replace it: raic array replace {name} NEW",
    )


def _too_crowded(
    array: ArrayProvider, operation: Operation, known: Known
) -> OperationRefused | None:
    """Whether a domain would hold more than may be lost, that does not so far."""
    placement = array.placement()
    before = [placement.home(number).name for number in placement.lasting()]
    after = _names_after(operation, before)
    accepted = {(each.label, each.name) for each in _crowded(array, before, known)}
    for each in _crowded(array, after, known):
        if (each.label, each.name) not in accepted:
            return OperationRefused(
                f"{each.label} {each.name} would hold {each.fragments} of {each.total} fragments of"
                f" each object, and only {each.total - each.needed} may be lost",
                "use another provider, or write allow_shared_domain = true into raic.cfg to accept"
                " that",
            )
    return None


def _names_after(operation: Operation, names: list[str]) -> list[str]:
    """Who has the fragments of each object once it is done."""
    first, last = operation.names[0], operation.names[-1]
    if operation.kind == ADD:
        return [*names, last]
    left = [last if name == first else name for name in names]
    return [name for name in left if operation.kind == REPLACE or name != first]


def _crowded(array: ArrayProvider, names: list[str], known: Known) -> list[Loss]:
    return crowded([Home(name, known.get(name, {})) for name in names], array.code.needed)
