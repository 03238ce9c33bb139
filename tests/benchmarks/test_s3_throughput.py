"""The benchmark itself works: a small run of it."""

from __future__ import annotations

import sys
from subprocess import run

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.s3_throughput import OURS, PLAIN, Sample, table


class TableTests(SynchronousTestCase):
    def test_a_ratio_is_to_plain_boto3(self) -> None:
        plain = [Sample(1e8, 1.0), Sample(2e8, 4.0), Sample(9e8, 9.0)]
        ours = [Sample(5e7, 1.0), Sample(2e8, 2.0), Sample(3e8, 3.0)]
        lines = [line.split() for line in table({"upload": {PLAIN: plain, OURS: ours}})]
        self.assertEqual(lines[1], ["upload", "boto3", "200", "1.00", "4.00", "1.00"])
        self.assertEqual(lines[2], ["upload", "S3Provider", "200", "0.50", "2.00", "0.50"])


@pytest.mark.service
class SmallRunTests(SynchronousTestCase):
    def test_everybody_is_measured_each_way(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.s3_throughput",
            "--mib=17",
            "--rounds=1",
            "--reads=1",
        ]
        # A process of its own: it runs the reactor. Started at the root, where tests/ is.
        root = __file__.rpartition("/tests/")[0]
        done = run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 7, done.stdout)
