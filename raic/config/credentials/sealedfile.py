"""Secrets in a file that a passphrase opens, for machines without a keychain.

The file is JSON: ``format``, the parameters of scrypt (``cost``, ``salt``), ``nonce``, and
``sealed``: the secrets, as JSON, under AES-256-GCM with the key that scrypt makes of the
passphrase.  Salt and nonce are new with each change.
"""

from __future__ import annotations

import fcntl
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from raic.config.credentials.secret import Secret
from raic.config.credentials.sources import SystemdSource, checked
from raic.config.credentials.wanted import Wanted
from raic.config.files import replace_file
from raic.errors import CredentialsUnusable

FILE_NAME = "credentials.sealed"
FORMAT = "RAIC credentials 1"

PASSPHRASE_VARIABLE = "RAIC_CREDENTIALS_PASSPHRASE"  # noqa: S105 - its name, not its value
PASSPHRASE_CREDENTIAL = "credentials.passphrase"  # noqa: S105 - its name, not its value

COST = 2**16
"""Of scrypt: 64 MiB and about a quarter of a second for each guess, and for each opening."""

MAX_COST = 2**18
_SALT_BYTES = 16
_NONCE_BYTES = 12

_AGAIN = (
    "check the passphrase; if it is lost, remove the file and run 'raic credentials set' for each"
    " provider"
)
_PASSPHRASE = (
    f"give it in the systemd credential {PASSPHRASE_CREDENTIAL} or in the environment as"
    f" {PASSPHRASE_VARIABLE}"
)

Contents = dict[str, dict[str, str]]
"""Secrets by provider and field."""


def find_passphrase(environment: Mapping[str, str]) -> Secret | None:
    """The passphrase that systemd or the environment holds; None where neither does.

    :raises CredentialsUnusable: what is there cannot be used.
    """
    given = SystemdSource(environment).read_one(PASSPHRASE_CREDENTIAL)
    return given or checked(PASSPHRASE_VARIABLE, environment.get(PASSPHRASE_VARIABLE, ""))


class SealedFileSource:
    """The encrypted file of a node.

    :param passphrase: asked whenever the file is opened or written; None for "not known".
    """

    kind = "file"

    def __init__(
        self, path: Path, passphrase: Callable[[], Secret | None], cost: int = COST
    ) -> None:
        self.path = path
        self._passphrase = passphrase
        self._cost = cost

    def describe(self) -> str:
        """See :class:`~raic.config.credentials.sources.Source`."""
        return f"encrypted file ({self.path}{'' if self.path.exists() else ', not made yet'})"

    def read(self, wanted: Wanted) -> Mapping[str, Secret]:
        """See :class:`~raic.config.credentials.sources.Source`."""
        found = {}
        for name, text in self._open().get(wanted.provider, {}).items():
            secret = checked(f"{wanted.provider}.{name} in {self.path}", text)
            if secret is not None:
                found[name] = secret
        return found

    def store(self, wanted: Wanted, secrets: Mapping[str, Secret]) -> str:
        """Keep these secrets of a provider, and forget its others; all or nothing.

        :return: where they are now.
        :raises CredentialsUnusable: that could not be done; nothing was changed.
        """
        with self._alone():
            contents = self._open()
            contents[wanted.provider] = {name: each.reveal() for name, each in secrets.items()}
            self._write(contents)
            if self.read(wanted) != secrets:
                raise self._unusable("it does not hold what was written", "check the disk")
        return self.describe()

    def forget(self, wanted: Wanted) -> bool:
        """Delete every secret of a provider; returns whether there was any.

        :raises CredentialsUnusable: that could not be done; nothing was changed.
        """
        if not self.path.exists():
            return False
        with self._alone():
            contents = self._open()
            if contents.pop(wanted.provider, None) is None:
                return False
            self._write(contents)
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other writers out: each writes the whole file."""
        try:
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._cannot("written", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _open(self) -> Contents:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._cannot("read", error) from error
        try:
            return self._unsealed(json.loads(data))
        except InvalidTag:
            raise self._unusable(
                "the passphrase is wrong, or the file was altered", _AGAIN
            ) from None
        except (ValueError, KeyError, TypeError):
            raise self._unusable("it is not a file of credentials", _AGAIN) from None

    def _unsealed(self, header: Mapping[str, Any]) -> Contents:
        cost, salt, nonce, sealed = (
            int(header["cost"]),
            *(b64decode(header[name], validate=True) for name in ("salt", "nonce", "sealed")),
        )
        if header["format"] != FORMAT or not 1 < cost <= MAX_COST:
            raise ValueError
        opened = AESGCM(self._key(salt, cost)).decrypt(nonce, sealed, FORMAT.encode())
        contents: Contents = json.loads(opened)
        return contents

    def _write(self, contents: Contents) -> None:
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        plain = json.dumps(contents).encode()
        sealed = AESGCM(self._key(salt, self._cost)).encrypt(nonce, plain, FORMAT.encode())
        encoded = {"salt": salt, "nonce": nonce, "sealed": sealed}
        header = {"format": FORMAT, "cost": self._cost} | {
            name: b64encode(data).decode("ascii") for name, data in encoded.items()
        }
        try:
            replace_file(self.path, json.dumps(header, indent=1).encode() + b"\n")
        except OSError as error:
            raise self._cannot("written", error) from error

    def _key(self, salt: bytes, cost: int) -> bytes:
        passphrase = self._passphrase()
        if passphrase is None:
            raise self._unusable("its passphrase is not known", _PASSPHRASE)
        kdf = Scrypt(salt=salt, length=32, n=cost, r=8, p=1)
        return kdf.derive(passphrase.reveal().encode())

    def _cannot(self, what: str, error: OSError) -> CredentialsUnusable:
        return self._unusable(
            f"it cannot be {what}: {error.strerror}", "check its owner and that of its folder"
        )

    def _unusable(self, problem: str, remedy: str) -> CredentialsUnusable:
        return CredentialsUnusable(f"{self.path}: {problem}", remedy)
