"""The files under ``private/``."""

from __future__ import annotations

import stat
from datetime import datetime, timezone
from pathlib import Path

from raic.assembly.checks.findings import Finding, error, good, warning
from raic.config.credentials.sealedfile import FILE_NAME
from raic.config.identity import Identity
from raic.errors import IdentityError

KEPT = ("node.pem", "node.privkey", "storage.furl", "permutation-seed", "seal.key", "tag.key")
"""What makes a node the one that it is, and can only come from a backup."""

WRITTEN = ("array.key", "storage.nurl", "servers.yaml", "introducers.yaml", FILE_NAME)
"""What is no less secret, but need not be there."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_files(private: Path) -> list[Finding]:
    """Whether every file is there, and nobody else can read it."""
    if not private.is_dir():
        return [error("private/", f"there is no directory {private}", IdentityError.remedy)]
    findings = [each for name in KEPT if (each := _file(private / name)) is not None]
    for name in WRITTEN:
        if (private / name).exists() and (each := _file(private / name)) is not None:
            findings.append(each)
    if private.stat().st_mode & _OTHERS:
        text = f"other users can look into {private}"
        findings.append(warning("private/", text, f"chmod 700 {private}"))
    return findings or [good("private/", f"all {len(KEPT)} files are there, for this user alone")]


def _file(path: Path) -> Finding | None:
    subject = f"private/{path.name}"
    try:
        mode = path.stat().st_mode
        with path.open("rb"):
            pass
    except FileNotFoundError:
        return error(subject, f"there is no file {path}", IdentityError.remedy)
    except OSError as problem:
        remedy = "run this as the node's own user, or make that user the owner"
        return error(subject, f"{path} cannot be read: {problem.strerror}", remedy)
    if mode & _OTHERS:
        shown = f"{stat.S_IMODE(mode):o}"
        return error(subject, f"other users may use it: its mode is {shown}", f"chmod 600 {path}")
    return None


def check_identity(private: Path, loaded: Identity | IdentityError, now: float) -> list[Finding]:
    """Whether the files belong together, and when the certificate holds.

    :param loaded: what :func:`raic.config.identity.load_identity` returned or raised.
    """
    if isinstance(loaded, IdentityError):
        if any(not (private / name).exists() for name in KEPT):
            return []  # which was said already
        return [error("identity", str(loaded), loaded.remedy)]
    findings = [good("identity", f"the keys belong together: server id {loaded.server_id}")]
    return [*findings, _certificate(loaded, datetime.fromtimestamp(now, timezone.utc))]


def _certificate(identity: Identity, now: datetime) -> Finding:
    begin = identity.certificate.not_valid_before_utc
    end = identity.certificate.not_valid_after_utc
    subject = "certificate"
    if now < begin:
        text = f"it holds from {begin:%F %T} UTC only, and here it is {now:%F %T} UTC"
        return error(subject, text, "set this machine's clock: timedatectl set-ntp true")
    if now > end:
        text = f"it expired on {end:%F}: clients that look at more than its hash turn away"
        remedy = "check this machine's clock; if it is right, keep the certificate, which is the"
        return warning(subject, text, f"{remedy} node's identity, unless clients complain")
    return good(subject, f"its key is the one beside it; it holds until {end:%F}")
