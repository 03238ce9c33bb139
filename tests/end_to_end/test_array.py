"""A real client's files on an array of four clouds, of which any two may be lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from os import urandom
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import RaicNode, RequestFailed, TahoeClient
from tests.end_to_end.processes import Program, installed, run
from tests.end_to_end.suite import check, content, get, overwrite, put
from tests.services.cuttable import CuttableService
from tests.services.moto import S3Endpoint, moto_endpoint
from tests.services.swift import SwiftServer, swift_server

CLOUDS = ("moto", "swift", "swift-s3")
NAMES = ("attic", *CLOUDS)
LARGE = 3_000_000


def cuttable(url: str) -> tuple[CuttableService, str]:
    """A service that can be cut, and its address."""
    parts = urlsplit(url)
    service = CuttableService(parts.hostname or "", parts.port or 80)
    return service, parts._replace(netloc=f"127.0.0.1:{service.port}").geturl()


class ArrayNode(RaicNode):
    """2-of-4 over a folder, moto, Swift, and Swift as S3, with happy = 3."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.services: dict[str, CuttableService] = {}
        self._looks: dict[str, tuple[S3Endpoint, str]] = {}
        self._secrets = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        server = swift_server()
        s3_face = S3Endpoint(server.endpoint, server.user, server.key)
        self._looks["swift"] = (s3_face, s3_face.make_container())
        sections = (
            "[storage]\nbackend = array:clouds\n"
            f"[array:clouds]\nproviders = {', '.join(NAMES)}\nneeded = 2\nhappy = 3\n"
            "[provider:attic]\npath = attic\n"
            + self._s3("moto", moto_endpoint())
            + self._swift(server, self._looks["swift"][1])
            + self._s3("swift-s3", s3_face)
        )
        rest = (folder / "raic.cfg").read_text().partition("[storage]")[0]
        (folder / "raic.cfg").write_text(rest + sections)

    def begin(self) -> None:
        """Start it, and return at once."""
        self.program = Program((installed("raic"), "run", self.folder), self.log(), self._secrets)

    def restore(self) -> bytes:
        """Rebuild the index; what the command prints."""
        command = (installed("raic"), "restore", "--local", self.folder)
        return run(command, 120.0, environment=self._secrets)

    def lose(self, name: str) -> None:
        """Have a provider be gone; the folder with all that is in it."""
        if name == "attic":
            shutil.rmtree(self.folder / "attic")
        else:
            self.services[name].cut()

    def give_back(self, name: str) -> None:
        """Have a provider be there again."""
        if name != "attic":
            self.services[name].mend()

    def command(self, *words: str) -> bytes:
        """Run ``raic`` for this node; its standard output."""
        return run((installed("raic"), *words, self.folder), 120.0)

    def is_whole(self) -> bool:
        """Whether no fragment of any object is missing."""
        told = json.loads(self.command("array", "status", "--json"))
        return bool(told["full"] == told["objects"] and not told["repair"]["queued"])

    def objects(self, name: str) -> int:
        """How many objects a cloud has."""
        endpoint, container = self._looks[name]
        return int(endpoint.client().list_objects_v2(Bucket=container)["KeyCount"])

    def _s3(self, name: str, endpoint: S3Endpoint) -> str:
        container = endpoint.make_container()
        self._looks[name] = (endpoint, container)
        self.services[name], url = cuttable(endpoint.url)
        variable = f"RAIC_{name.upper().replace('-', '_')}"
        self._secrets[f"{variable}_ACCESS_KEY_ID"] = endpoint.access_key_id
        self._secrets[f"{variable}_SECRET_ACCESS_KEY"] = endpoint.secret_access_key
        return f"[provider:{name}]\ntype = s3\ncontainer = {container}\nendpoint_url = {url}\n"

    def _swift(self, server: SwiftServer, container: str) -> str:
        self.services["swift"], url = cuttable(server.auth_url)
        self._secrets["RAIC_SWIFT_USER"] = server.user
        self._secrets["RAIC_SWIFT_KEY"] = server.key
        return (
            f"[provider:swift]\ntype = swift\ncontainer = {container}\n"
            f"auth_url = {url}\nauth_version = v1\n"
        )


