"""``raic status`` and ``raic doctor``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pexpect
from attrs import evolve
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.checks import Level
from raic.cli.diagnosis import diagnose
from raic.cli.statusscreen import screen, span
from raic.status import (
    ArraySummary,
    Certification,
    Collection,
    Expiry,
    Holding,
    IntroducerSummary,
    Latency,
    NodeStatus,
    ProviderSpace,
    ProviderSummary,
    Readiness,
    Recent,
    Repairs,
    Scrubs,
    ServerStatus,
    Upcoming,
    Warned,
    plain,
)
from tests.cli.test_processes import NodeCase, here, raic
from tests.end_to_end.processes import installed

NODE = Path("/node")
NOW = 1_700_000_600.0


def provider(name: str, **others: Any) -> ProviderSummary:
    told = ProviderSummary(
        name=name,
        kind="s3",
        health="well",
        since=NOW - 400,
        problem="",
        remedy="",
        circuit="closed",
        answered=NOW - 1,
        latency=Latency(0.02, 0.05, 0.09),
        up=1000.0,
        down=2000.0,
        calls=7,
        errors={},
        requests={},
        recent=Recent(10.0),
        operations=(),
        space=ProviderSpace(used=1000, available=9000),
        certified=None,
    )
    return evolve(told, **others)


def server(*providers: ProviderSummary, **others: Any) -> ServerStatus:
    told = ServerStatus(
        name="",
        server_id="v0-id",
        nickname="attic",
        started=NOW - 600,
        ports=("tcp:1",),
        hints=("tcp:a.example:1",),
        dialects=("http", "foolscap"),
        addresses=None,
        introducers=(),
        readonly=False,
        clean=True,
        readiness=Readiness(True),
        backend="clouds",
        available=9000,
        providers=providers,
        array=None,
        holding=Holding(1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10),
        expiry=Expiry(False, Upcoming()),
        collection=Collection(),
        operations=(),
        recent=Recent(10.0),
        advisories=(),
    )
    return evolve(told, **others)


def array(**others: Any) -> ArraySummary:
    told = ArraySummary(
        name="clouds",
        needed=2,
        happy=3,
        total=3,
        reachable=3,
        objects=10,
        full=10,
        degraded=0,
        at_risk=0,
        counted=NOW,
        repair=Repairs(0, 0, 0.0, None),
        scrub=Scrubs(None, 0, None),
        under_way=(),
    )
    return evolve(told, **others)


def told(*servers: ServerStatus, warnings: tuple[Warned, ...] = ()) -> Mapping[str, Any]:
    return plain(NodeStatus("0.1.0", NOW, NOW - 600, servers, warnings))


def shown(status: Mapping[str, Any]) -> str:
    console = Console(width=140, highlight=False, no_color=True)
    with console.capture() as captured:
        console.print(screen(status))
    return captured.get()


DOWN = provider(
    "swift",
    health="failing",
    problem="start: \x1b[2Jconnection refused",
    remedy="check auth_url",
    since=NOW - 20,
)


class Diagnoses(SynchronousTestCase):
    def only(self, *servers: ServerStatus, warnings: tuple[Warned, ...] = ()) -> Any:
        (finding,) = diagnose(told(*servers, warnings=warnings), NODE)
        return finding

    def test_nothing_is_wrong_with_a_node_that_is_well(self) -> None:
        self.assertEqual(diagnose(told(server(provider("aws"))), NODE), [])

    def test_a_provider_that_is_down_is_an_error_with_what_to_type(self) -> None:
        finding = self.only(server(provider("aws"), DOWN, array=array()))
        self.assertIs(finding.level, Level.ERROR)
        self.assertEqual(finding.subject, "swift")
        self.assertIn("failing for 20 s: start:  [2Jconnection refused", finding.text)
        self.assertEqual(
            finding.remedy,
            "check auth_url; look closer: raic check /node; if it is gone for good:"
            " raic array replace swift NEW /node",
        )

    def test_one_of_several_servers_is_named_with_its_own_directory(self) -> None:
        finding = self.only(server(DOWN, name="b"))
        self.assertEqual(finding.group, "b: running node")
        self.assertIn("raic check /node/servers/b", finding.remedy)

    def test_everything_else_that_can_be_wrong(self) -> None:
        full = provider("aws", space=ProviderSpace(quota=5, used=5, available=0))
        failed = provider("aws", certified=Certification("2030-01-01", False, False))
        moved = provider("aws", certified=Certification("2030-01-01", True, True))
        holding = evolve(server().holding, advisories=2)
        logged = Warned(NOW - 5, NOW - 9, "error", "raic", "it broke", "mend it", 3)
        for level, subject, typed, wrong in (
            (Level.WARNING, "aws", "raic reload /node", server(full)),
            (Level.WARNING, "aws", "raic providers certify aws", server(failed)),
            (Level.WARNING, "aws", "raic providers certify aws", server(moved)),
            (Level.WARNING, "aws", "--watch", server(provider("aws", health="slow"))),
            (Level.ERROR, "writing", "mend", server(readiness=Readiness(False, "no", "mend"))),
            (Level.ERROR, "redundancy", "raic array repair", server(array=array(at_risk=1))),
            (Level.WARNING, "redundancy", "raic array status", server(array=array(degraded=1))),
            (
                Level.WARNING,
                "introducer",
                "raic reload",
                server(introducers=(IntroducerSummary("abc", False, "refused"),)),
            ),
            (Level.WARNING, "garbage", "raic check", server(collection=Collection(problem="x"))),
            (Level.WARNING, "advisories", "raic advisories /node", server(holding=holding)),
        ):
            finding = self.only(wrong)
            self.assertEqual((finding.level, finding.subject), (level, subject))
            self.assertIn(typed, finding.remedy)
        finding = self.only(server(), warnings=(logged,))
        self.assertEqual((finding.subject, finding.remedy), ("log", "mend it"))

    def test_what_was_logged_long_ago_or_is_no_error_is_not_told(self) -> None:
        old = Warned(NOW - 700, NOW - 900, "error", "raic", "it broke", "mend it", 3)
        self.assertEqual(diagnose(told(server(), warnings=(old,)), NODE), [])
        mild = evolve(old, time=NOW, level="warn")
        self.assertEqual(diagnose(told(server(), warnings=(mild,)), NODE), [])


class Screens(SynchronousTestCase):
    def test_everything_fits_on_one_screen(self) -> None:
        warned = Warned(NOW - 5, NOW - 9, "warn", "raic", "odd", "mend it", 3)
        clouds = [provider(name) for name in "abcde"]
        text = shown(told(server(*clouds, DOWN, array=array()), warnings=(warned,) * 9))
        self.assertLess(len(text.splitlines()), 45)

    def test_a_provider_that_is_down_and_what_to_do(self) -> None:
        text = shown(told(server(provider("aws"), DOWN, array=array(reachable=1))))
        self.assertRegex(text, r"swift +failing +20 s")
        self.assertIn("swift: start: [2Jconnection refused", text.replace("  [", " ["))
        self.assertNotIn("\x1b[2J", text)
        self.assertIn("what to do: check auth_url", text)
        self.assertIn("1 of 3 providers can be written to", text)

    def test_a_node_that_cannot_write_says_so_first(self) -> None:
        lines = shown(told(server(readiness=Readiness(False, "too few", "add some")))).splitlines()
        self.assertEqual(lines[2:4], ["takes no shares: too few", "  what to do: add some"])
        self.assertIn("takes no new shares", shown(told(server(readonly=True))))

    def test_times_are_read_as_people_say_them(self) -> None:
        for seconds, words in (
            (-1, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_700, "1 h 1 min"),
            (86_400 * 3 + 60, "3 d 0 h"),
        ):
            self.assertEqual(span(seconds), words)


class Processes(NodeCase):
    def test_a_running_node(self) -> None:
        self.start()
        folder = self.node.folder
        result = here("status", folder)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        for text in ("ready, room for", "disk", "holding: 0 shares", "no warnings"):
            self.assertIn(text, result.stdout)
        said = json.loads(here("status", folder, "--json").stdout)
        self.assertEqual((said["format"], len(said["servers"])), (1, 1))
        done = self.run_doctor()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("nothing is wrong", done.stdout)

    def run_doctor(self, *options: str) -> Any:
        return raic("doctor", self.node.folder, *options)

    def test_a_node_that_does_not_run_and_a_mistake_in_its_file(self) -> None:
        self.node.configure({"storage": {"redonly": "true"}})
        result = here("status", self.node.folder)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("what to do: start it: raic run", result.stderr)
        done = self.run_doctor("--json")
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, said["result"]), (1, "error"))
        told = {each["subject"]: each for each in said["findings"]}
        self.assertIn("raic run", told["process"]["remedy"])
        self.assertTrue(all(each["remedy"] for each in said["findings"]))
        self.assertIn("did you mean readonly?", done.stdout)

    def test_it_can_be_watched_also_while_the_node_is_away(self) -> None:
        program = self.start()
        watching: Any = pexpect.spawn(
            installed("raic"), ["status", str(self.node.folder), "--watch"], timeout=60
        )
        self.addCleanup(watching.close, force=True)
        watching.setwinsize(50, 140)
        watching.expect_exact("holding: ")
        program.terminate()
        watching.expect_exact("no node runs")
        watching.sendintr()
        watching.expect(pexpect.EOF)
        watching.close()
        self.assertEqual(watching.exitstatus, 0)
