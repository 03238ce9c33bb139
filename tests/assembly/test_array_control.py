"""The commands of an array, as a node takes them."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.array_control import (
    LONGEST_DRILL,
    MOST_EVENTS,
    array_handlers,
    no_array_handlers,
)
from raic.backends.array.drill import DrillLayer
from raic.backends.array.drilling import Drill
from raic.backends.array.drillmeter import DrillMeter
from raic.backends.array.maintenance import Progress
from raic.backends.array.memoryledger import MemoryLedger
from raic.backends.memory import MemoryProvider
from raic.config.model import Prices
from raic.errors import ConfigurationError, OperationRefused
from tests.backends.array.fake_maintenance import FRAGMENT_BYTES, OBJECTS, FakeMaintenance


class Commands(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.maintenance = FakeMaintenance()
        layers = {"aws": DrillLayer(MemoryProvider("aws"), self.clock)}
        meter = DrillMeter(MemoryProvider("clouds"), self.clock)
        self.drill = Drill(layers, meter, self.maintenance, MemoryLedger(), self.clock)
        prices = {"hz": Prices(storage=5.0, requests=2.0), "aws": Prices(download=90.0)}
        self.handlers = array_handlers(self.maintenance, self.drill, prices)
        self.told: list[Any] = []

    def start(self, command: str, **arguments: Any) -> Deferred[Any]:
        return self.handlers[command](arguments, self.told.append)

    def ask(self, command: str, **arguments: Any) -> Any:
        result = self.successResultOf(self.start(command, **arguments))
        return json.loads(json.dumps(result, allow_nan=False))

    def mistake(self, command: str, **arguments: Any) -> str:
        failure = self.failureResultOf(self.start(command, **arguments), ConfigurationError)
        return str(failure.value)

    def test_the_status_is_told_in_plain_values(self) -> None:
        status = self.ask("array.status")
        self.assertEqual((status["name"], status["needed"], status["full"]), ("clouds", 2, OBJECTS))
        self.assertEqual(status["members"][1]["name"], "ovh")
        self.assertEqual(status["members"][1]["numbers"], [1])
        self.assertEqual(status["repair"]["queued"], 0)

    def test_what_is_under_way_is_in_the_status(self) -> None:
        self.start("array.run", kind="replace", names=["aws", "hz"])
        (under_way,) = self.ask("array.status")["under_way"]
        expected = {"kind": "replace", "names": ["aws", "hz"], "deep": False}
        self.assertEqual(under_way["operation"], expected)

    def test_an_operation_tells_its_progress_and_its_outcome(self) -> None:
        running = self.start("array.run", kind="scrub", deep=True)
        self.maintenance.tell(Progress(3, 40, 1000, "reading"))
        self.assertEqual(self.told, [{"done": 3, "total": 40, "bytes": 1000, "text": "reading"}])
        self.maintenance.finish()
        self.assertEqual(self.successResultOf(running)["objects"], OBJECTS)

    def test_every_kind_of_operation_can_be_run(self) -> None:
        for arguments in (
            {"kind": "scrub"},
            {"kind": "repair"},
            {"kind": "replace", "names": ["aws", "hz"]},
            {"kind": "add", "names": ["aws"]},
            {"kind": "drain", "names": ["b2"]},
        ):
            running = self.start("array.run", **arguments)
            self.maintenance.finish()
            outcome = self.successResultOf(running)
            self.assertEqual(outcome["operation"]["kind"], arguments["kind"])

    def test_a_refusal_is_passed_on(self) -> None:
        refused = self.start("array.run", kind="drain", names=["aws"])
        self.failureResultOf(refused, OperationRefused)

    def test_a_plan_tells_money_where_prices_are_known(self) -> None:
        plan = self.ask("array.plan", kind="replace", names=["ovh", "hz"])
        size = OBJECTS * FRAGMENT_BYTES
        self.assertEqual(plan["traffic"]["hz"]["stored"], size)
        self.assertEqual(plan["money"].keys(), {"hz", "aws"})
        self.assertAlmostEqual(plan["money"]["hz"]["monthly"], 5.0 * size / 1e9)
        self.assertAlmostEqual(plan["money"]["hz"]["once"], 2.0 * OBJECTS / 10_000)
        self.assertAlmostEqual(plan["money"]["aws"]["once"], 90.0 * size / 1e9)

    def test_the_history_has_as_many_lines_as_are_asked_for(self) -> None:
        self.start("array.run", kind="scrub")
        self.maintenance.finish()
        events = self.ask("array.history", limit=5)["events"]
        self.assertEqual([event["detail"] for event in events], ["done", "begun"])
        self.assertEqual(len(self.ask("array.history", limit=1)["events"]), 1)

    def test_a_drill_reports_and_can_be_ended(self) -> None:
        self.assertEqual(self.ask("drill.end"), {"ended": False})
        drill = self.start("drill.lose", name="aws", how="gone", seconds=5)
        self.assertEqual(self.told[0]["total"], 5)
        self.clock.pump([1] * 8)
        self.assertEqual(self.ask("drill.end"), {"ended": True})
        self.clock.pump([1] * 3)
        report = json.loads(json.dumps(self.successResultOf(drill)))
        self.assertEqual((report["name"], report["reads"]["served"]), ("aws", 0))
        self.assertEqual(report["reads"]["errors"], {})
        self.assertIn("operator", report["cut_short"])

    def test_a_node_without_an_array_says_so(self) -> None:
        without = no_array_handlers("attic")
        self.assertEqual(without.keys(), self.handlers.keys())
        for handler in without.values():
            failure = self.failureResultOf(handler({}, self.told.append), ConfigurationError)
            self.assertIn("attic, which is no array", str(failure.value))

    def test_arguments_are_checked(self) -> None:
        for command, arguments in (
            ("array.status", {"more": 1}),
            ("array.history", {}),
            ("array.history", {"limit": 0}),
            ("array.history", {"limit": MOST_EVENTS + 1}),
            ("array.history", {"limit": "5"}),
            ("array.history", {"limit": True}),
            ("array.run", {}),
            ("array.run", {"kind": "explode"}),
            ("array.run", {"kind": "replace", "names": ["aws"]}),
            ("array.run", {"kind": "add", "names": [3]}),
            ("array.run", {"kind": "repair", "names": ["aws"]}),
            ("array.run", {"kind": "repair", "deep": True}),
            ("array.plan", {"kind": "add", "names": "aws"}),
            ("array.plan", {"kind": "scrub", "deep": 1}),
            ("drill.lose", {"name": "aws", "how": "angry", "seconds": 5}),
            ("drill.lose", {"name": "aws", "how": "gone", "seconds": 0}),
            ("drill.lose", {"name": "aws", "how": "gone", "seconds": LONGEST_DRILL + 1}),
            ("drill.lose", {"name": "aws", "how": "gone"}),
            ("drill.end", {"now": True}),
        ):
            self.assertTrue(self.mistake(command, **arguments), (command, arguments))
