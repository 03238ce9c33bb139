"""Who the node is: the keys under ``private/``, and the addresses made of them.

======================  ==========================================================================
``node.pem``            RSA key and self-signed certificate, for TLS in both dialects
``node.privkey``        Ed25519 key that signs announcements: ``priv-v0-`` and base32
``storage.furl``        the Foolscap address; the swissnum is kept nowhere else
``permutation-seed``    where clients look for this node's shares first
``seal.key``            seals the secrets in objects: ``raic-seal-1`` and base32
``tag.key``             tags the blocks of objects: ``raic-tag-1`` and base32
``array.key``           tags the fragments of arrays: ``raic-array-1`` and base32
``storage.nurl``        the HTTP addresses, one per line; written anew from the above
``servers.yaml``        for clients without an introducer; written anew from the above
======================  ==========================================================================
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha1, sha256
from pathlib import Path

from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import Certificate, load_pem_x509_certificate

from raic.config.certificate import make_certificate
from raic.config.files import base32, unbase32
from raic.errors import IdentityError

SEAL_PREFIX = "raic-seal-1 "
TAG_PREFIX = "raic-tag-1 "
ARRAY_PREFIX = "raic-array-1 "
SIGNING_PREFIX = "priv-v0-"
KEY_BYTES = 32
SWISSNUM_BYTES = 20

_FURL = re.compile(r"pb://(?P<tub>[a-z2-7]{32})@(?P<hints>[^/]*)/(?P<swissnum>[A-Za-z0-9._~-]+)")


@frozen
class Identity:
    """A node's keys and names.

    :ivar pem: certificate and private key, as ``node.pem`` has them.
    :ivar swissnum: knowing it is the right to use the storage service.
    :ivar permutation_seed: base32, as it is announced.
    :ivar seal_key: 32 bytes, for :class:`raic.shares.sealing.Sealer`.
    :ivar tag_key: 32 bytes, for the tagging layer.
    :ivar array_key: 32 bytes, for fragments; None in a node that was made before there were any.
    """

    pem: bytes = field(repr=False)
    certificate: Certificate
    signing_key: Ed25519PrivateKey = field(repr=False)
    swissnum: str = field(repr=False)
    permutation_seed: str
    seal_key: bytes = field(repr=False)
    tag_key: bytes = field(repr=False)
    array_key: bytes | None = field(repr=False)

    @property
    def nodeid(self) -> bytes:
        """The tub id's 20 bytes: the SHA-1 of the certificate.

        Clients derive lease secrets and write enablers from it, so it must never change.
        """
        return certificate_hash(self.certificate)

    @property
    def tub_id(self) -> str:
        """The tub id as it stands in FURLs: 32 characters of base32."""
        return base32(self.nodeid)

    @property
    def spki_hash(self) -> str:
        """What an HTTP client knows the certificate by: 43 characters of URL-safe base64."""
        spki = self.certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return urlsafe_b64encode(sha256(spki).digest()).decode("ascii").rstrip("=")

    @property
    def server_id(self) -> str:
        """The node's public name: ``v0-`` and 52 characters of base32."""
        return "v0-" + base32(self.signing_key.public_key().public_bytes_raw())


def new_identity_files(now: int, hints: tuple[str, ...]) -> Mapping[str, bytes]:
    """The files of a new identity, by their names under ``private/``.

    :param now: the second from which the certificate is valid.
    :param hints: where clients reach the node, as in ``tcp:127.0.0.1:3457``.
    """
    pem = make_certificate(now)
    signing_key = Ed25519PrivateKey.generate()
    tub_id = base32(certificate_hash(load_pem_x509_certificate(pem)))
    swissnum = base32(os.urandom(SWISSNUM_BYTES))
    lines = {
        "node.privkey": SIGNING_PREFIX + base32(signing_key.private_bytes_raw()),
        "storage.furl": make_furl(tub_id, hints, swissnum),
        "permutation-seed": base32(signing_key.public_key().public_bytes_raw()),
        "seal.key": SEAL_PREFIX + base32(os.urandom(KEY_BYTES)),
        "tag.key": TAG_PREFIX + base32(os.urandom(KEY_BYTES)),
        "array.key": new_array_key(),
    }
    return {"node.pem": pem, **{name: f"{line}\n".encode() for name, line in lines.items()}}


