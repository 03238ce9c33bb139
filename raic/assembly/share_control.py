"""The commands that are about single shares and leases, as a running node takes them: arguments in,
plain values out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from raic.config.model import StorageSettings
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, NoSuchShare, OperationRefused
from raic.interfaces import IIndex, IStorageProvider
from raic.server.control import Handler, Tell
from raic.shares.checking import ShareChecker, stored_under
from raic.shares.expirer import Expirer
from raic.shares.expunging import Expunger
from raic.shares.keys import decode_index
from raic.shares.pins import Pins
from raic.values import Expunged

LONGEST_REASON = 1000
"""In characters."""


class ShareKeeper:
    """Does what an operator wants of single shares and leases.

    :param provider: what writes only while the prefix is this node's.
    """

    def __init__(
        self,
        provider: IStorageProvider,
        index: IIndex,
        pins: Pins,
        clock: IReactorTime,
        storage: StorageSettings,
    ) -> None:
        self._index = index
        self._storage = storage
        self._checker = ShareChecker(provider, pins)
        self._expunger = Expunger(provider, index, clock)
        self._clock = clock

    def adjust(self, storage: StorageSettings) -> None:
        """Expire by what this says from now on."""
        self._storage = storage

    def handlers(self) -> dict[str, Handler]:
        """The commands, for a :class:`~raic.server.control.ControlSocket`."""
        return {
            "shares.verify": self.verify,
            "shares.expunge": self.expunge,
            "leases.expire": self.expire,
        }

    @async_to_deferred
    async def verify(self, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Read all objects of a storage index.

        :return: fires with how many ``objects`` and ``bytes`` there are, and what is ``damaged``.
        """
        (storage_index,) = _taken(arguments, "storage_index")
        objects = (await stored_under(self._index, _decoded(storage_index))).everything()
        if not objects:
            raise NoSuchShare("nothing is stored under that storage index")
        damaged = []
        done = read = 0
        for key, size in objects.items():
            damage = await self._checker.find_damage({key: size})
            if damage:
                damaged.append(damage)
            done, read = done + 1, read + size
            tell({"done": done, "total": len(objects), "bytes": read, "text": ""})
        return {"objects": done, "bytes": read, "damaged": damaged}

    @async_to_deferred
    async def expunge(self, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Take down all shares of a storage index.

        :return: fires with what :func:`expunged_values` has.
        """
        storage_index, reason = _taken(arguments, "storage_index", "reason")
        if len(reason) > LONGEST_REASON:
            raise ConfigurationError([f"a reason has at most {LONGEST_REASON} characters"])
        return expunged_values(await self._expunger.expunge(_decoded(storage_index), reason))

    @async_to_deferred
    async def expire(self, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Drop what has expired, now.

        :return: fires with how much that was, by the names of ``ExpiryRun``.
        """
        _taken(arguments)
        if not self._storage.expires:
            raise OperationRefused(
                "nothing expires on this node",
                "set expire.enabled = true and expire.mode in raic.cfg, and run 'raic reload'",
            )
        run = await Expirer(self._index, self._storage.expiry, self._clock).expire()
        names = ("leases", "shares", "share_bytes", "slots", "slot_bytes", "objects")
        return {name: getattr(run, name) for name in names}


def expunged_values(note: Expunged) -> dict[str, Any]:
    """What was expunged, as plain values."""
    return {
        "time": note.time,
        "reason": note.reason,
        "shares": note.shares,
        "slots": note.slots,
        "bytes": note.bytes,
    }


def _taken(arguments: Mapping[str, Any], *names: str) -> list[str]:
    """The arguments: texts with these names, and no others."""
    if arguments.keys() != set(names):
        raise ConfigurationError([f"the arguments are: {', '.join(names) or 'none'}"])
    values = [arguments[name] for name in names]
    if not all(isinstance(value, str) for value in values):
        raise ConfigurationError([f"{', '.join(names)} are texts"])
    return values


def _decoded(text: str) -> bytes:
    try:
        return decode_index(text)
    except ValueError as error:
        raise ConfigurationError([f"{text!r}: {error}"]) from None
