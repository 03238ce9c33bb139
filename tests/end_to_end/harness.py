"""Nodes of every kind, each in its own process and folder on loopback."""

from __future__ import annotations

import json
import signal
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from tests.end_to_end.processes import Program, free_port, installed, run

START_SECONDS = 60.0

ServersYaml = Mapping[str, Any]
"""What stands under ``storage`` in a client's ``private/servers.yaml``."""


class RequestFailed(AssertionError):
    """A client's web interface answered with an error."""


class StorageNode(Protocol):
    """What the tests ask of a storage node, RAIC's or Tahoe's."""

    folder: Path
    port: int

    def start(self) -> None:
        """Start it, and return when it serves."""

    def stop(self) -> None:
        """Stop it in good order."""

    def kill(self) -> None:
        """End it at once."""

    def servers_yaml(self) -> ServersYaml:
        """The entry by which clients find it."""

    def pid(self) -> int:
        """Its process."""


class _Node:
    """A folder and, while it runs, a program."""

    good_ends: tuple[int, ...] = (0, -signal.SIGTERM)  # twistd repeats the signal to itself

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program: Program | None = None

    def running(self) -> Program:
        """The program, which has been started."""
        assert self.program is not None, "not started"
        return self.program

    def pid(self) -> int:
        """Its process."""
        return self.running().pid

    def stop(self) -> None:
        """Stop it in good order, if it runs."""
        if self.program is not None:
            code = self.program.terminate()
            self.program = None
            assert code in self.good_ends, f"{self.folder} ended with {code}"

    def kill(self) -> None:
        """End it at once."""
        self.running().kill()
        self.program = None

    def log(self) -> Path:
        """Where its output goes."""
        return self.folder.with_name(self.folder.name + ".log")


class RaicNode(_Node):
    """A RAIC storage node.

    :param settings: sections and keys to add to the ``raic.cfg`` that ``create-node`` writes.
    """

    good_ends = (0,)

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Mapping[str, str]] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(folder)
        self.port = free_port()
        run(
            [
                *(installed("raic"), "create-node", folder, "--nickname", folder.name),
                *("--port", f"tcp:{self.port}:interface=127.0.0.1"),
                *("--location", f"tcp:127.0.0.1:{self.port}"),
                *options,
            ]
        )
        self.configure(settings or {})

    def configure(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Set keys in ``raic.cfg``."""
        path = self.folder / "raic.cfg"
        path.write_text(_with_settings(path.read_text(), settings))

    def begin(self) -> None:
        """Start it, and return at once."""
        self.program = Program([installed("raic"), "run", self.folder], self.log())

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        self.begin()
        self.running().wait_for_output("storage node is ready", START_SECONDS)

    def servers_yaml(self) -> ServersYaml:
        """The entry that the node itself wrote for its clients."""
        loaded = yaml.safe_load((self.folder / "private" / "servers.yaml").read_text())
        return dict(loaded["storage"])

    def index(self) -> list[Path]:
        """The files of its index."""
        return sorted(self.folder.glob("index.sqlite*"))

    def restore(self) -> bytes:
        """Rebuild the index; what the command prints."""
        return run([installed("raic"), "restore", "--local", self.folder], 120.0)


class AdoptedNode(RaicNode):
    """A RAIC storage node that is there already, made of another.

    :param port: of the node that it was made of.
    :param environment: variables to add.
    """

    def __init__(
        self, folder: Path, port: int, environment: Mapping[str, str] | None = None
    ) -> None:
        _Node.__init__(self, folder)
        self.port = port
        self._environment = environment

    def begin(self) -> None:
        """Start it, and return at once."""
        command = (installed("raic"), "run", self.folder)
        self.program = Program(command, self.log(), self._environment)


class TahoeStorageNode(_Node):
    """Tahoe's own storage node, to compare with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        run(
            [
                *(installed("tahoe"), "create-node", f"--nickname={folder.name}"),
                f"--port=tcp:{self.port}:interface=127.0.0.1",
                f"--location=tcp:127.0.0.1:{self.port}",
                *("--webport=none", folder),
            ]
        )

    def begin(self) -> None:
        """Start it, and return at once."""
        self.program = Program([installed("tahoe"), "run", self.folder], self.log())

    def start(self) -> None:
        """Start it, and return when its FURL exists and it says that it runs."""
        self.begin()
        self.running().wait_for_output("client running", START_SECONDS)

    def servers_yaml(self) -> ServersYaml:
        """An entry made of its FURL and certificate: Tahoe writes none itself."""
        private = self.folder / "private"
        furl = (private / "storage.furl").read_text().strip()
        certificate = load_pem_x509_certificate((private / "node.pem").read_bytes())
        spki = certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        pin = urlsafe_b64encode(sha256(spki).digest()).decode("ascii").rstrip("=")
        swissnum = furl.rpartition("/")[2]
        announcement = {
            "nickname": self.folder.name,
            "anonymous-storage-FURL": furl,
            "anonymous-storage-NURLs": [f"pb://{pin}@127.0.0.1:{self.port}/{swissnum}#v=1"],
        }
        return {(self.folder / "node.pubkey").read_text().strip()[4:]: {"ann": announcement}}


