"""Doing again what fails for a moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.task import deferLater

from raic.assembly.members import Reactor
from raic.errors import OutcomeUnknown, ProviderError

T = TypeVar("T")

PAUSES = (1.0, 5.0, 20.0)
"""How long to wait before a provider that failed is tried again, in seconds."""


async def persistently(
    act: Callable[[], Awaitable[T]],
    reactor: Reactor,
    is_given_up: Callable[[], bool] = lambda: False,
) -> T:
    """What ``act`` returns, called again a few times while a provider fails for a moment.

    Raises what the last call raised.

    :param act: may simply be repeated.
    :param is_given_up: whether somebody else has failed for good.
    """
    for pause in PAUSES:
        try:
            return await act()
        except ProviderError as error:
            if is_given_up() or not (error.temporary or isinstance(error, OutcomeUnknown)):
                raise
            await deferLater(reactor, pause, lambda: None)
    return await act()
