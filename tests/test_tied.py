"""Servers of the tests do not outlive them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

CHILD = """
import time
print("begun", flush=True)
time.sleep(3)
print("outlived", flush=True)
"""
PARENT = f"""
import subprocess, sys
from tests.services.tied import tied
subprocess.run(tied([sys.executable, "-c", {CHILD!r}]))
"""


class TiedTests(SynchronousTestCase):
    def test_a_server_ends_with_the_killed_process_that_started_it(self) -> None:
        command = [sys.executable, "-c", PARENT]
        root = Path(__file__).parent.parent
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as parent:
            assert parent.stdout is not None
            self.assertEqual(parent.stdout.readline(), b"begun\n")
            parent.kill()
            self.assertEqual(parent.stdout.read(), b"")
