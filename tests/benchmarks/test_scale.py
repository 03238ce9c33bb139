"""The benchmark of large indexes, in short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]


class Scale(SynchronousTestCase):
    def test_a_small_index_is_measured_and_three_tenths_of_it_expire(self) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.scale"]
        done = subprocess.run(
            [*command, "--shares", "2000", "--samples", "50"],
            check=True,
            capture_output=True,
            timeout=120,
            cwd=ROOT,
        )
        result = json.loads(done.stdout)
        self.assertEqual((result["shares"], result["expired"]), (2000, 600))
        self.assertGreater(result["leases"], 3000)
        self.assertGreater(result["expiring"], 0)

    def test_a_small_index_is_copied_and_restored(self) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.scale", "--restore"]
        done = subprocess.run(
            [*command, "--shares", "2500", "--headers", "700"],
            check=True,
            capture_output=True,
            timeout=120,
            cwd=ROOT,
        )
        result = json.loads(done.stdout)
        self.assertEqual((result["shares"], result["headers_of"]), (2500, 700))
        self.assertGreater(result["restoring"], 0)
