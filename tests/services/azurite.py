"""Azurite, Microsoft's own emulator of Azure Blobs, on loopback."""

from __future__ import annotations

import atexit
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from time import monotonic, sleep

from attrs import field, frozen
from libcloud.storage.drivers.azure_blobs import AzureBlobsStorageDriver

from tests.services.npm import npm_package
from tests.services.tied import tied

VERSION = "3.35.0"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's well-known account and its well-known key."""

_numbers = count()


@frozen
class AzuriteServer:
    """Where the server is, and who we are there."""

    port: int
    host: str = "127.0.0.1"
    account: str = ACCOUNT
    key: str = field(default=KEY, repr=False)

    def make_container(self) -> str:
        """A new, empty container; returns its name."""
        name = f"container-{next(_numbers)}"
        driver = AzureBlobsStorageDriver(
            self.account, self.key, secure=False, host=self.host, port=self.port
        )
        driver.create_container(name)
        driver.connection.connection.session.close()
        return name


@cache
def azurite_server() -> AzuriteServer:
    """The server of this process: started when first asked for, ended with the process."""
    running = running_azurite()
    server = running.__enter__()
    atexit.register(running.__exit__, None, None, None)
    return server


@contextmanager
def running_azurite() -> Iterator[AzuriteServer]:
    """A server of one's own."""
    program = npm_package("azurite", VERSION) / "dist" / "src" / "blob" / "main.js"
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="raic-azurite-") as folder:
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                tied(
                    [
                        *("node", program, "--blobHost", "127.0.0.1", "--blobPort", str(port)),
                        *("--location", folder, "--skipApiVersionCheck", "--disableTelemetry"),
                        "--silent",
                    ]
                ),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            _await_port(port, process, Path(folder) / "log")
            yield AzuriteServer(port)
        finally:
            _ended(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or monotonic() > deadline:
                raise RuntimeError(f"Azurite did not start:\n{log.read_text()}") from None
            sleep(0.05)


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
