"""Tahoe's own storage client finds everything as it wants it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import raic
from raic.config.certificate import make_certificate
from tests.server.http.harness import NOW


class TahoeClientTests(SynchronousTestCase):
    def test_it_is_served(self) -> None:
        # In a process of its own: Tahoe and RAIC define the same Foolscap interfaces.
        pem = Path(self.mktemp())
        pem.write_bytes(make_certificate(NOW))
        finished = subprocess.run(
            [sys.executable, "-m", "tests.server.http.tahoe_client", str(pem.absolute())],
            capture_output=True,
            check=False,
            env={"PYTHONPATH": str(Path(raic.__file__).parent.parent), "PATH": ""},
            text=True,
            timeout=60,
        )
        self.assertEqual(finished.stdout, "done\n", finished.stderr[-3000:])