class TahoeIntroducer(_Node):
    """Tahoe's introducer.

    :param port: to stand where another one stood.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        super().__init__(folder)
        self.port = port or free_port()
        run(
            [
                *(installed("tahoe"), "create-introducer"),
                f"--port=tcp:{self.port}:interface=127.0.0.1",
                f"--location=tcp:127.0.0.1:{self.port}",
                folder,
            ]
        )
        config = folder / "tahoe.cfg"
        config.write_text(_with_settings(config.read_text(), {"node": {"web.port": ""}}))

    def start(self) -> None:
        """Start it, and return when it says that it runs."""
        self.program = Program([installed("tahoe"), "run", self.folder], self.log())
        self.program.wait_for_output("introducer running", START_SECONDS)

    def furl(self) -> str:
        """By which nodes find it; known once it has been started."""
        return (self.folder / "private" / "introducer.furl").read_text().strip()


class TahoeClient(_Node):
    """A real Tahoe client node that stores every file on one server.

    :param servers: its ``private/servers.yaml``; none when it has an introducer.
    :param introducer: an introducer's FURL.
    """

    def __init__(
        self, folder: Path, servers: ServersYaml | None = None, introducer: str | None = None
    ) -> None:
        super().__init__(folder)
        found_through = [f"--introducer={introducer}"] if introducer else []
        run(
            [
                *(installed("tahoe"), "create-client", "--webport=tcp:0:interface=127.0.0.1"),
                *("--shares-needed=1", "--shares-happy=1", "--shares-total=1"),
                *(f"--nickname={folder.name}", *found_through),
                folder,
            ]
        )
        if servers is not None:
            entry = json.dumps({"storage": dict(servers)})  # JSON is YAML
            (folder / "private" / "servers.yaml").write_text(entry)

    def start(self) -> None:
        """Start it, and return when its web page says that a server is connected."""
        url = self.folder / "node.url"
        url.unlink(missing_ok=True)
        self.program = Program([installed("tahoe"), "run", self.folder], self.log())
        self.program.wait_for(url.exists, "writing its node.url", START_SECONDS)
        self.wait_until_connected()

    def wait_until_connected(self, nickname: str | None = None) -> str:
        """Wait for a server.

        :param nickname: None for any server.
        :return: how it is connected: "connected" over HTTP, "Connected to ..." over Foolscap.
        """
        return self.running().wait_for(lambda: self._connection(nickname), "connected", 60.0)

    def wait_until_disconnected(self) -> None:
        """Wait until no server is connected."""
        self.running().wait_for(lambda: self._connection(None) is None, "disconnected", 60.0)

    def _connection(self, nickname: str | None) -> str | None:
        try:
            known = json.loads(self.request("GET", "/?t=json"))["servers"]
        except RequestFailed:  # the page fails until Foolscap has begun to connect
            return None
        for server in known:
            status = str(server["connection_status"])
            if status.lower().startswith("connected") and nickname in (None, server["nickname"]):
                return status
        return None

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Ask the client's web interface.

        :return: the body of its answer.
        :raises RequestFailed: the answer says that something went wrong.
        """
        address = urlsplit((self.folder / "node.url").read_text().strip())
        connection = HTTPConnection(address.hostname or "", address.port, timeout=120)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 201, 204):
            text = content[:2000].decode(errors="replace")
            raise RequestFailed(f"{method} {path[:80]}: {answer.status} {text}")
        return content

    def command(self, *arguments: str | Path, stdin: bytes = b"", expected: int = 0) -> bytes:
        """Run a ``tahoe`` command for this node; its standard output."""
        command = [installed("tahoe"), "--node-directory", self.folder, *arguments]
        return run(command, 120.0, expected, stdin)


def nurl_of(servers: ServersYaml) -> str:
    """The HTTP address of the one server in an entry."""
    (entry,) = servers.values()
    return str(entry["ann"]["anonymous-storage-NURLs"][0])


def foolscap_only(servers: ServersYaml) -> ServersYaml:
    """The same servers as a client sees them that knows no NURLs."""
    old: dict[str, Any] = {}
    for server_id, entry in servers.items():
        known = entry["ann"].items()
        old[server_id] = {
            "ann": {key: value for key, value in known if key != "anonymous-storage-NURLs"}
        }
    return old


def _with_settings(text: str, settings: Mapping[str, Mapping[str, str]]) -> str:
    """A configuration file with some keys replaced or added; comments stay."""
    lines = text.splitlines()
    for section, keys in settings.items():
        if f"[{section}]" not in lines:
            lines += ["", f"[{section}]"]
        start = lines.index(f"[{section}]") + 1
        ends = [at for at in range(start, len(lines)) if lines[at].startswith("[")]
        end = ends[0] if ends else len(lines)
        kept = [line for line in lines[start:end] if line.partition("=")[0].strip() not in keys]
        added = [f"{key} = {value}" for key, value in keys.items()]
        lines[start:end] = added + kept
    return "\n".join(lines) + "\n"
