"""Programs and libraries that npm fetches once into the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.services.programs import need

INSTALL_SECONDS = 300.0


def npm_package(name: str, version: str) -> Path:
    """The folder of a package, installed if it was not yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "raic-tests" / f"{name}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(folder, f"{name}@{version}")
    return folder / "node_modules" / name


def _install(folder: Path, package: str) -> None:
    need("npm")
    shutil.rmtree(folder / "node_modules", ignore_errors=True)
    arguments = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
    subprocess.run(
        ["npm", "install", *arguments, package],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=INSTALL_SECONDS,
    )
    (folder / "complete").touch()
