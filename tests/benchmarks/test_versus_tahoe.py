"""The benchmark itself works: a small run of it."""

from __future__ import annotations

import json

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.contenders import CONTENDERS, RAIC, TAHOE, Row
from tests.benchmarks.versus_tahoe import Results, main, table

RATE = Row("rate", "/s", False, lambda node, seconds: 0.0)
TIME = Row("time", "ms", True, lambda node, seconds: 0.0)


class TableTests(SynchronousTestCase):
    def results(self) -> Results:
        results = Results([RATE, TIME], [TAHOE, RAIC], fsync=[0.0001])
        results.values["rate"][TAHOE] += [90.0, 100.0, 1000.0]
        results.values["rate"][RAIC] += [200.0]
        results.values["time"][TAHOE] += [3.0]
        results.values["time"][RAIC] += [1.0, 1.5, 20.0]
        return results

    def test_a_ratio_above_one_is_better_in_rates_and_in_times(self) -> None:
        self.assertEqual(self.results().ratio(RATE, RAIC), 2.0)
        self.assertEqual(self.results().ratio(TIME, RAIC), 2.0)

    def test_the_table_has_a_line_per_row_with_medians(self) -> None:
        lines = list(table(self.results()))
        self.assertEqual(lines[1].split(), ["rate", "100", "/s", "200", "/s", "2.00"])
        self.assertEqual(lines[2].split(), ["time", "3.00", "ms", "1.50", "ms", "2.00"])
        self.assertIn("0.100 ms", lines[3])


@pytest.mark.service
class SmallRunTests(SynchronousTestCase):
    def assert_measured(self, only: str, rows: int) -> None:
        """Some rows, each with a value for each server."""
        report = json.loads(main(["--rounds", "1", "--seconds", "0.02", "--only", only, "--json"]))
        self.assertEqual(len(report["values"]), rows)
        for by_server in report["values"].values():
            self.assertEqual(set(by_server), set(CONTENDERS))
            self.assertTrue(all(values[0] > 0 for values in by_server.values()))

    def test_every_server_is_measured_over_http(self) -> None:
        self.assert_measured("1 KiB", 4)

    def test_every_server_is_measured_over_foolscap(self) -> None:
        self.assert_measured("Foolscap", 2)
