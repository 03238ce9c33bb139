"""The commands of an array, as a running node takes them: arguments in, plain values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail

from raic.backends.array.drill import WAYS as DRILL_WAYS
from raic.backends.array.drilling import Drill
from raic.backends.array.maintenance import (
    ADD,
    DRAIN,
    REPAIR,
    REPLACE,
    SCRUB,
    ArrayStatus,
    Estimate,
    Follower,
    IArrayMaintenance,
    Operation,
    Progress,
)
from raic.config.model import Prices
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError
from raic.server.control import Handler, Tell
from raic.values import ArrayEvent

__all__ = [
    "COMMANDS",
    "DRILL_WAYS",
    "LONGEST_DRILL",
    "MOST_EVENTS",
    "array_handlers",
    "history_values",
    "money",
    "no_array_handlers",
    "status_values",
]

COMMANDS = (
    "array.status",
    "array.history",
    "array.plan",
    "array.run",
    "drill.lose",
    "drill.end",
)

LONGEST_DRILL = 24 * 60 * 60.0

MOST_EVENTS = 1000
"""How many lines of history one answer has."""

_GB = 10**9
_NAMES = {SCRUB: 0, REPAIR: 0, REPLACE: 2, ADD: 1, DRAIN: 1}
"""How many providers each operation is about."""

_REQUIRED = object()


def array_handlers(
    maintenance: IArrayMaintenance,
    drill: Drill,
    prices: Mapping[str, Prices],
    seen: Callable[[ArrayStatus], ArrayStatus] = lambda status: status,
) -> dict[str, Handler]:
    """The commands of an array, for a :class:`~raic.server.control.ControlSocket`.

    :param prices: what providers charge, by name; one that is missing charges nothing.
    :param seen: adds to a status what others know of the members.
    """
    return {
        "array.status": partial(_status, maintenance, seen),
        "array.history": partial(_history, maintenance),
        "array.plan": partial(_plan, maintenance, prices),
        "array.run": partial(_run, maintenance),
        "drill.lose": partial(_lose, drill),
        "drill.end": partial(_end, drill),
    }


def no_array_handlers(backend: str) -> dict[str, Handler]:
    """The same commands, for a node that has no array: they say so.

    :param backend: the name of what it has.
    """
    error = ConfigurationError([f"[storage] backend is {backend}, which is no array"])
    return dict.fromkeys(COMMANDS, lambda arguments, tell: fail(error))


def _values(value: Any) -> Any:
    """A value of :mod:`raic.backends.array` as plain ones: its attributes, by name."""
    return attrs.asdict(value)


def money(estimate: Estimate, prices: Mapping[str, Prices]) -> dict[str, dict[str, float]]:
    """What an operation would cost with each provider whose prices are known.

    :return: by name, ``once`` for what is moved, and ``monthly`` for what is stored afterwards.
    """
    costs = {}
    for name, traffic in estimate.traffic.items():
        price = prices.get(name, Prices())
        if price != Prices():
            moved = price.download * traffic.downloaded / _GB
            asked = price.requests * traffic.requests / 10_000
            costs[name] = {"once": moved + asked, "monthly": price.storage * traffic.stored / _GB}
    return costs


@async_to_deferred
async def _status(
    maintenance: IArrayMaintenance,
    seen: Callable[[ArrayStatus], ArrayStatus],
    arguments: Mapping[str, Any],
    tell: Tell,
) -> dict[str, Any]:
    _Arguments(arguments).end()
    return status_values(seen(await maintenance.status()))


def status_values(status: ArrayStatus) -> dict[str, Any]:
    """What is told of an array, as plain values."""
    told: dict[str, Any] = _values(status)
    return told


@async_to_deferred
async def _history(
    maintenance: IArrayMaintenance, arguments: Mapping[str, Any], tell: Tell
) -> dict[str, Any]:
    given = _Arguments(arguments)
    limit = given.take("limit", int)
    given.end()
    if not 0 < limit <= MOST_EVENTS:
        raise ConfigurationError([f"limit is a number from 1 to {MOST_EVENTS}"])
    return history_values(await maintenance.history(limit))


def history_values(events: tuple[ArrayEvent, ...]) -> dict[str, Any]:
    """Lines of history, as plain values."""
    return {"events": [_values(event) for event in events]}


@async_to_deferred
async def _plan(
    maintenance: IArrayMaintenance,
    prices: Mapping[str, Prices],
    arguments: Mapping[str, Any],
    tell: Tell,
) -> dict[str, Any]:
    estimate = await maintenance.plan(_operation(arguments))
    return {**_values(estimate), "money": money(estimate, prices)}


@async_to_deferred
async def _run(
    maintenance: IArrayMaintenance, arguments: Mapping[str, Any], tell: Tell
) -> dict[str, Any]:
    operation = _operation(arguments)
    told: dict[str, Any] = _values(await _begin(maintenance, operation, _telling(tell)))
    return told


def _begin(
    maintenance: IArrayMaintenance, operation: Operation, progress: Follower
) -> Deferred[Any]:
    """Begin or follow an operation; see :class:`IArrayMaintenance`."""
    calls: dict[str, Callable[..., Deferred[Any]]] = {
        SCRUB: partial(maintenance.scrub, operation.deep),
        REPAIR: maintenance.repair,
        REPLACE: maintenance.replace,
        ADD: maintenance.add,
        DRAIN: maintenance.drain,
    }
    return calls[operation.kind](*operation.names, progress)


@async_to_deferred
async def _lose(drill: Drill, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    given = _Arguments(arguments)
    name, how = given.take("name", str), given.take("how", str)
    seconds = given.take("seconds", float)
    given.end()
    if how not in DRILL_WAYS:
        raise ConfigurationError([f"how is one of {', '.join(DRILL_WAYS)}"])
    if not 0 < seconds <= LONGEST_DRILL:
        raise ConfigurationError([f"a drill takes at most {LONGEST_DRILL / 3600:.0f} hours"])
    told: dict[str, Any] = _values(await drill.lose(name, how, seconds, _telling(tell)))
    return told


@async_to_deferred
async def _end(drill: Drill, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    _Arguments(arguments).end()
    return {"ended": drill.end()}


def _telling(tell: Tell) -> Follower:
    def told(progress: Progress) -> None:
        tell(_values(progress))

    return told


def _operation(arguments: Mapping[str, Any]) -> Operation:
    given = _Arguments(arguments)
    kind = given.take("kind", str)
    names, deep = given.take("names", list, []), given.take("deep", bool, False)
    given.end()
    if kind not in _NAMES:
        raise ConfigurationError([f"kind is one of {', '.join(_NAMES)}"])
    if len(names) != _NAMES[kind] or not all(isinstance(name, str) for name in names):
        raise ConfigurationError([f"names are those of {_NAMES[kind]} providers"])
    if deep and kind != SCRUB:
        raise ConfigurationError(["only a scrub is deep"])
    return Operation(kind, tuple(names), deep)


class _Arguments:
    """What came with a command, checked as it is taken."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._left = dict(arguments)

    def take(self, name: str, kind: type, default: Any = _REQUIRED) -> Any:
        """An argument; raises ConfigurationError unless it is there and of its type."""
        value = self._left.pop(name, default)
        number = kind is float and type(value) is int
        if value is _REQUIRED or (type(value) is not kind and not number):
            raise ConfigurationError([f"{name} has to be given, as a {kind.__name__}"])
        return value

    def end(self) -> None:
        """There are no more arguments; raises ConfigurationError if there are."""
        if self._left:
            raise ConfigurationError([f"what is {', '.join(sorted(self._left))}?"])
