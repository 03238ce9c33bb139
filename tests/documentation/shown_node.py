"""A node to try the shown commands on, and what the words of the documentation stand for there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pexpect

from raic.shares.keys import encode_index
from tests.end_to_end.harness import RaicNode, TahoeStorageNode, nurl_of
from tests.end_to_end.processes import Program, clean_environment, free_port, installed
from tests.end_to_end.thin import ThinHTTPClient
from tests.end_to_end.wire import Address
from tests.services.moto import moto_endpoint
from tests.services.secret_service import secret_service

SECONDS = 120.0
PASSPHRASE = "five or six random words"
INDEX = b"shown in docs..."
"""A storage index under which there is a share."""

_ANSWERS = {
    r"(?i)passphrase for [^\n]*: ?$": f"{PASSPHRASE}\n",
    r"Repeat for confirmation: ?$": f"{PASSPHRASE}\n",
    r"(access_key_id|secret_access_key|password), [^\n]*: ?$": "a-secret-of-some-length\n",
    r"session_token, [^\n]*: ?$": "\n",
    r"\[y/N\]: ?$": "y\n",
}
"""What to say to which question."""

_FOLDERS = ("attic", "barn", "cellar", "shed")


class ShownNode(RaicNode):
    """What the pages call ``/srv/raic``: an array of four folders, ``loft`` that could be added,
    and ``aws``, which is moto, as ``cloud`` is, to which it could be copied.

    Beside it are a storage node of Tahoe's and an identity that was exported; the home directory
    is the folder around all.

    :ivar environment: with a keychain of its own.
    """

    def __init__(self, home: Path, held: ExitStack) -> None:
        super().__init__(home / "raic")
        self.home = home
        self.endpoint = moto_endpoint()
        keychain = held.enter_context(secret_service())
        self.environment = {
            **keychain.environment,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.SecretService.Keyring",
            "HOME": str(home),
            "COLUMNS": "200",
            "PATH": f"{Path(installed('raic')).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.environment["RAIC_CLOUD_ACCESS_KEY_ID"] = self.endpoint.access_key_id
        self.environment["RAIC_CLOUD_SECRET_ACCESS_KEY"] = self.endpoint.secret_access_key
        self.environment["RAIC_CREDENTIALS_PASSPHRASE"] = PASSPHRASE
        self._others = count()
        folders = {f"provider:{name}": {"type": "filesystem", "path": name} for name in _FOLDERS}
        self.configure(
            {
                "node": {"web.port": str(free_port())},
                "storage": {"backend": "array:clouds"},
                "array:clouds": {"providers": ", ".join(_FOLDERS), "needed": "2", "happy": "3"},
                **folders,
                "provider:loft": {"type": "filesystem", "path": "loft"},
                "provider:aws": self._cloud(),
            }
        )
        cloud = "\n".join(f"{key} = {value}" for key, value in self._cloud().items())
        config = self.folder / "raic.cfg"
        disk = r"\n\[provider:disk\][^\[]*"
        config.write_text(re.sub(disk, "\n", config.read_text()))
        (home / "cloud.cfg").write_text(f"[provider:cloud]\n{cloud}\n")
        (home / "where.cfg").write_text(
            f"[storage]\nbackend=provider:cloud\n[provider:cloud]\n{cloud}\n"
        )
        (home / "passphrase").write_text(PASSPHRASE)
        tahoe = TahoeStorageNode(home / ".tahoe")
        tahoe.start()  # which makes its keys
        tahoe.stop()

    def _cloud(self) -> Mapping[str, str]:
        container = self.endpoint.make_container()
        return {"type": "s3", "container": container, "endpoint_url": self.endpoint.url}

    def begin(self) -> None:
        """Start it, and return at once."""
        self.program = Program(
            [installed("raic"), "run", self.folder], self.log(), self.environment
        )

    def store(self) -> None:
        """Have it hold something."""
        with ThinHTTPClient(Address.from_nurl(nurl_of(self.servers_yaml()))) as client:
            client.upload(INDEX, 0, bytes(5000))

    def type(self, words: Sequence[str]) -> tuple[int, str]:
        """Run a ``raic`` command to its end, on a terminal, with an answer to what it asks.

        :return: its exit code, and what it printed.
        """
        shown, code = pexpect.run(
            shlex.join([installed("raic"), *words]),
            timeout=SECONDS,
            withexitstatus=True,
            events=dict(_ANSWERS),
            cwd=str(self.home),
            env={**clean_environment(), **self.environment, "TERM": "dumb"},
            encoding="utf-8",
        )
        return int(code), str(shown).replace("\r\n", "\n")

    def ask(self, words: Sequence[str]) -> tuple[int, str]:
        """Run a ``raic`` command as a program does; its exit code and its standard output."""
        done = subprocess.run(
            [installed("raic"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS,
            cwd=self.home,
            env=clean_environment() | self.environment,
            check=False,
        )
        return done.returncode, done.stdout

    def meant(self, words: Sequence[str]) -> list[str]:
        """The words of a shown command with what they stand for here."""
        option, found = "", list[str]()
        for word in words:
            found.append(self._meant(word, option, words))
            option = word
        if words[0] in ("create-node", "adopt") or words[:2] == ["identity", "import"]:
            made = str(self.home / f"made{next(self._others)}")
            found = [made if word == str(self.folder) else word for word in found]
        return found

    def _meant(self, word: str, option: str, words: Sequence[str]) -> str:
        usual = {
            "NODEDIR": str(self.folder),
            "NODEDIR|NURL": str(self.folder),
            "NURL": nurl_of(self.servers_yaml()),
            "raic-node": str(self.folder),
            "TAHOE_NODEDIR": str(self.home / ".tahoe"),
            "TAHOE_STORAGE_DIR": str(self.home / "exported"),
            "SI": encode_index(INDEX),
            "N": "5",
            "SECONDS": "20",
            "TIME": "2s",
            "20s": "2s",
            "OLD": "shed",
            "NEW": "loft",
            "NAME:KEY=VALUE,": "attic:storage=1",
            "TEXT": {"--prefix": "o", "--backend": "provider:cloud"}.get(option, "a reason"),
            "FILE": "passphrase" if option == "--passphrase-file" else "attic.identity",
            "NAME": {"add": "loft", "drain": "shed", "--lose": "barn"}.get(option, "aws"),
        }
        word = re.sub(r"^/srv/raic\b", str(self.folder), word)
        word = re.sub(r"^~", str(self.home), word)
        return usual.get(word, word)
