"""A real Secret Service on a message bus of its own: gnome-keyring, with nobody to ask."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import secretstorage
from secretstorage.collection import Collection
from secretstorage.exceptions import SecretStorageException

from tests.services.programs import need
from tests.services.tied import tied

SECONDS = 20.0
PAUSE = 0.02

# Asking for "the default" would make one where there is none yet, and wait for a password.
_DEFAULT = "/org/freedesktop/secrets/aliases/default"

# The system's own configuration would start a second gnome-keyring, which no one unlocks.
_BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class SecretService:
    """The service, for those who have its environment.

    :ivar environment: what a process needs in order to find it.
    """

    def __init__(self, folder: Path) -> None:
        self.environment: Mapping[str, str] = {
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
            **{
                f"XDG_{kind}": str(folder)
                for kind in ("DATA_HOME", "CONFIG_HOME", "CACHE_HOME", "RUNTIME_DIR")
            },
        }

    @contextmanager
    def in_this_process(self) -> Iterator[None]:
        """Lets this process find the service, and nothing else."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def is_ready(self) -> bool:
        """Whether it answers, and has a keyring to put secrets into."""
        try:
            with closing(self._connection()) as connection:
                if not secretstorage.check_service_availability(connection):
                    return False
                return not Collection(connection, _DEFAULT).is_locked()
        except (SecretStorageException, OSError):
            return False

    def lock(self) -> None:
        """Lock its keyring, as when a session is left alone."""
        with closing(self._connection()) as connection:
            Collection(connection, _DEFAULT).lock()

    def secrets(self) -> list[str]:
        """Everything that it keeps."""
        with closing(self._connection()) as connection:
            items = Collection(connection, _DEFAULT).get_all_items()
            return sorted(item.get_secret().decode() for item in items)

    def _connection(self) -> Any:
        with self.in_this_process():
            return secretstorage.dbus_init()


@contextmanager
def secret_service() -> Iterator[SecretService]:
    """A service with an empty, unlocked keyring; gone at the end."""
    need("dbus-daemon", "gnome-keyring-daemon")
    folder = Path(tempfile.mkdtemp(prefix="raic-keyring-"))
    service = SecretService(folder)
    (folder / "bus.conf").write_text(_BUS.format(path=folder / "bus"))
    password = folder / "password"
    password.write_text("the password of the keyring")
    programs: list[subprocess.Popen[bytes]] = []
    try:
        bus = ("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={folder}/bus.conf")
        programs.append(_started(service, bus, Path(os.devnull)))
        _wait((folder / "bus").exists, "dbus-daemon")
        keyring = ("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
        programs.append(_started(service, keyring, password))
        _wait(service.is_ready, "gnome-keyring-daemon")
        yield service
    finally:
        for program in reversed(programs):
            program.terminate()
            program.wait(SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _started(service: SecretService, words: Sequence[str], stdin: Path) -> subprocess.Popen[bytes]:
    with stdin.open("rb") as file:
        return subprocess.Popen(
            tied(words),
            env={**os.environ, **service.environment},
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _wait(ready: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + SECONDS
    while not ready():
        if monotonic() > deadline:
            raise AssertionError(f"{what} was not ready within {SECONDS:g} s")
        sleep(PAUSE)
