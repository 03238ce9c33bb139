"""What keeps an array whole, and the commands by which an operator steers that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from raic.assembly.array_control import array_handlers
from raic.assembly.arrays import ArrayStack
from raic.assembly.members import Reactor
from raic.backends.array.drilling import Drill
from raic.backends.array.maintenance import ArrayStatus
from raic.backends.array.upkeep.refusing import Known
from raic.backends.array.upkeep.service import ArrayMaintenance
from raic.config.loading import load_config
from raic.config.model import ArraySettings, Config, Prices
from raic.deferreds import async_to_deferred
from raic.interfaces import IIndex, IStorageProvider
from raic.server.control import Handler
from raic.shares.orphans import discard_orphans


class ArrayUpkeep:
    """Repairs, scrubs, moves and drills of one array.

    :param provider: what deletes only while the prefix is this node's.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        settings: ArraySettings,
        array: ArrayStack,
        provider: IStorageProvider,
        index: IIndex,
        reactor: Reactor,
    ) -> None:
        self._prices = _prices(config)
        self.maintenance = ArrayMaintenance(
            array.array,
            array.ledger,
            reactor,
            Random(),  # noqa: S311 - it spreads what is tried again
            array.make_member,
            settings.repair_rate,
            unknown_keys=index.unknown_keys,
            discard=partial(discard_orphans, provider, index, reactor),
            known=partial(_known, config.node_directory),
        )
        self._drill = Drill(array.drills, array.meter, self.maintenance, array.ledger, reactor)
        self._beginning: Deferred[None] | None = None

    def handlers(self, seen: Callable[[ArrayStatus], ArrayStatus]) -> Mapping[str, Handler]:
        """The commands, by name.

        :param seen: adds to a status what others know of the members.
        """
        self._drill.seen = seen
        return array_handlers(self.maintenance, self._drill, self._prices, seen)

    def adjust(self, config: Config) -> None:
        """Take up prices and the limit of a configuration."""
        self._prices.clear()
        self._prices.update(_prices(config))
        if isinstance(config.backend, ArraySettings):
            self.maintenance.limit_rate(config.backend.repair_rate)

    def begin(self, *, clean: bool) -> None:
        """Keep the array whole from now on.  Only to be called by the owner of the prefix.

        :param clean: whether the run before this one ended as it should; otherwise a scrub looks
            for what it left behind.  So it does when there never was one, as after a restore.
        """
        self._beginning = self._begin(clean).addErrback(self._tell)

    @async_to_deferred
    async def stop(self) -> None:
        """End it all; fires when that is done."""
        if self._beginning is not None:
            self._beginning.cancel()
        self._drill.stop()
        await self.maintenance.stop()

    @async_to_deferred
    async def _begin(self, clean: bool) -> None:
        await self.maintenance.start()
        if not clean or (await self.maintenance.status()).scrub.finished is None:
            await self.maintenance.scrub(False, lambda _: None)

    def _tell(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError):
            self._log.warn(
                "could not look for what the last run left behind, it stays for now: {error}",
                error=failure.getErrorMessage(),
            )


def _known(node_directory: Path) -> Known:
    """What ``raic.cfg`` says now.

    :raises ConfigurationError: it has mistakes.
    """
    config = load_config(node_directory)
    backend = config.backend
    accepts = isinstance(backend, ArraySettings) and backend.allow_shared_domain
    return {name: {} if accepts else each.labels for name, each in config.providers.items()}


def _prices(config: Config) -> dict[str, Prices]:
    return {name: each.prices for name, each in config.providers.items()}
