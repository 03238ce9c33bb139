"""Programs that some tests need and pip cannot install."""

from __future__ import annotations

import shutil
from unittest import SkipTest


def need(*programs: str) -> None:
    """Skip the test where one is missing; in CI, which installs them, that is a failure."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise SkipTest(f"not installed: {', '.join(missing)}; .ci/run says which package has it")
