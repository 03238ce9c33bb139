"""A provider that let the check in, and what checks of it look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred

from raic.assembly.checks.findings import Finding
from raic.assembly.checks.view import ProviderView
from raic.config.model import CloudSettings
from raic.interfaces import IStorageProvider

T = TypeVar("T")


@frozen
class OpenProvider:
    """A provider without layers, started.

    :ivar cloud: its settings.
    """

    view: ProviderView
    cloud: CloudSettings
    leaf: IStorageProvider

    def wait(self, asked: Deferred[T]) -> Deferred[T]:
        """The same result; fails with ``TookTooLong`` when it does not come in time."""
        return self.view.surroundings.wait(asked)


OpenCheck = Callable[[OpenProvider], Awaitable[list[Finding]]]
"""Asks a started provider something; fails with ``ProviderError`` or ``TookTooLong``."""
