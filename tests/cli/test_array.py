"""``raic array`` and ``raic drill``, over the socket of a node whose array is a fake."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from raic.assembly.array_control import array_handlers
from raic.backends.array.drill import DrillLayer
from raic.backends.array.drilling import Drill
from raic.backends.array.drillmeter import DrillMeter
from raic.backends.array.maintenance import (
    REPLACE,
    MemberStatus,
    Operation,
    Progress,
    RepairStatus,
)
from raic.backends.array.memoryledger import MemoryLedger
from raic.backends.array.upkeep.moving import NOTE, Move
from raic.backends.array.upkeep.statuses import SCRUB_NOTE
from raic.backends.memory import MemoryProvider
from raic.cli import main
from raic.cli.array import array
from raic.config.model import Prices
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from raic.server.control import ControlSocket
from raic.server.controlplace import SOCKET_NAME
from raic.shares.index import create_index, open_index
from raic.values import ArrayEvent, Placed
from tests.backends.array.fake_maintenance import NOW, OBJECTS, FakeMaintenance
from tests.contracts.driving import reactor
from tests.contracts.index_values import make_lease, make_share

CONFIG = """
[storage]
backend = array:clouds
[array:clouds]
providers = attic, cellar, shed
needed = 2
happy = 3
[provider:attic]
type = filesystem
path = attic
[provider:cellar]
type = filesystem
path = cellar
[provider:shed]
type = filesystem
path = shed
"""


def invoke(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


class Running(ProcessProtocol):
    """A command in a process of its own."""

    def __init__(self) -> None:
        self.said = ""
        self.ended: Deferred[int] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.said += data.decode()

    def errReceived(self, data: bytes) -> None:
        self.said += data.decode()

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(getattr(reason.value, "exitCode", None) or 0)


class WithNode(TestCase):
    timeout = 10

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(mode=0o700)
        self.maintenance = FakeMaintenance()
        self.followers = 0
        self.layers = {
            name: DrillLayer(MemoryProvider(name), reactor) for name in ("aws", "ovh", "b2")
        }
        meter = DrillMeter(MemoryProvider("clouds"), reactor)
        self.drill = Drill(self.layers, meter, self.maintenance, MemoryLedger(), reactor)
        self.addCleanup(self.drill.stop)
        prices = {"hz": Prices(storage=5.0, requests=2.0)}
        handlers = array_handlers(self.maintenance, self.drill, prices)
        control = ControlSocket(self.directory / SOCKET_NAME, handlers, reactor)
        self.assertTrue(control.start())
        self.addCleanup(control.stop)

    def start(self, *arguments: str, answer: str = "") -> Deferred[Result]:
        where = [] if "--help" in arguments else [str(self.directory)]
        return deferToThread(invoke, *arguments, *where, answer=answer)

    async def run_one(self, *arguments: str, answer: str = "", code: int = 0) -> str:
        result = await self.start(*arguments, answer=answer)
        self.assertEqual(result.exit_code, code, result.output)
        return str(result.output)

    async def begun(self) -> None:
        """Wait until one more follows an operation."""
        while self.maintenance.followers == self.followers:
            await deferLater(reactor, 0.005)
        self.followers = self.maintenance.followers

    async def finish(self, *arguments: str, answer: str = "", code: int = 0) -> str:
        """Run a command whose operation has come to its end."""
        running = self.start(*arguments, answer=answer)
        await self.begun()
        self.maintenance.tell(Progress(3, OBJECTS, 1_500_000, "reading"))
        self.maintenance.finish()
        self.followers = 0
        result = await running
        self.assertEqual(result.exit_code, code, result.output)
        return str(result.output)

    async def test_the_status_shows_every_provider_and_what_lacks(self) -> None:
        output = await self.run_one("array", "status")
        self.assertIn("clouds: any 2 of 3 fragments, 3 to acknowledge", output)
        for word in ("aws", "ovh", "b2", "well", "40.0 ms"):
            self.assertIn(word, output)
        self.assertIn("objects: 40: 40 whole, 0 lack fragments, 0 have none to spare", output)
        self.assertNotIn("does not run", output)

    async def test_a_provider_in_trouble_is_told_with_its_problem(self) -> None:
        member = MemberStatus("cf", (3,), (1,), "away", problem="no\nroute\x1b[2J; look")
        now = self.maintenance.now
        self.maintenance.now = evolve(
            now, members=(*now.members, member), repair=RepairStatus(7, 3, 2e6, 5_000_000)
        )
        output = await self.run_one("array", "status")
        self.assertIn("3; leaving: 1", output)
        self.assertIn("no route [2J; look", output)
        self.assertIn("7 to do, 3 done since the start, 2.0 MB/s of at most 5.0 MB/s", output)

    async def test_the_status_in_json_is_one_object(self) -> None:
        status = json.loads(await self.run_one("array", "status", "--json"))
        self.assertTrue(status["running"])
        self.assertEqual(status["members"][0]["name"], "aws")

    async def test_a_scrub_is_followed_to_its_end(self) -> None:
        output = await self.finish("array", "scrub", "--deep")
        self.assertIn("40 objects looked at", output)
        self.assertIn("deep scrub: 3 of 40, 1.5 MB, reading", output)
        status = await self.run_one("array", "status")
        self.assertIn("last ended 2030-03-17 17:46:40 UTC, 40 of 40 objects verified", status)
        history = await self.run_one("array", "history")
        self.assertRegex(history, r"(?s)scrub +begun.*scrub +done")

    async def test_in_json_it_is_one_object_a_line(self) -> None:
        lines = (await self.finish("array", "scrub", "--json")).splitlines()
        *progress, result = map(json.loads, lines)
        self.assertEqual(progress[0]["progress"]["done"], 3)
        self.assertEqual(result["result"]["objects"], OBJECTS)

    async def test_the_history_may_be_empty_and_be_json(self) -> None:
        self.assertIn("nothing was done", await self.run_one("array", "history"))
        history = json.loads(await self.run_one("array", "history", "--json"))
        self.assertEqual(history, {"events": []})

    async def test_repairs_and_additions_are_done_at_once(self) -> None:
        self.maintenance.now = evolve(self.maintenance.now, repair=RepairStatus(5))
        self.assertIn("5 fragments (0 B) repaired", await self.finish("array", "repair"))
        output = await self.finish("array", "add", "hz")
        self.assertIn("in raic.cfg write: providers = aws, ovh, b2, hz", output)

    async def test_a_replacement_says_what_it_takes_and_asks(self) -> None:
        refused = await self.run_one("array", "replace", "aws", "hz", answer="n\n", code=1)
        self.assertIn("replace aws by hz: 40 objects, 120 fragments", refused)
        self.assertIn("+2.6 MB", refused)
        self.assertIn("money, as far as prices are configured: 0.01 once, +0.01", refused)
        self.assertEqual(self.maintenance.events, [])
        output = await self.finish("array", "replace", "aws", "hz", answer="y\n")
        self.assertIn("in raic.cfg write: providers = hz, ovh, b2", output)

    async def test_yes_asks_nothing(self) -> None:
        output = await self.finish("array", "replace", "aws", "hz", "--yes")
        self.assertNotIn("do that", output)

    async def test_one_that_is_under_way_is_followed_without_a_question(self) -> None:
        first = self.maintenance.replace("aws", "hz", lambda _: None)
        await self.begun()
        output = await self.finish("array", "replace", "aws", "hz")
        self.assertNotIn("do that", output)
        self.assertEqual(self.successResultOf(first).fragments, OBJECTS)

    async def test_json_does_not_ask(self) -> None:
        output = await self.run_one("array", "drain", "aws", "--json", code=2)
        self.assertIn("say --yes", output)

    async def test_a_dry_run_touches_nothing(self) -> None:
        for arguments in (("scrub",), ("repair",), ("add", "hz"), ("replace", "aws", "hz")):
            output = await self.run_one("array", *arguments, "--dry-run")
            self.assertIn("40 objects", output)
            plan = json.loads(await self.run_one("array", *arguments, "--dry-run", "--json"))
            self.assertEqual(plan["objects"], OBJECTS)
        self.assertEqual(self.maintenance.events, [])

    async def test_refusals_and_mistakes_have_codes_of_their_own(self) -> None:
        refused = await self.run_one("array", "drain", "aws", "--yes", code=1)
        self.assertIn("what to do: add one first", refused)
        self.assertIn("is no provider", await self.run_one("array", "drain", "x", "--yes", code=2))

    async def test_what_is_left_to_do_is_a_failure(self) -> None:
        now = self.maintenance.now
        fake = self.maintenance
        finished = fake.scrub

        def scrub(deep: bool, progress: Any) -> Any:
            outcome = finished(deep, progress)
            return outcome.addCallback(lambda it: evolve(it, missing=2, altered=1, left=3))

        self.patch(fake, "scrub", scrub)
        self.assertEqual(fake.now, now)
        output = await self.finish("array", "scrub", code=1)
        self.assertIn("2 fragments were missing, 1 altered", output)
        self.assertIn("3 fragments are left", output)

    async def test_ctrl_c_stops_following_and_nothing_else(self) -> None:
        command = Running()
        arguments = [sys.executable, "-m", "raic", "array", "scrub", str(self.directory)]
        process = reactor.spawnProcess(command, sys.executable, arguments, env=dict(os.environ))
        await self.begun()
        while "3 of 40" not in command.said:
            self.maintenance.tell(Progress(3, OBJECTS))
            await deferLater(reactor, 0.05)
        process.signalProcess(signal.SIGINT)
        self.assertEqual(await command.ended, 1, command.said)
        self.assertIn("not followed any more: it goes on in the node", command.said)
        self.assertNotIn("Traceback", command.said)
        self.assertEqual(len(self.successResultOf(self.maintenance.status()).under_way), 1)
        self.assertIn("40 objects looked at", await self.finish("array", "scrub"))

    async def test_a_terminal_sees_a_bar(self) -> None:
        command = Running()
        arguments = [sys.executable, "-m", "raic", "array", "scrub", str(self.directory)]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        reactor.spawnProcess(command, sys.executable, arguments, env=environment, usePTY=True)
        await self.begun()
        while "3 of 40, reading" not in command.said:
            self.maintenance.tell(Progress(3, OBJECTS, text="reading"))
            await deferLater(reactor, 0.05)
        self.assertIn("\u2501", command.said)
        self.maintenance.finish()
        self.assertEqual(await command.ended, 0, command.said)
        self.assertIn("40 objects looked at", command.said)

    async def test_a_drill_is_reported(self) -> None:
        output = await self.run_one("drill", "--lose", "aws", "--for", "1s", code=1)
        self.assertIn("aws was gone for 1 s", output)
        self.assertIn("too few other providers were left for writes", output)
        self.assertIn("fragments: 0 lacked at its end", output)
        self.assertIn("added latency of reads: unknown", output)
        lines = await self.run_one(
            "drill", "--lose", "aws", "--how", "slow", "--for", "1s", "--json"
        )
        report = json.loads(lines.splitlines()[-1])["result"]
        self.assertEqual((report["how"], report["cut_short"]), ("slow", ""))

    async def test_a_drill_can_be_ended(self) -> None:
        self.assertIn("there is no drill", await self.run_one("drill", "--end"))
        drill = self.drill.lose("aws", "gone", 60, lambda _: None)
        ended = json.loads(await self.run_one("drill", "--end", "--json"))
        self.assertEqual(ended, {"ended": True})
        await self.assertFailure(drill, Exception)

    async def test_mistakes_in_the_command_line_of_a_drill(self) -> None:
        for arguments in (
            (),
            ("--lose", "aws", "--end"),
            ("--lose", "aws", "--for", "10"),
            ("--lose", "aws", "--for", "0m"),
            ("--lose", "aws", "--how", "angry"),
            ("--lose", "nobody"),
        ):
            await self.run_one("drill", *arguments, code=2)


class WithoutNode(SynchronousTestCase):
    def setUp(self) -> None:
        self.assertEqual(invoke("create-node", "attic").exit_code, 0)
        self.node = Path("attic").absolute()
        text = (self.node / "raic.cfg").read_text()
        node, _, _ = text.partition("[storage]")
        (self.node / "raic.cfg").write_text(node + CONFIG)

    def make_index(self) -> None:
        """Three objects: one lacks nothing, the others one and two fragments."""
        create_index(self.node / "index.sqlite", 1)
        clock = Clock()
        index = open_index(
            self.node / "index.sqlite",
            clock,
            None,
            sync=False,
            local_listing=True,
            on_fatal=self.fail,
        )
        for number in range(3):
            share = make_share(bytes([number]) * 16)
            missing = [fragment(share.key, each) for each in range(2, 2 - number, -1)]
            self.successResultOf(index.commit_share(share, make_lease(), missing))
        rows = [Placed(0, "attic"), Placed(1, "cellar"), Placed(2, "shed", "barn")]
        self.successResultOf(index.ledger.set_placement(rows))
        event = ArrayEvent(NOW, "replace", "barn by shed: begun")
        self.successResultOf(index.ledger.add_event(event))
        move = Move(Operation(REPLACE, ("barn", "shed")), NOW, (2,))
        self.successResultOf(index.ledger.set_note(NOTE, move.dump()))
        self.successResultOf(index.ledger.set_note(SCRUB_NOTE, str(NOW)))
        self.successResultOf(index.close())

    def one(self, *arguments: str, code: int = 0) -> str:
        result = invoke(*arguments, "attic")
        self.assertEqual(result.exit_code, code, result.output)
        return str(result.output)

    def test_the_status_is_what_the_index_says(self) -> None:
        self.make_index()
        before = sorted(self.node.iterdir())
        status = json.loads(self.one("array", "status", "--json"))
        self.assertFalse(status["running"])
        counts = {name: status[name] for name in ("objects", "full", "degraded", "at_risk")}
        self.assertEqual(counts, {"objects": 3, "full": 1, "degraded": 0, "at_risk": 2})
        members = {each["name"]: each for each in status["members"]}
        self.assertEqual(members["shed"]["numbers"], [2])
        self.assertEqual((members["shed"]["missing"], members["cellar"]["missing"]), (2, 1))
        self.assertEqual((members["barn"]["numbers"], members["barn"]["former"]), ([], [2]))
        self.assertEqual(status["scrub"]["finished"], NOW)
        (under_way,) = status["under_way"]
        self.assertEqual(under_way["operation"]["names"], ["barn", "shed"])
        told = self.one("array", "status")
        self.assertIn("replace barn by shed, 0 of 3, it goes on when the node is started", told)
        self.assertEqual({each["state"] for each in members.values()}, {"unknown"})
        self.assertIn("the node does not run", self.one("array", "status"))
        self.assertEqual(sorted(self.node.iterdir()), before)

    def test_so_is_the_history(self) -> None:
        self.make_index()
        self.assertIn("replace   barn by shed: begun", self.one("array", "history"))

    def test_a_new_array_has_its_providers_in_their_order(self) -> None:
        create_index(self.node / "index.sqlite", 1)
        status = json.loads(self.one("array", "status", "--json"))
        self.assertEqual([each["numbers"] for each in status["members"]], [[0], [1], [2]])

    def test_an_index_that_cannot_be_read_is_told_with_what_to_do(self) -> None:
        index = self.node / "index.sqlite"
        self.assertIn("what to do: start the node first", self.one("array", "status", code=1))
        self.make_index()
        log = index.with_name(index.name + "-wal")
        log.write_bytes(b"left")
        self.assertIn("cut short", self.one("array", "status", code=1))
        log.unlink()
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version = 1")
        self.assertIn("older version 1", self.one("array", "status", code=1))
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version = 1000")
        self.assertIn("install the RAIC", self.one("array", "status", code=1))
        index.write_bytes(b"nonsense" * 100)
        self.assertIn("not an index", self.one("array", "history", code=1))

    def test_one_whose_pages_are_damaged_is_told(self) -> None:
        self.make_index()
        with closing(sqlite3.connect(self.node / "index.sqlite")) as connection:
            connection.execute("DROP TABLE placements")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.assertIn("no such table", self.one("array", "status", code=1))

    def test_the_rest_needs_the_node(self) -> None:
        for arguments in (
            ("scrub",),
            ("scrub", "--dry-run"),
            ("repair",),
            ("add", "x"),
            ("drain", "x"),
            ("replace", "x", "y", "--yes"),
        ):
            output = self.one("array", *arguments, code=1)
            self.assertIn(f"what to do: start it: raic run {self.node}", output)
        self.assertIn("no node runs", self.one("drill", "--lose", "shed", code=1))

    def test_a_node_without_an_array_is_a_mistake(self) -> None:
        self.assertEqual(invoke("create-node", "plain").exit_code, 0)
        result = invoke("array", "status", "plain")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("which is no array", result.output)

    def test_what_is_no_directory_is_a_mistake(self) -> None:
        self.assertEqual(invoke("array", "status", "nowhere").exit_code, 2)


class Documentation(SynchronousTestCase):
    def test_every_command_of_the_group_and_every_option_is_described(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "commands.rst").read_text()
        section = text.partition("\n``raic array``\n")[2].partition("\n``raic drill``\n")[0]
        for name, command in array.commands.items():
            self.assertIn(f"$ raic array {name} ", section)
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    self.assertIn(f"\n``{parameter.opts[0]}", section)


def fragment(key: str, number: int) -> str:
    """The key of a fragment."""
    return str(FragmentKey(key, 2, 65536, 120, number, FIRST_ATTEMPT))
