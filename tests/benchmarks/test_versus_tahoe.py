"""The benchmark itself works: a small run of it."""

from __future__ import annotations

import json

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.contenders import CONTENDERS, RAIC, TAHOE, Measured, Row
from tests.benchmarks.versus_tahoe import Results, main, table

RATE = Row("rate", "/s", False, lambda node, seconds: found(0.0))
SMALL = ("--rounds", "1", "--seconds", "0.02", "--quick")
TIME = Row("time", "ms", True, lambda node, seconds: found(0.0))


def found(value: float) -> Measured:
    """A measurement that took a thousandth of its value in processor time."""
    return Measured(value, server=value * 1e3, client=7.0)


class TableTests(SynchronousTestCase):
    def results(self) -> Results:
        results = Results([RATE, TIME], [TAHOE, RAIC], fsync=[0.0001])
        results.values["rate"][TAHOE] += map(found, [90.0, 100.0, 1000.0])
        results.values["rate"][RAIC] += map(found, [200.0])
        results.values["time"][TAHOE] += map(found, [3.0])
        results.values["time"][RAIC] += map(found, [1.0, 1.5, 20.0])
        return results

    def test_a_ratio_above_one_is_better_in_rates_and_in_times(self) -> None:
        self.assertEqual(self.results().ratio(RATE, RAIC), 2.0)
        self.assertEqual(self.results().ratio(TIME, RAIC), 2.0)

    def test_the_table_has_a_line_per_row_with_medians(self) -> None:
        lines = list(table(self.results()))
        self.assertEqual(lines[1].split(), ["rate", "100", "/s", "200", "/s", "2.00"])
        self.assertEqual(lines[2].split(), ["time", "3.00", "ms", "1.50", "ms", "2.00"])
        self.assertIn("0.100 ms", lines[3])

    def test_another_table_has_the_processor_times(self) -> None:
        line = list(table(self.results()))[8]
        expected = ["time", "3000", "us", "1500", "us", "2.00", "7", "us"]
        self.assertEqual(line.split(), expected)


@pytest.mark.service
class SmallRunTests(SynchronousTestCase):
    def assert_measured(self, only: str, rows: int) -> None:
        """Some rows, each with a value for each server."""
        report = json.loads(main([*SMALL, "--only", only, "--json"]))
        self.assertEqual(len(report["values"]), rows)
        for by_server in report["values"].values():
            self.assertEqual(set(by_server), set(CONTENDERS))
            first = [values[0] for values in by_server.values()]
            self.assertTrue(all(found["value"] > 0 and found["client"] > 0 for found in first))
            self.assertTrue(any(found["server"] > 0 for found in first))

    def test_every_server_is_measured_over_http(self) -> None:
        self.assert_measured("1 KiB", 4)

    def test_every_server_is_measured_over_foolscap(self) -> None:
        self.assert_measured("Foolscap", 2)
