"""Whether a server can take what clients write."""

from __future__ import annotations

from raic.assembly.status.providers import Health, Providers
from raic.config.model import ArraySettings, Backend
from raic.errors import NoSpace, ProviderError
from raic.status import Readiness
from raic.status.values import AWAY, FAILING


def readiness(
    backend: Backend,
    providers: Providers,
    ownership: ProviderError | None,
    available: int,
    *,
    readonly: bool,
) -> Readiness:
    """Whether writes can be acknowledged now, as far as is known without asking anybody.

    A server that is read-only as its operator wishes is as ready as it would be otherwise.

    :param ownership: why the prefix is not this node's to write to; None when it is.
    :param available: how many bytes clients are told can be stored.
    """
    healths = providers.healths()
    down = {name: each for name, each in healths.items() if each.state in (AWAY, FAILING)}
    happy = backend.happy if isinstance(backend, ArraySettings) else 1
    if len(healths) - len(down) < happy:
        return _too_few(healths, down, happy)
    if ownership is not None:
        return Readiness(False, str(ownership), ownership.remedy)
    if available <= 0 and not readonly:
        return Readiness(False, f"{backend.name} has no room for more shares", NoSpace.remedy)
    return Readiness(True)


def _too_few(healths: dict[str, Health], down: dict[str, Health], happy: int) -> Readiness:
    name, worst = next(iter(down.items()))
    names = ", ".join(down)
    if len(healths) == 1:
        return Readiness(False, f"{name}: {worst.problem}", worst.remedy)
    up = len(healths) - len(down)
    what = f"only {up} of {len(healths)} providers can be written to, and happy is {happy}: {names}"
    return Readiness(False, f"{what} cannot: {worst.problem}", worst.remedy)
