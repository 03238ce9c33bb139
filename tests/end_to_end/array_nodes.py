"""Nodes with an array over services of every kind, each of which can be given troubles."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.backends.swift.swift_world import SwiftWorld
from tests.end_to_end.harness import START_SECONDS, RaicNode, nurl_of
from tests.end_to_end.processes import Program
from tests.end_to_end.thin import ThinHTTPClient
from tests.end_to_end.troubled_node import SOCKET
from tests.end_to_end.wire import Address
from tests.services.moto import S3Endpoint
from tests.services.swift import swift_server

ROOT = Path(__file__).parents[2]

_LAYERS = {"cache_size": "0", "attempts": "2"}


@frozen
class Place:
    """A provider of an array: its section, and its secrets."""

    name: str
    section: Mapping[str, str]
    secrets: Mapping[str, str]

    @classmethod
    def folder(cls, name: str) -> Place:
        """A folder within the node directory."""
        return cls(name, {"type": "filesystem", "path": name}, {})

    @classmethod
    def s3(cls, name: str, endpoint: S3Endpoint) -> Place:
        """A new container of a service that speaks S3."""
        section = {
            "type": "s3",
            "container": endpoint.make_container(),
            "endpoint_url": endpoint.url,
            **_LAYERS,
        }
        secrets = {
            "ACCESS_KEY_ID": endpoint.access_key_id,
            "SECRET_ACCESS_KEY": endpoint.secret_access_key,
        }
        return cls(name, section, secrets)

    @classmethod
    def swift(cls, name: str) -> Place:
        """A new container of the real Swift."""
        world = SwiftWorld()
        world.close()
        section = {
            "type": "swift",
            "container": world.container,
            "auth_url": world.server.auth_url,
            "auth_version": "v1",
            **_LAYERS,
        }
        return cls(name, section, {"USER": world.server.user, "KEY": world.server.key})


def three_places(moto: S3Endpoint) -> list[Place]:
    """One of each kind."""
    return [Place.folder("attic"), Place.s3("moto", moto), Place.swift("swift")]


def five_places(moto: S3Endpoint) -> list[Place]:
    """And another folder, and Swift's other face."""
    server = swift_server()
    other_face = S3Endpoint(server.endpoint, server.user, server.key)
    return [*three_places(moto), Place.s3("face", other_face), Place.folder("cellar")]


class ArrayNode(RaicNode):
    """A node with an array.

    Nothing in it waits for as long as it would elsewhere, and it has no read cache: see
    ``troubled_node``.
    """

    def __init__(
        self, folder: Path, places: Sequence[Place], needed: int, happy: int, seed: int
    ) -> None:
        super().__init__(folder)
        self.names = [place.name for place in places]
        self._seed = seed
        self._secrets = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        array = {
            "providers": ", ".join(self.names),
            "needed": str(needed),
            "happy": str(happy),
            "allow_bare_ack": str(happy == needed).lower(),
            "straggler_seconds": "1",
            "cache_size": "0",
        }
        settings: dict[str, Mapping[str, str]] = {
            "storage": {"backend": "array:clouds"},
            "array:clouds": array,
        }
        for place in places:
            settings[f"provider:{place.name}"] = place.section
            self._secrets |= {
                f"RAIC_{place.name}_{field}".upper(): value
                for field, value in place.secrets.items()
            }
        self.configure(settings)

    def begin(self) -> None:
        """Start it, and return at once."""
        command = (sys.executable, "-m", "tests.end_to_end.troubled_node", self.folder)
        environment = {**self._secrets, "PYTHONPATH": str(ROOT)}
        self.program = Program([*command, str(self._seed)], self.log(), environment)

    def connect(self) -> ThinHTTPClient:
        """A client with a connection of its own."""
        return ThinHTTPClient(Address.from_nurl(nurl_of(self.servers_yaml())))

    def set_trouble(self, member: str, kind: str, lasting: bool) -> None:
        """Give a provider a trouble, or with an empty one take it away."""
        self._command("set", member=member, kind=kind, lasting=lasting)

    def census(self, deep: bool = False) -> Mapping[str, Any]:
        """Which fragments there are: see ``troubled_node``."""
        found: Mapping[str, Any] = self._command("census", deep=deep)
        return found

    def scrub(self) -> None:
        """Have the array find what its providers have forgotten."""
        self._command("scrub")

    def resident_bytes(self) -> int:
        """The memory that its process has."""
        status = Path(f"/proc/{self.pid()}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def _command(self, do: str, **arguments: object) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self.folder / SOCKET))
            connection.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                said = json.loads(lines.readline())
        assert "failed" not in said, said
        return said["answer"]
