"""Where clients find the node: FURL, NURLs and the ``servers.yaml`` entry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from raic.config.files import replace_file
from raic.config.identity import Identity, make_furl


@frozen
class Addresses:
    """A node's addresses, each of them the right to use it.

    :ivar furl: for the Foolscap dialect.
    :ivar nurls: for HTTP, one for each hint that HTTP clients can follow.
    :ivar servers_yaml: an entry for a client's ``private/servers.yaml``.
    """

    furl: str = field(repr=False)
    nurls: tuple[str, ...] = field(repr=False)
    servers_yaml: str = field(repr=False)


def make_addresses(
    identity: Identity,
    hints: tuple[str, ...],
    nickname: str,
    certificates: Sequence[Mapping[str, Any]] = (),
    *,
    http: bool = True,
) -> Addresses:
    """The addresses of a node.

    :param hints: as in ``tcp:storage.example.net:3457``; ``tor:`` hints become ``pb+tor`` NURLs,
        others are for Foolscap alone.
    :param certificates: of grid managers, to be announced.
    :param http: whether HTTP clients may come.
    """
    furl = make_furl(identity.tub_id, hints, identity.swissnum)
    nurls = tuple(_nurls(identity, hints)) if http else ()
    announcement: dict[str, Any] = {
        "nickname": nickname,
        "anonymous-storage-FURL": furl,
        "permutation-seed-base32": identity.permutation_seed,
    }
    if nurls:
        announcement["anonymous-storage-NURLs"] = list(nurls)
    if certificates:
        announcement["grid-manager-certificates"] = [dict(each) for each in certificates]
    return Addresses(furl, nurls, _entry(identity.server_id, announcement))


def write_addresses(private: Path, addresses: Addresses) -> None:
    """Write ``storage.furl``, ``storage.nurl`` and ``servers.yaml``, those that have changed."""
    files = {
        "storage.furl": f"{addresses.furl}\n",
        "storage.nurl": "".join(f"{nurl}\n" for nurl in addresses.nurls),
        "servers.yaml": addresses.servers_yaml,
    }
    for name, text in files.items():
        path, data = private / name, text.encode()
        if not path.exists() or path.read_bytes() != data:
            replace_file(path, data)


def _nurls(identity: Identity, hints: tuple[str, ...]) -> list[str]:
    schemes = {"tcp": "pb", "tor": "pb+tor"}
    split = (hint.partition(":") for hint in hints)
    return [
        f"{schemes[kind]}://{identity.spki_hash}@{address}/{identity.swissnum}#v=1"
        for kind, _, address in split
        if kind in schemes
    ]


def _entry(server_id: str, announcement: Mapping[str, Any]) -> str:
    """YAML, written by hand: a JSON text is a YAML value."""
    lines = [f"storage:\n  {server_id}:\n    ann:\n"]
    lines += [
        f"      {key}: {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in announcement.items()
    ]
    return "".join(lines)
