"""Nodes with providers on real services, to be certified by the real command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from libcloud.storage.drivers.azure_blobs import AzureBlobsStorageDriver

from tests.backends.swift.swift_world import SwiftWorld
from tests.config.nodes import node_directory
from tests.end_to_end.processes import clean_environment, installed
from tests.services.azurite import azurite_server
from tests.services.moto import S3Endpoint, moto_endpoint
from tests.services.swift import swift_server

SECONDS = 300.0


@frozen
class Service:
    """Where a provider's objects go.

    :ivar section: the provider's keys.
    :ivar names: the names of everything that is there, parts of uploads included.
    """

    section: Mapping[str, str]
    names: Callable[[], list[str]]
    secrets: Mapping[str, str] = field(factory=dict)


def folder() -> Service:
    """A directory of this machine."""
    path = Path("folder").absolute()
    return Service({"type": "filesystem", "path": str(path)}, lambda: files(path))


def moto() -> Service:
    """S3, which believes everything."""
    return _s3(moto_endpoint())


def swift_as_s3() -> Service:
    """S3, which checks everything."""
    server = swift_server()
    return _s3(S3Endpoint(server.endpoint, server.user, server.key))


def swift() -> Service:
    """Swift by its own protocol."""
    world, server = SwiftWorld(), swift_server()
    section = {"type": "swift", "auth_url": server.auth_url, "auth_version": "v1"}

    def names() -> list[str]:
        try:
            return world.ask("GET", "").text.splitlines()
        finally:
            world.close()

    return Service(
        {**section, "container": world.container},
        names,
        {"USER": server.user, "KEY": server.key},
    )


def local() -> Service:
    """Libcloud's driver for files."""
    path = Path("libcloud").absolute()
    (path / "container").mkdir(parents=True)
    section = {"type": "libcloud", "driver": "local", "container": "container", "path": str(path)}
    return Service(section, lambda: files(path / "container"))


def azure() -> Service:
    """Azure Blobs."""
    server = azurite_server()
    container = server.make_container()
    section = {
        "type": "libcloud",
        "driver": "azure_blobs",
        "container": container,
        "host": server.host,
        "port": str(server.port),
        "secure": "false",
    }

    def names() -> list[str]:
        driver = AzureBlobsStorageDriver(
            server.account, server.key, secure=False, host=server.host, port=server.port
        )
        found = driver.iterate_container_objects(driver.get_container(container))
        listed = [each.name for each in found]
        driver.connection.connection.session.close()
        return listed

    return Service(section, names, {"KEY": server.account, "SECRET": server.key})


def files(path: Path) -> list[str]:
    """Everything below a directory, empty folders too, but where a provider keeps its own."""
    return [str(each) for each in path.rglob("*") if each.name != ",,incoming"]


class Node:
    """A node directory whose provider ``cloud`` is on a service."""

    def __init__(self, service: Service, more: str = "") -> None:
        self.directory = Path("node").absolute()
        node_directory(self.directory)
        path = self.directory / "raic.cfg"
        text, _, _ = path.read_text().partition("[storage]")
        section = "".join(f"{key} = {value}\n" for key, value in service.section.items())
        path.write_text(
            f"{text}[storage]\nbackend = provider:cloud\n[provider:cloud]\n{section}{more}"
        )
        secrets = {f"RAIC_CLOUD_{name}": value for name, value in service.secrets.items()}
        backend = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        self.environment = clean_environment() | secrets | backend

    def command(self, *words: str) -> list[str]:
        """``raic providers``."""
        verb, *rest = words
        name = ["cloud"] if verb == "certify" else []
        return [installed("raic"), "providers", verb, *name, str(self.directory), *rest]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            check=False,
            env=self.environment,
            text=True,
            timeout=SECONDS,
        )

    def certified(self, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit code of a certification, and what it printed as JSON."""
        done = self.run("certify", "--json", "--samples=3", "--bytes=1MiB", *words)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


def _s3(endpoint: S3Endpoint) -> Service:
    container = endpoint.make_container()

    def names() -> list[str]:
        client = endpoint.client()
        objects = client.list_objects_v2(Bucket=container).get("Contents", ())
        uploads = client.list_multipart_uploads(Bucket=container).get("Uploads", ())
        return [each["Key"] for each in (*objects, *uploads)]

    return Service(
        {"type": "s3", "container": container, "endpoint_url": endpoint.url},
        names,
        {
            "ACCESS_KEY_ID": endpoint.access_key_id,
            "SECRET_ACCESS_KEY": endpoint.secret_access_key,
        },
    )
