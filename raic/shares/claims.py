"""Claims on a prefix: who writes there, specified in ``docs/specifications/claims.rst``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from attrs import field, frozen

from raic.deferreds import async_to_deferred
from raic.errors import ObjectCorrupt, ObjectNotFound, OwnershipUnknown, SealBroken
from raic.interfaces import ISmallObjects
from raic.shares.keys import CLAIMS, ClaimKey, new_transaction_id, parse_claim_key
from raic.shares.layout import CLAIM_MAGIC, claim_header, read_header, read_open_part
from raic.shares.listing import pages
from raic.shares.sealing import Sealer

MAX_CLAIM_BYTES = 4096
"""No node writes a longer one."""

SHOWN_CHARACTERS = 100
"""How much is shown of a text that anybody may have written."""

_TRIES = 3
_LATEST_SECOND = 2**37


@frozen
class Claim:
    """A claim on the prefix.

    :ivar ours: whether this node made it, or another process with this node's keys.  If not, the
        rest but the key is hearsay.
    :ivar server_id: of who made it; empty when it cannot be read.
    :ivar host: where its process ran, as a hint to people; empty when it cannot be read.
    :ivar created: when it was made; 0 when it cannot be read.
    :ivar place: what tells the node directory from copies of it; empty when not known.
    """

    key: ClaimKey
    ours: bool
    server_id: str = ""
    host: str = ""
    created: int = 0
    place: str = field(default="", repr=False)

    def describe(self) -> str:
        """Who made it, where and when, for messages."""
        who = f"server {self.server_id}" if self.server_id else "a server that cannot be named"
        where = f" on host {self.host}" if self.host else ""
        if not self.created:
            return who + where
        return f"{who}{where} at {datetime.fromtimestamp(self.created, timezone.utc):%F %T} UTC"


@frozen
class Claimant:
    """What a node signs its claims with, and knows them by.

    :ivar host: a hint to people.
    :ivar place: see :class:`Claim`.
    """

    sealer: Sealer
    server_id: str
    host: str = ""
    place: str = field(default="", repr=False)

    def new_claim(self, epoch: int, created: int) -> tuple[ClaimKey, bytes]:
        """A claim: its key, and its object's bytes."""
        header = claim_header(self.server_id, epoch, created, _shown(self.host), self.place)
        key = ClaimKey(epoch, new_transaction_id(), header.length)
        return key, header.sealed_for(str(key), self.sealer)

    def read(self, key: ClaimKey, data: bytes) -> Claim:
        """What a claim says; one that this node's key does not open is somebody else's."""
        name = str(key)
        try:
            said = read_open_part(name, data)
            header = read_header(name, CLAIM_MAGIC, data, self.sealer)
        except ObjectCorrupt:
            return Claim(key, False)
        except SealBroken:
            return _hearsay(key, said)
        if (said.get("server-id"), said.get("epoch")) != (self.server_id, key.epoch):
            return _hearsay(key, said)
        return Claim(
            key,
            True,
            self.server_id,
            _shown(said.get("host")),
            _second(said.get("created")),
            str(header.sealed_part.get("place", "")),
        )


@async_to_deferred
async def list_claims(provider: ISmallObjects) -> list[ClaimKey]:
    """The claims on the prefix, the oldest first.

    :return: fires with them; fails with a ``ProviderError``.
    """
    found: list[ClaimKey] = []
    async for page in pages(provider, CLAIMS):
        found += filter(None, (parse_claim_key(listed.key) for listed in page))
    return sorted(found)


@async_to_deferred
async def read_claim(provider: ISmallObjects, claimant: Claimant, key: ClaimKey) -> Claim | None:
    """One claim.

    :return: fires with it, or with None when it is not there any more; fails with a
        ``ProviderError``.
    """
    try:
        return claimant.read(key, await provider.get_object(str(key), 0, MAX_CLAIM_BYTES))
    except ObjectNotFound:
        return None
    except ObjectCorrupt:
        # Its tags are not this node's either.
        return Claim(key, False)


@async_to_deferred
async def newest_claim(provider: ISmallObjects, claimant: Claimant) -> Claim | None:
    """The claim that counts.

    :return: fires with it, or with None when nobody has claimed the prefix; fails with a
        ``ProviderError``, ``OwnershipUnknown`` when it is listed but not there.
    """
    for _ in range(_TRIES):
        keys = await list_claims(provider)
        if not keys:
            return None
        found = await read_claim(provider, claimant, keys[-1])
        if found is not None:
            return found
    raise OwnershipUnknown(provider.name, "claim", f"{keys[-1]} is listed, but not there")


def _hearsay(key: ClaimKey, said: Mapping[str, Any]) -> Claim:
    return Claim(
        key,
        False,
        _shown(said.get("server-id")),
        _shown(said.get("host")),
        _second(said.get("created")),
    )


def _shown(text: object) -> str:
    """A text from who knows whom, safe to print."""
    if not isinstance(text, str):
        return ""
    return "".join(one if one.isprintable() else "?" for one in text[:SHOWN_CHARACTERS])


def _second(moment: object) -> int:
    return moment if isinstance(moment, int) and 0 < moment < _LATEST_SECOND else 0