def new_array_key() -> str:
    """What a new ``array.key`` holds."""
    return ARRAY_PREFIX + base32(os.urandom(KEY_BYTES))


def signing_key_in(text: bytes) -> Ed25519PrivateKey:
    """The key in what a ``node.privkey`` holds.

    :raises IdentityError: there is none.
    """
    line = text.decode("ascii", "replace").strip()
    return Ed25519PrivateKey.from_private_bytes(_parsed_key("node.privkey", line, SIGNING_PREFIX))


def certificate_hash(certificate: Certificate) -> bytes:
    """The SHA-1 of the whole certificate.

    Foolscap defined it so; the certificate itself is protected by its signature.
    """
    return sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest()


def make_furl(tub_id: str, hints: tuple[str, ...], swissnum: str) -> str:
    """The Foolscap address."""
    return f"pb://{tub_id}@{','.join(hints)}/{swissnum}"


def load_identity(private: Path) -> Identity:
    """The identity that lies in the directory ``private``.

    :raises IdentityError: a file is missing, unreadable or not in its form, or the FURL is not
        that of the certificate.  Nothing is ever made anew here: a node with another identity
        would be a stranger to its own clients and objects.
    """
    pem = _read(private / "node.pem")
    identity = Identity(
        pem=pem,
        certificate=_certificate(private / "node.pem", pem),
        signing_key=Ed25519PrivateKey.from_private_bytes(
            _key(private / "node.privkey", SIGNING_PREFIX)
        ),
        swissnum=_furl(private / "storage.furl")["swissnum"],
        permutation_seed=_seed(private / "permutation-seed"),
        seal_key=_key(private / "seal.key", SEAL_PREFIX),
        tag_key=_key(private / "tag.key", TAG_PREFIX),
        array_key=_array_key(private / "array.key"),
    )
    if _furl(private / "storage.furl")["tub"] != identity.tub_id:
        raise IdentityError(
            f"{private / 'storage.furl'} and {private / 'node.pem'} are of two different nodes"
        )
    return identity


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror}") from error


def _line(path: Path) -> str:
    try:
        return _read(path).decode("ascii").strip()
    except UnicodeDecodeError:
        raise IdentityError(f"{path} is not text") from None


def _certificate(path: Path, pem: bytes) -> Certificate:
    try:
        certificate = load_pem_x509_certificate(pem)
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"{path} does not hold a certificate and its private key") from error
    if key.public_key() != certificate.public_key():
        raise IdentityError(f"the certificate in {path} is not that of the key in it")
    return certificate


def _key(path: Path, prefix: str) -> bytes:
    return _parsed_key(str(path), _line(path), prefix)


def _parsed_key(name: str, line: str, prefix: str) -> bytes:
    try:
        key = unbase32(line.removeprefix(prefix))
    except ValueError:
        key = b""
    if not line.startswith(prefix) or len(key) != KEY_BYTES:
        raise IdentityError(f"{name} is not {prefix!r} followed by 52 base32 characters")
    return key


def _array_key(path: Path) -> bytes | None:
    return _key(path, ARRAY_PREFIX) if path.exists() else None


def _seed(path: Path) -> str:
    seed = _line(path)
    try:
        good = bool(unbase32(seed))
    except ValueError:
        good = False
    if not good:
        raise IdentityError(f"{path} is not base32")
    return seed


def _furl(path: Path) -> re.Match[str]:
    found = _FURL.fullmatch(_line(path))
    if found is None:
        raise IdentityError(f"{path} is not pb://TUBID@LOCATION/SWISSNUM")
    return found
