"""The node directory of a Tahoe storage node, and the one that takes its place."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ParserError
from pathlib import Path
from secrets import token_hex

from attrs import field, frozen
from cryptography.x509 import load_pem_x509_certificate

from raic.config.creating import cannot_make, refuse_taken
from raic.config.files import base32, sync_directory, write_new_file
from raic.config.identity import (
    Identity,
    certificate_hash,
    load_identity,
    new_identity_files,
    signing_key_in,
)
from raic.config.loading import CONFIG_NAME, load_config, parse_config
from raic.config.reading import read_text
from raic.config.schema import ANY, keys_of
from raic.errors import ConfigurationError, IdentityError, OperationRefused

_NEW_KEYS = ("seal.key", "tag.key", "array.key")
_CARRIED = ("storage", "node", "client", "tor", "i2p", "connections", "grid_manager_certificates")
_FILES = (("tor", "onion.private_key_file"), ("i2p", "dest.private_key_file"))
_CERTIFICATES = "grid_manager_certificates"
_PID_FILES = ("running.process", "twistd.pid")
_TCP_PORT = re.compile(r"(?:tcp:)?(?P<port>[0-9]+)(?::interface=(?P<interface>[0-9.]+))?")
_WEB = "the web interface was the client's"

Sections = dict[str, dict[str, str]]


@frozen
class TahoeNode:
    """What is taken over from a Tahoe node.

    :ivar storage: its storage folder.
    :ivar config_text: the ``raic.cfg`` for it.
    :ivar files: others of the new node directory, by their names relative to it.
    :ivar dropped: what of ``tahoe.cfg`` has no place in it, and why.
    """

    directory: Path
    storage: Path
    config_text: str
    files: Mapping[str, bytes] = field(repr=False)
    dropped: tuple[str, ...]


def read_tahoe_node(directory: Path, instead: str = "", backend: str = "") -> TahoeNode:
    """Read the keys and the configuration of a Tahoe node.

    :param instead: text in the form of ``raic.cfg``, whose keys take the place of the same ones of
        ``tahoe.cfg``; it says where the shares go.
    :param backend: what to write for ``[storage] backend``; empty for what ``instead`` says.
    :raises ConfigurationError: ``tahoe.cfg`` or ``instead`` cannot be used.
    :raises IdentityError: a key is missing.
    """
    theirs = _read_sections(directory)
    sections, dropped = _carried(theirs)
    _fill_address(directory, sections)
    if backend:
        sections.setdefault("storage", {})["backend"] = backend
    _put_instead(sections, instead, keep_backend=bool(backend))
    storage = directory / Path(theirs.get("storage", {}).get("storage_dir", "storage")).expanduser()
    files = {**_identity_files(directory, storage), **_other_files(directory, theirs, sections)}
    return TahoeNode(directory, storage, _config_text(sections), files, tuple(dropped))


def raise_if_running(directory: Path) -> None:
    """Do nothing if no process runs a Tahoe node.

    :raises OperationRefused: one does, or something has its port.
    """
    for name in _PID_FILES:
        pid = _pid_in(directory / name)
        if pid is not None and _is_alive(pid):
            raise OperationRefused(
                f"process {pid} runs the Tahoe node in {directory}, says {directory / name}",
                f"stop it with 'tahoe stop' or its service manager; if it is another program's"
                f" number by now, remove {directory / name}",
            )
    sections: Sections = {}
    if (directory / "tahoe.cfg").exists():
        sections = {"node": _read_sections(directory).get("node", {})}
        _fill_address(directory, sections)
    for port in sections.get("node", {}).get("tub.port", "").split(","):
        found = _TCP_PORT.fullmatch(port.strip())
        if found and not _is_free(found["interface"] or "", int(found["port"])):
            raise OperationRefused(
                f"something listens on {port.strip()}, the port of the Tahoe node in {directory}",
                "stop it: two servers of one identity would destroy each other's shares",
            )


def create_from_tahoe(path: Path, node: TahoeNode, now: int) -> None:
    """Make the node directory, unless it is there.

    :param now: the current time.
    :raises ConfigurationError: the ``raic.cfg`` would have mistakes.
    :raises IdentityError: there is another node or something else, or it cannot be made.
    """
    if (path / CONFIG_NAME).exists():
        _refuse_another(path, node)
        return
    refuse_taken(path)
    aside = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(aside, node, now)
        aside.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise cannot_make(path, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    load_config(path)


def _fill(aside: Path, node: TahoeNode, now: int) -> None:
    os.mkdir(aside, 0o700)
    os.mkdir(aside / "private", 0o700)
    fresh = new_identity_files(now, ())
    files = {**node.files, **{f"private/{name}": fresh[name] for name in _NEW_KEYS}}
    for name, data in files.items():
        (aside / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new_file(aside / name, data)
    write_new_file(aside / CONFIG_NAME, node.config_text.encode(), 0o644)
    parse_config(aside, node.config_text)
    load_identity(aside / "private")
    sync_directory(aside / "private")
    sync_directory(aside)


def _refuse_another(path: Path, node: TahoeNode) -> None:
    mine = load_identity(path / "private")
    if not _is_of(mine, node):
        error = IdentityError(f"{path} holds another node already; nothing was changed")
        error.remedy = "name another directory"
        raise error


def _is_of(identity: Identity, node: TahoeNode) -> bool:
    same_pem = identity.pem == node.files["private/node.pem"]
    key = signing_key_in(node.files["private/node.privkey"])
    return same_pem and identity.signing_key.private_bytes_raw() == key.private_bytes_raw()


# tahoe.cfg


def _read_sections(directory: Path) -> Sections:
    path = directory / "tahoe.cfg"
    parser = ConfigParser(strict=False)
    try:
        parser.read_string(path.read_text("utf-8").removeprefix("\ufeff"))
        return {name: dict(parser.items(name)) for name in parser.sections()}
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read: {error.strerror}"]) from error
    except (ParserError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: {error}"]) from None


def _carried(theirs: Sections) -> tuple[Sections, list[str]]:
    """What can stand in ``raic.cfg``, and what cannot."""
    sections: Sections = {}
    dropped = []
    for section, entries in theirs.items():
        known = keys_of(section)
        for name, value in entries.items():
            key = known.get(name) or known.get(ANY)
            if section not in _CARRIED:
                reason = "it is about another part of Tahoe"
            elif key is None:
                reason = "it is not known"
            elif (section, name) == ("storage", "storage_dir"):
                continue
            else:
                reason = _WEB if (section, name) == ("node", "web.port") else key.refused
            if reason:
                dropped.append(f"[{section}] {name}: {reason}")
            else:
                sections.setdefault(section, {})[name] = value
    return sections, dropped


def _fill_address(directory: Path, sections: Sections) -> None:
    """Write down what Tahoe assumes."""
    node = sections.setdefault("node", {})
    if not node.get("tub.port"):
        try:
            node["tub.port"] = (directory / "client.port").read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return
    if not node.get("tub.location"):
        node["tub.location"] = "AUTO"


def _put_instead(sections: Sections, instead: str, *, keep_backend: bool) -> None:
    text = read_text(instead)
    problems = [f"--config, line {line}: {problem}" for line, problem in text.problems]
    problems += [
        f"--config, line {line}: [{name}]: a Tahoe node becomes one server: remove the section"
        for name, line in text.sections.items()
        if name.startswith("server:")
    ]
    if problems:
        raise ConfigurationError(problems)
    for name in text.sections:
        sections.setdefault(name, {})
    for entry in text.entries.values():
        if not (keep_backend and (entry.section, entry.key) == ("storage", "backend")):
            sections[entry.section][entry.key] = entry.value
    if not any(name.startswith(("provider:", "array:")) for name in sections):
        sections.setdefault("storage", {}).setdefault("backend", "provider:disk")
        sections["provider:disk"] = {"type": "filesystem", "path": "storage"}


def _config_text(sections: Sections) -> str:
    parts = [
        "# The configuration of a RAIC storage node, made of a Tahoe node's.  Every key is\n"
        "# described in docs/configuration.rst.\n"
    ]
    for name, entries in sections.items():
        lines = [f"{key} = {_on_lines(value)}\n" for key, value in entries.items()]
        parts.append(f"\n[{name}]\n" + "".join(lines))
    return "".join(parts)


def _on_lines(value: str) -> str:
    return value.strip().replace("\n", "\n    ")


# Other files


def _identity_files(directory: Path, storage: Path) -> dict[str, bytes]:
    names = ("node.pem", "node.privkey", "storage.furl")
    files = {f"private/{name}": _read(directory / "private" / name) for name in names}
    files["private/permutation-seed"] = _permutation_seed(directory, storage, files) + b"\n"
    return files


def _permutation_seed(directory: Path, storage: Path, files: Mapping[str, bytes]) -> bytes:
    """What Tahoe announces: what it wrote down, or what it would."""
    try:
        return (directory / "permutation-seed").read_bytes().strip()
    except FileNotFoundError:
        pass
    shares = storage / "shares"
    if shares.is_dir() and any(each.name != "incoming" for each in shares.iterdir()):
        try:
            certificate = load_pem_x509_certificate(files["private/node.pem"])
        except ValueError as error:
            raise IdentityError("private/node.pem does not hold a certificate") from error
        return base32(certificate_hash(certificate)).encode("ascii")
    key = signing_key_in(files["private/node.privkey"])
    return base32(key.public_key().public_bytes_raw()).encode("ascii")


def _other_files(directory: Path, theirs: Sections, sections: Sections) -> dict[str, bytes]:
    """What else belongs to a node; keys that name files are made to name the copies."""
    files = {}
    introducers = directory / "private" / "introducers.yaml"
    if introducers.exists():
        files["private/introducers.yaml"] = _read(introducers)
    number = directory / "announcement-seqnum"
    if number.exists():
        # clients ignore announcements that are not newer than what they know
        files["private/announcement.seqnum"] = _read(number)
    for section, key, name in _named_files(theirs, sections):
        copy = f"private/{section}-{Path(name).name}"
        files[copy] = _read(directory / Path(name).expanduser())
        sections[section][key] = copy
    return files


def _named_files(theirs: Sections, sections: Sections) -> Iterator[tuple[str, str, str]]:
    for section, key in _FILES:
        name = theirs.get(section, {}).get(key)
        if name and sections.get(section, {}).get(key) == name:
            yield section, key, name
    for key, name in theirs.get(_CERTIFICATES, {}).items():
        if sections.get(_CERTIFICATES, {}).get(key) == name:
            yield _CERTIFICATES, key, name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = IdentityError(f"{path} cannot be read: {error.strerror}")
        problem.remedy = "name the directory of a Tahoe storage node that has run at least once"
        raise problem from error


# Whether it runs


def _pid_in(path: Path) -> int | None:
    """The process that a file names; Tahoe 1.19 writes when it began, too."""
    try:
        return int(path.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_free(interface: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((interface, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
