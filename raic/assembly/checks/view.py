"""What checks look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred

from raic.assembly.checks.deadline import within
from raic.assembly.checks.findings import Finding
from raic.assembly.checks.indexfile import IndexState
from raic.config.identity import Identity
from raic.config.model import Config, ProviderSettings
from raic.interfaces import IWorkers

T = TypeVar("T")
V = TypeVar("V")

Check = Callable[[V], Awaitable[Sequence[Finding]]]
"""Looks at something; what it raises is shown as an error of its own."""


@frozen
class Surroundings:
    """What a check may use.

    :ivar reactor: one that does everything.
    :ivar workers: where blocking calls run.
    :ivar environment: variables.
    :ivar seconds: how long one question may take.
    """

    reactor: Any
    workers: IWorkers
    environment: Mapping[str, str]
    seconds: float

    def ask(self, function: Callable[[], T]) -> Deferred[T]:
        """What a blocking function returns; fails with ``TookTooLong`` when that takes long."""
        return self.wait(self.workers.run(function))

    def wait(self, asked: Deferred[T]) -> Deferred[T]:
        """The same result; fails with ``TookTooLong`` when it does not come in time."""
        return within(asked, self.reactor, self.seconds)


@frozen
class NodeView:
    """A node directory, of which nothing else is known to be right.

    :ivar runner: the process that runs the node; 0 for one that cannot be named; None for none.
    """

    directory: Path
    surroundings: Surroundings
    runner: int | None


@frozen
class ConfiguredNode:
    """A node whose ``raic.cfg`` has no mistakes.

    :ivar identity: None when the files under ``private/`` cannot be used.
    """

    directory: Path
    surroundings: Surroundings
    runner: int | None
    config: Config
    identity: Identity | None
    index: IndexState


@frozen
class ProviderView:
    """One provider of a node."""

    node: ConfiguredNode
    settings: ProviderSettings
    identity: Identity

    @property
    def surroundings(self) -> Surroundings:
        """What a check may use."""
        return self.node.surroundings


def providers_of(config: Config) -> tuple[ProviderSettings, ...]:
    """Every provider that holds objects of the node."""
    return config.backend.members
