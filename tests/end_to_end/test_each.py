"""One process that is several servers: the client's own coding spreads shares over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import RaicNode, TahoeClient
from tests.end_to_end.processes import Program, free_port, installed
from tests.end_to_end.suite import check, content, get, overwrite, put
from tests.services.moto import moto_endpoint

NAMES = ("attic", "cellar", "cloud")


class EachNode(RaicNode):
    """Two folders and a cloud, each behind a server of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.endpoint = moto_endpoint()
        self.container = self.endpoint.make_container()
        sections = ["[node]\nnickname = each\n"]
        for name in NAMES:
            port = free_port()
            sections.append(
                f"[server:{name}]\nbackend = provider:{name}\n"
                f"tub.port = tcp:{port}:interface=127.0.0.1\n"
                f"tub.location = tcp:127.0.0.1:{port}\n"
            )
        sections.append(
            "[provider:attic]\npath = attic\n[provider:cellar]\npath = cellar\n"
            f"[provider:cloud]\ntype = s3\ncontainer = {self.container}\n"
            f"endpoint_url = {self.endpoint.url}\n"
        )
        (folder / "raic.cfg").write_text("".join(sections))

    def begin(self) -> None:
        """Start it, and return at once."""
        secrets = {
            "RAIC_CLOUD_ACCESS_KEY_ID": self.endpoint.access_key_id,
            "RAIC_CLOUD_SECRET_ACCESS_KEY": self.endpoint.secret_access_key,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        self.program = Program((installed("raic"), "run", self.folder), self.log(), secrets)

    def servers_yaml(self) -> dict[str, Any]:
        """The entries of all servers, as the documentation says to put them together."""
        entries: dict[str, Any] = {}
        for name in NAMES:
            path = self.folder / "servers" / name / "private" / "servers.yaml"
            entries.update(yaml.safe_load(path.read_text())["storage"])
        return entries

    def holders(self, storage_index: str) -> list[str]:
        """Which providers have an object of a storage index."""
        found = [
            name
            for name in ("attic", "cellar")
            if any(self.folder.joinpath(name).rglob(f"{storage_index}*"))
        ]
        listed = self.endpoint.client().list_objects_v2(Bucket=self.container)
        if any(storage_index in each["Key"] for each in listed.get("Contents", ())):
            found.append("cloud")
        return found


class SpreadingClient(TahoeClient):
    """A client that makes three shares of everything, any two of which suffice."""

    def __init__(self, folder: Path, node: EachNode) -> None:
        super().__init__(folder, node.servers_yaml())
        path = folder / "tahoe.cfg"
        text = path.read_text()
        for key, number in (("needed", 2), ("happy", 3), ("total", 3)):
            text = text.replace(f"shares.{key} = 1", f"shares.{key} = {number}")
        path.write_text(text)

    def wait_until_connected(self, nickname: str | None = None) -> str:
        """Wait for all servers, or one."""
        for each in (nickname,) if nickname else (f"each-{name}" for name in NAMES):
            status = super().wait_until_connected(each)
        return status


@pytest.mark.service
class Each(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory(prefix="raic-each-")
        self.addCleanup(directory.cleanup)
        self.node = EachNode(Path(directory.name) / "node")
        self.addCleanup(self.node.stop)
        self.node.start()
        self.client = SpreadingClient(Path(directory.name) / "client", self.node)
        self.addCleanup(self.client.stop)
        self.client.start()

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """One of the servers is started no more."""
        path = self.node.folder / "raic.cfg"
        text = path.read_text()
        self.node.stop()
        self.client.wait_until_disconnected()
        start = text.index(f"[server:{name}]")
        end = text.index("[", start + 1)
        path.write_text(text[:start] + text[end:])
        self.node.start()
        for other in NAMES:
            if other != name:
                self.client.wait_until_connected(f"each-{other}")
        yield
        path.write_text(text)

    def test_each_share_lies_on_another_provider_and_any_two_suffice(self) -> None:
        data = content(200_000)
        cap, mutable = put(self.client, data), put(self.client, content(3000), "sdmf")
        results = check(self.client, cap)
        self.assertTrue(results["healthy"])
        self.assertEqual(results["count-shares-good"], 3)
        self.assertEqual(results["count-good-share-hosts"], 3)
        self.assertEqual(self.node.holders(self.storage_index(cap)), list(NAMES))
        overwrite(self.client, mutable, content(4000))
        servers = {path.name for path in (self.node.folder / "servers").iterdir()}
        self.assertEqual(servers, set(NAMES))
        for name in NAMES:
            with self.without(name):
                self.assertTrue(get(self.client, cap) == data, name)
                self.assertEqual(get(self.client, mutable), content(4000), name)

    def storage_index(self, cap: str) -> str:
        """As it stands in keys."""
        page = self.client.command("debug", "dump-cap", cap).decode()
        (line,) = (line for line in page.splitlines() if "storage index:" in line)
        return line.partition(": ")[2].strip()
