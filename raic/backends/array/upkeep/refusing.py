"""Why operations are not begun."""

from __future__ import annotations

from collections.abc import Callable

from raic.backends.array.maintenance import ADD, DRAIN, REPLACE, Operation
from raic.backends.array.provider import ArrayProvider
from raic.errors import ConfigurationError, OperationRefused, RaicError


def refusal(
    array: ArrayProvider,
    operation: Operation,
    moving: Operation | None,
    is_provider: Callable[[str], bool],
) -> RaicError | None:
    """Why an operation must not be begun; None when it may.

    :param moving: an operation that moves fragments and is under way.
    :param is_provider: whether there is a provider of a name, in use or not.
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
    problems = _name_problems(array, operation, is_provider)
    if problems:
        return ConfigurationError(problems)
    if operation.kind == DRAIN:
        return _too_few(array, operation.names[0])
    return None


def _name_problems(
    array: ArrayProvider, operation: Operation, is_provider: Callable[[str], bool]
) -> list[str]:
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
        *(unknown_provider(name) for name in coming if not is_provider(name)),
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
