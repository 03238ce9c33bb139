"""Servers that end with the process that started them, even if that is killed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from os import PathLike


def tied(words: Sequence[str | PathLike[str]]) -> list[str | PathLike[str]]:
    """A command that the kernel kills when the thread that started it is gone.

    Without util-linux's ``setpriv`` it is the command as it was.
    """
    setpriv = shutil.which("setpriv")
    return [*((setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()), *words]
