"""A node's identity in one file that a passphrase opens: what cannot be made anew.

The file is JSON: ``format``, the parameters of scrypt (``cost``, ``salt``), ``nonce``, and
``sealed``: more JSON, under AES-256-GCM with the key that scrypt makes of the passphrase.
Specified in ``docs/specifications/identity.rst``.
"""

from __future__ import annotations

import json
import os
import shutil
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Any

from attrs import field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from raic.config.creating import cannot_make, refuse_taken
from raic.config.credentials import Secret
from raic.config.credentials.sealedfile import FILE_NAME as CREDENTIALS_NAME
from raic.config.files import sync_directory, write_new_file
from raic.config.identity import load_identity
from raic.config.loading import CONFIG_NAME, load_servers
from raic.config.model import Config
from raic.errors import IdentityError

FORMAT = "RAIC identity 1"
COST = 2**17
"""Of scrypt: 128 MiB and about half a second for each guess, and for each opening."""

MAX_COST = 2**20
MAX_FILE_BYTES = 16 * 1024 * 1024
SEQUENCE = "announcement.seqnum"

_SALT_BYTES = 16
_NONCE_BYTES = 12
_PRIVATE = "private"

Secrets = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Secrets by server (as in :meth:`PortableIdentity.servers`), provider and field."""


@frozen
class PortableIdentity:
    """What is in the file.

    :ivar files: their contents, by path below the node directory.
    :ivar created: when they were gathered.
    :ivar left_out: files outside the node directory that ``raic.cfg`` names; they are not there.
    """

    files: Mapping[str, bytes] = field(repr=False)
    created: int
    secrets: Secrets = field(factory=dict, repr=False)
    left_out: tuple[str, ...] = ()

    def servers(self) -> list[str]:
        """Where below the node directory the directories of its servers are; ``.`` for the only
        one.
        """
        found = [PurePosixPath(name) for name in self.files]
        return sorted({str(each.parent.parent) for each in found if each.name == "node.privkey"})


def gather_identity(directory: Path, secrets: Secrets, now: int) -> PortableIdentity:
    """Read what a node cannot make anew: its keys, and what its configuration needs.

    :param secrets: of the providers.
    :raises ConfigurationError: the configuration has mistakes.
    :raises IdentityError: a file is missing or unusable.
    """
    configs = load_servers(directory)
    files: dict[str, bytes] = {}
    left_out = []
    for config in configs:
        load_identity(config.private)
    for path in _wanted(directory, configs):
        if not path.is_relative_to(directory):
            left_out.append(str(path))
            continue
        try:
            files[path.relative_to(directory).as_posix()] = path.read_bytes()
        except OSError as error:
            raise IdentityError(f"{path} cannot be read: {error.strerror}") from error
    return PortableIdentity(files, now, secrets, tuple(left_out))


def _wanted(directory: Path, configs: tuple[Config, ...]) -> Iterator[Path]:
    yield directory / CONFIG_NAME
    privates = dict.fromkeys([directory / _PRIVATE, *(config.private for config in configs)])
    for private in privates:
        for path in sorted(private.iterdir()) if private.is_dir() else ():
            if path.is_file() and path.name != CREDENTIALS_NAME:
                yield path
    first = configs[0]
    for path in first.certificate_files:
        yield path
    for keys in (first.onion, first.i2p):
        if keys is not None:
            yield keys.key_file


def seal_identity(identity: PortableIdentity, passphrase: Secret, cost: int | None = None) -> bytes:
    """The file's bytes.

    :param cost: of scrypt; None for ``COST``.
    """
    cost = cost or COST
    plain = json.dumps(
        {
            "created": identity.created,
            "files": {name: _encoded(data) for name, data in identity.files.items()},
            "credentials": identity.secrets,
        }
    )
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    key = _key(passphrase, salt, cost)
    sealed = AESGCM(key).encrypt(nonce, plain.encode(), FORMAT.encode())
    encoded = {"salt": salt, "nonce": nonce, "sealed": sealed}
    header = {"format": FORMAT, "cost": cost} | {
        name: _encoded(data) for name, data in encoded.items()
    }
    return json.dumps(header, indent=1).encode() + b"\n"


def open_identity(data: bytes, passphrase: Secret) -> PortableIdentity:
    """What the bytes of a file hold.

    :raises IdentityError: they are not those of such a file, or the passphrase is not its.
    """
    try:
        header = json.loads(data)
        cost = int(header["cost"])
        salt, nonce, sealed = (_decoded(header[name]) for name in ("salt", "nonce", "sealed"))
        if header["format"] != FORMAT or not 1 < cost <= MAX_COST or cost & (cost - 1):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise _unusable("it is not a file made by 'raic identity export'") from None
    try:
        plain = AESGCM(_key(passphrase, salt, cost)).decrypt(nonce, sealed, FORMAT.encode())
        said = json.loads(plain)
        files = {str(name): _decoded(text) for name, text in said["files"].items()}
        found = PortableIdentity(files, int(said["created"]), said["credentials"])
    except InvalidTag:
        raise _unusable("the passphrase is wrong, or the file was altered") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _unusable("a RAIC unknown to this one made it") from None
    _check_names(found)
    return found


def put_identity(identity: PortableIdentity, path: Path, now: int) -> bool:
    """Make a node directory of it, unless that very node is there.

    Announcements go on with higher numbers than any before: those of clients count starts, this
    begins with the time.

    :param now: the current time.
    :return: whether it was made.
    :raises IdentityError: there is something else, or it cannot be made.
    """
    if (path / CONFIG_NAME).exists():
        _refuse_another(identity, path)
        return False
    refuse_taken(path)
    aside = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(aside, identity, now)
        # Onto an empty directory this succeeds; onto one that is in use it fails.
        aside.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise cannot_make(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def _fill(aside: Path, identity: PortableIdentity, now: int) -> None:
    os.mkdir(aside, 0o700)
    files = dict(identity.files)
    for server in identity.servers():
        name = (PurePosixPath(server) / _PRIVATE / SEQUENCE).as_posix()
        files[name] = b"%d\n" % max(now, _number(files.get(name, b"")))
    folders = {aside}
    for name, data in files.items():
        target = aside / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new_file(target, data, 0o644 if name == CONFIG_NAME else 0o600)
        folders.add(target.parent)
    for server in identity.servers():
        load_identity(aside / server / _PRIVATE)
    for folder in folders:
        sync_directory(folder)


def _refuse_another(identity: PortableIdentity, path: Path) -> None:
    for server in identity.servers():
        name = PurePosixPath(server) / _PRIVATE / "node.privkey"
        if (path / name).exists() and (path / name).read_bytes() == identity.files[str(name)]:
            continue
        error = IdentityError(f"{path} holds another node already; nothing was changed")
        error.remedy = "name another directory"
        raise error


def _check_names(identity: PortableIdentity) -> None:
    """A name that leads out of the directory was not written by a node."""
    paths = [PurePosixPath(name) for name in identity.files]
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        raise _unusable("it names files outside of a node directory")
    if CONFIG_NAME not in identity.files or not identity.servers():
        raise _unusable("it does not hold a node")


def _number(text: bytes) -> int:
    return int(text) if text.strip().isdigit() else 0


def _key(passphrase: Secret, salt: bytes, cost: int) -> bytes:
    kdf = Scrypt(salt=salt, length=32, n=cost, r=8, p=1)
    return kdf.derive(passphrase.reveal().encode())


def _encoded(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _decoded(text: Any) -> bytes:
    return b64decode(text, validate=True)


def _unusable(problem: str) -> IdentityError:
    error = IdentityError(f"the identity cannot be read: {problem}")
    error.remedy = "check the passphrase and that this is the right file; or use another copy of it"
    return error
