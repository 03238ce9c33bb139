"""The status as a command to a running node."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from raic.assembly.status.gathering import NodeStatusGatherer
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError
from raic.server.control import Handler, Tell
from raic.status import plain


def status_handlers(gatherer: NodeStatusGatherer) -> dict[str, Handler]:
    """The command, for a :class:`~raic.server.control.ControlSocket`."""
    return {"status": partial(_status, gatherer)}


@async_to_deferred
async def _status(
    gatherer: NodeStatusGatherer, arguments: Mapping[str, Any], tell: Tell
) -> dict[str, Any]:
    reveal = arguments.get("reveal", False)
    if arguments.keys() - {"reveal"} or not isinstance(reveal, bool):
        raise ConfigurationError(["the arguments are: reveal, true or false, or none"])
    return plain(await gatherer.gather(reveal=reveal))