@pytest.mark.service
class Array(SynchronousTestCase):
    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="raic-array-")))
        self.node = ArrayNode(folder / "node")
        stack.callback(self.node.stop)
        self.node.start()
        self.client = TahoeClient(folder / "client", self.node.servers_yaml())
        stack.callback(self.client.stop)
        self.client.start()
        self.files = {put(self.client, content(size)): content(size) for size in (1000, LARGE)}
        self.mutable = put(self.client, content(3000), "sdmf")
        self.files[self.mutable] = content(3000)
        tree = self.client.request("POST", "/uri?t=mkdir").decode("ascii").strip()
        self.client.request("PUT", f"/uri/{tree}/one/two", content(500))
        self.tree = tree

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """Some providers are gone."""
        for name in names:
            self.node.lose(name)
        yield
        for name in names:
            self.node.give_back(name)
        self.node.running().wait_for(lambda: self.is_used(*names), f"using {names}", 90.0)

    def is_used(self, *names: str) -> bool:
        """Whether each of some clouds gets its fragment of a new file."""
        clouds = [name for name in names if name != "attic"]
        before = [self.node.objects(name) for name in clouds]
        try:
            put(self.client, urandom(100))
        except RequestFailed:  # for some seconds nobody asks a cloud that was gone
            return False
        return all(
            self.node.objects(name) > count for name, count in zip(clouds, before, strict=True)
        )

    def assert_reads(self) -> None:
        for cap, data in self.files.items():
            self.assertTrue(get(self.client, cap) == data)
            self.assertTrue(check(self.client, cap)["healthy"])
        self.assertEqual(self.client.request("GET", f"/uri/{self.tree}/one/two"), content(500))

    def write(self, seed: int) -> None:
        """A new file, and a new version of an old one."""
        data = content(200_000, seed)
        self.files[put(self.client, data)] = data
        self.files[self.mutable] = content(3000 + seed)
        overwrite(self.client, self.mutable, content(3000 + seed))

    def test_any_one_may_be_lost_while_writing_and_any_two_while_reading(self) -> None:
        for seed, name in enumerate(CLOUDS):
            with self.without(name):
                self.write(seed)
                self.assert_reads()
        self.node.running().wait_for(self.node.is_whole, "whole again", 90.0)
        for pair in combinations(CLOUDS, 2):
            with self.without(*pair):
                self.assert_reads()
                self.assertRaises(RequestFailed, put, self.client, content(100, 99))
                self.assert_reads()

    def test_a_disk_that_is_lost_with_all_that_is_on_it_loses_nothing(self) -> None:
        with self.without("attic"):
            self.write(1)
            self.assert_reads()
        self.node.stop()
        self.client.wait_until_disconnected()
        self.node.start()
        self.client.wait_until_connected()
        self.assert_reads()
        self.write(2)
        self.assert_reads()
        (self.node.folder / "attic" / "shares").mkdir(parents=True)  # as the node says
        self.node.running().wait_for(self.is_well, "used again", 90.0)
        run((installed("raic"), "array", "scrub", self.node.folder), 120.0, expected=1)
        self.node.running().wait_for(self.node.is_whole, "whole again", 90.0)
        with self.without("moto", "swift"):
            self.assert_reads()

    def is_well(self) -> bool:
        """Whether the folder is used."""
        told = json.loads(self.node.command("array", "status", "--json"))
        return bool(told["members"][0]["state"] == "well")

    def test_a_provider_is_replaced_under_load(self) -> None:
        spare = "[provider:spare]\npath = spare\n"
        with (self.node.folder / "raic.cfg").open("a") as file:
            file.write(spare)
        command = (installed("raic"), "array", "replace", "swift", "spare", self.node.folder)
        replacing = Program((*command, "--yes"), self.node.folder.with_name("replace.log"))
        self.addCleanup(replacing.kill)
        for seed in range(10):
            self.write(seed)
            self.assert_reads()
        self.assertEqual(replacing.wait(120.0), 0, replacing.output())
        self.assertTrue(self.node.is_whole())
        for name in ("moto", "swift"):
            self.node.lose(name)
        self.assert_reads()

    def test_an_index_that_is_lost_is_made_anew_with_a_cloud_away(self) -> None:
        self.node.stop()
        self.client.wait_until_disconnected()
        for path in self.node.index():
            path.unlink()
        with self.without("moto"):
            self.assertIn(b"the index is in place", self.node.restore())
            self.node.start()
            self.client.wait_until_connected()
            self.assert_reads()
            self.write(1)
        self.node.running().wait_for(self.node.is_whole, "whole again", 90.0)
        self.assert_reads()
