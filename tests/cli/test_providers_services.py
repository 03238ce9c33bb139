"""``raic providers certify`` on every kind of service there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.cli import certifying
from tests.cli.certifying import Node, Service
from tests.end_to_end.processes import Program, free_port

FEW = ("--samples=3", "--bytes=1MiB")


@pytest.mark.service
class Services(SynchronousTestCase):
    def certify(
        self,
        service: Service,
        *,
        emulated: Collection[str] = (),
        not_offered: Collection[str] = (),
    ) -> None:
        """It passes, and leaves nothing."""
        code, record = Node(service).certified()
        results = {check["check"]: check["result"] for check in record["checks"]}
        wanted = dict.fromkeys(results, "pass")
        wanted |= dict.fromkeys(emulated, "emulated") | dict.fromkeys(not_offered, "not offered")
        self.assertEqual(results, wanted, json.dumps(record, indent=2))
        self.assertEqual((code, record["result"], record["left"]), (0, "pass", []))
        self.assertEqual(len(results), 16)
        self.assertEqual(service.names(), [])
        # Nothing waits for what is rightly missing; a busy machine may be slow.
        self.assertLess(record["figures"]["deleted_after_seconds"], 5.0)

    def test_a_folder(self) -> None:
        self.certify(certifying.folder(), not_offered=["clock"])

    def test_moto(self) -> None:
        self.certify(certifying.moto())

    def test_swift_as_s3(self) -> None:
        self.certify(certifying.swift_as_s3())

    def test_swift(self) -> None:
        self.certify(certifying.swift())

    def test_libcloud_on_files(self) -> None:
        self.certify(
            certifying.local(),
            emulated=["large object", "pages of a listing"],
            not_offered=["clock", "conditional create"],
        )

    def test_azure(self) -> None:
        self.certify(
            certifying.azure(),
            emulated=["large object", "pages of a listing"],
            not_offered=["conditional create"],
        )


class Command(SynchronousTestCase):
    """The real command, on a folder."""

    def setUp(self) -> None:
        self.service = certifying.folder()
        self.node = Node(self.service)
        self.kept = self.node.directory / "certified" / "cloud.json"

    def test_the_table_is_printed_and_the_result_kept(self) -> None:
        done = self.node.run("certify", *FEW)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"cloud: filesystem, path {self.service.section['path']}", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ large object +pass +4\.2 MB in one piece")
        self.assertIn("15 passed, 1 not offered: cloud does what a node relies on", done.stdout)
        self.assertEqual(done.stderr, "")
        self.assertEqual(json.loads(self.kept.read_text())["result"], "pass")
        self.assertEqual(self.kept.stat().st_mode & 0o777, 0o600)

    def test_a_signal_ends_it_and_nothing_is_left(self) -> None:
        command = self.node.command("certify", "--samples=10000")
        program = Program(command, Path("log").absolute(), self.node.environment)
        self.addCleanup(program.terminate)
        folder = Path(self.service.section["path"]) / "certify"

        def measuring() -> list[Path]:
            return list(folder.glob("*/latency,*"))

        program.wait_for(measuring, "measuring", 60)
        os.kill(program.pid, signal.SIGINT)
        self.assertEqual(program.wait(60), 1)
        self.assertIn("interrupted before all checks were made", program.output())
        self.assertNotIn("Traceback", program.output())
        self.assertEqual(self.service.names(), [])
        self.assertIs(json.loads(self.kept.read_text())["interrupted"], True)

    def test_what_a_killed_one_left_is_removed_on_demand(self) -> None:
        command = self.node.command("certify", "--samples=10000")
        program = Program(command, Path("log").absolute(), self.node.environment)
        folder = Path(self.service.section["path"]) / "certify"
        program.wait_for(lambda: list(folder.glob("*/latency,*")), "measuring", 60)
        program.kill()
        self.assertTrue(self.service.names())
        done = self.node.run("certify", "--clean")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^removed \d+ objects below certify/\n$")
        self.assertEqual(self.service.names(), [])
        self.assertFalse(self.kept.exists())

    def test_two_at_once_do_not_disturb_each_other(self) -> None:
        command = self.node.command("certify", *FEW)
        both = [
            subprocess.Popen(command, env=self.node.environment, stdout=subprocess.DEVNULL)
            for _ in range(2)
        ]
        self.assertEqual([each.wait(certifying.SECONDS) for each in both], [0, 0])
        self.assertEqual(self.service.names(), [])

    def test_settings_that_do_not_go_together_are_a_mistake(self) -> None:
        Path("node").rename("other")
        section = {"type": "libcloud", "driver": "nonesuch", "container": "c"}
        done = Node(Service(section, list)).run("certify")
        self.assertEqual(done.returncode, 2)
        self.assertIn("[provider:cloud]", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_a_service_that_is_away_fails_with_what_to_do(self) -> None:
        section = {"type": "s3", "endpoint_url": f"http://127.0.0.1:{free_port()}"}
        secrets = {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "a-known-secret"}
        Path("node").rename("other")
        node = Node(Service({**section, "container": "c"}, list, secrets), "attempts = 1\n")
        done = node.run("certify")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, "access +fail")
        self.assertIn("what to do:", done.stdout)
        self.assertIn("1 failed: cloud cannot be relied on", done.stdout)
        self.assertNotIn("a-known-secret", done.stdout + done.stderr)
        code, record = node.certified()
        self.assertEqual((code, record["result"]), (1, "fail"))
        self.assertEqual([each["check"] for each in record["checks"]], ["access"])
        listed = node.run("list")
        self.assertEqual(listed.returncode, 0)
        self.assertIn("failed: access", listed.stdout)
        done = node.run("certify", "--clean")
        self.assertEqual(done.returncode, 1)
        self.assertIn("what to do:", done.stderr)
