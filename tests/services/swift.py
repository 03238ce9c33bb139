"""A real OpenStack Swift on loopback, without root: account, container, object and proxy."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

from attrs import field, frozen

from tests.services.tied import tied

START_SECONDS = 30.0
STOP_SECONDS = 10.0
USER = "test:tester"
KEY = "testing"
READER = "test:reader"
READER_KEY = "reading"

_KINDS = ("account", "container", "object")
_PROGRAMS = Path(sys.executable).parent


@frozen
class SwiftServer:
    """Where the server is.

    :ivar endpoint: without a path; also that of its S3 API, whose access key is :data:`USER` and
        whose secret key is :data:`KEY`, region us-east-1.
    :ivar reader: may read and write nothing until an ACL lets it.
    """

    endpoint: str
    folder: Path = field(repr=False)
    user: str = USER
    key: str = KEY
    reader: str = READER
    reader_key: str = READER_KEY

    @property
    def auth_url(self) -> str:
        """For version 1 of the authentication protocol."""
        return f"{self.endpoint}/auth/v1.0"

    @property
    def storage_url(self) -> str:
        """The account."""
        return f"{self.endpoint}/v1/AUTH_test"


@cache
def swift_server() -> SwiftServer:
    """The server of this process: started when first asked for, ended with the process."""
    running = running_swift()
    server = running.__enter__()
    atexit.register(running.__exit__, None, None, None)
    return server


@contextmanager
def running_swift(*, large_objects: bool = True, token_life: int = 86400) -> Iterator[SwiftServer]:
    """A server of one's own.

    :param large_objects: whether it knows static large objects and bulk deletes.
    :param token_life: of its tokens, in seconds.
    """
    folder = Path(tempfile.mkdtemp(prefix="raic-swift-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        ports = _free_ports(len(_KINDS) + 1)
        endpoint = f"http://127.0.0.1:{ports[-1]}"
        for kind, port in zip(_KINDS, ports, strict=False):
            (folder / f"{kind}.conf").write_text(_storage_conf(folder, kind, port))
        proxy_conf = _proxy_conf(folder, ports[-1], large_objects, token_life)
        (folder / "proxy.conf").write_text(proxy_conf)
        (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = raic\n")
        _make_rings(folder, ports)
        (folder / "devices" / "d1").mkdir(parents=True)
        processes += [_started(folder, kind) for kind in (*_KINDS, "proxy")]
        _await_health(endpoint, ports, folder, processes)
        yield SwiftServer(endpoint, folder)
    finally:
        for process in processes:
            _ended(process)
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _default_conf(folder: Path, port: int) -> str:
    return f"""\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {pwd.getpwuid(os.getuid()).pw_name}
swift_dir = {folder}
workers = 0
log_level = ERROR
# A busy machine must not make listings late: nothing here brings them up to date afterwards.
conn_timeout = 20
node_timeout = 30
recoverable_node_timeout = 30
container_update_timeout = 20
"""


def _storage_conf(folder: Path, kind: str, port: int) -> str:
    return f"""\
{_default_conf(folder, port)}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
disable_fallocate = true

[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""


def _proxy_conf(folder: Path, port: int, large_objects: bool, token_life: int) -> str:
    large = "slo dlo" if large_objects else ""
    bulk = "bulk" if large_objects else ""
    fernet = urlsafe_b64encode(b"a key of thirty-two known bytes.").decode()
    return f"""\
{_default_conf(folder, port)}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats {bulk} tempurl s3api tempauth copy
    container-quotas account-quotas {large} versioned_writes symlink proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:tempauth]
use = egg:swift#tempauth
user_{USER.replace(":", "_")} = {KEY} .admin
user_{READER.replace(":", "_")} = {READER_KEY}
token_life = {token_life}
fernet_key_k1 = {fernet}
active_fernet_key_id = k1

[filter:s3api]
use = egg:swift#s3api

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
""" + "".join(
        f"\n[filter:{name}]\nuse = egg:swift#{name.replace('-', '_')}\n"
        for name in (
            *("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "tempurl"),
            *("copy", "container-quotas", "account-quotas", "slo", "dlo", "symlink"),
        )
    )


def _make_rings(folder: Path, ports: Iterable[int]) -> None:
    """One process makes all three: starting it is what takes time."""
    subprocess.run(
        [sys.executable, "-c", _RING_PROGRAM, folder, *map(str, ports)],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=START_SECONDS,
    )


_RING_PROGRAM = """
import sys
from swift.common.ring import RingBuilder

for kind, port in zip(("account", "container", "object"), sys.argv[2:]):
    ring = RingBuilder(4, 1, 0)
    device = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1"}
    ring.add_dev({**device, "weight": 1.0})
    ring.rebalance()
    ring.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
"""


def _started(folder: Path, kind: str) -> subprocess.Popen[bytes]:
    with (folder / f"{kind}.log").open("wb") as log:
        return subprocess.Popen(
            tied([_PROGRAMS / f"swift-{kind}-server", f"{folder}/{kind}.conf", "-v"]),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _await_health(
    endpoint: str, ports: Iterable[int], folder: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    deadline = monotonic() + START_SECONDS
    # The proxy answers although the servers behind it do not listen yet.
    while not (all(_listens(port) for port in ports) and _answers(endpoint)):
        dead = any(process.poll() is not None for process in processes)
        if dead or monotonic() > deadline:
            logs = "\n".join(log.read_text() for log in sorted(folder.glob("*.log")))
            raise RuntimeError(f"Swift did not start:\n{logs}")
        sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _answers(endpoint: str) -> bool:
    try:
        with urlopen(f"{endpoint}/healthcheck", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
