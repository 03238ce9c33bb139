"""``raic check`` as its user meets it: a process, its output and its exit code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from raic.assembly.checks import Finding, Level, Report
from raic.cli.check import as_lines
from tests.backends.s3.little import LittleS3, error
from tests.checks.world import snapshot
from tests.cli.test_processes import NodeCase, here
from tests.config.nodes import node_directory
from tests.contracts.driving import reactor
from tests.end_to_end.processes import clean_environment, free_port, installed
from tests.services.moto import S3Endpoint, moto_endpoint
from tests.services.scripted_http import Answer, Request, ScriptedServer

SECRET = "wJalrXUtnFEMIbPxRfiCY"
ENVIRONMENT = {
    "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    "RAIC_CLOUD_ACCESS_KEY_ID": "an-id",
    "RAIC_CLOUD_SECRET_ACCESS_KEY": SECRET,
}


def check(
    folder: Path, *options: str, environment: Mapping[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess[str]:
    """Run the command; nothing in the node directory may change by it."""
    before = snapshot(folder)
    done = subprocess.run(
        [installed("raic"), "check", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment() | dict(environment),
        check=False,
    )
    assert snapshot(folder) == before
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr, done
    return done


def level_of(done: subprocess.CompletedProcess[str], subject: str) -> str:
    """How the report judges something."""
    for line in done.stdout.splitlines():
        words = line.split()
        if line.startswith("  ") and words[1:2] == [subject]:
            return words[0]
    raise AssertionError(f"nothing on {subject}: {done.stdout}{done.stderr}")


class Folders(NodeCase):
    def test_a_node_that_was_never_started(self) -> None:
        done = check(self.node.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertRegex(done.stdout.splitlines()[-1], "^all is well: [0-9]+ things looked at$")
        self.assertFalse((self.node.folder / "storage").exists())
        self.assertFalse((self.node.folder / "running.lock").exists())

    def test_a_running_node_is_not_disturbed(self) -> None:
        program = self.start()
        done = check(self.node.folder)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"the node is running: process {program.pid}", done.stdout)
        self.assertIn("the running node listens there", done.stdout)
        self.assertIn("in use: 0 shares", done.stdout)
        self.assertEqual(here("selftest", self.node.folder).exit_code, 0)
        self.assertEqual(program.terminate(), 0)
        self.assertEqual(check(self.node.folder).returncode, 0)

    def test_a_node_that_was_killed_can_be_started_after_it(self) -> None:
        self.start().kill()
        done = check(self.node.folder)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("the node is not running", done.stdout)
        self.assertEqual(self.start().terminate(), 0)

    def test_mistakes_and_secrets_are_told_and_the_code_is_1(self) -> None:
        config = self.node.folder / "raic.cfg"
        lines = config.read_text().splitlines()
        config.write_text("\n".join([*lines, "redonly = true", f"# secret_key = {SECRET}", ""]))
        done = check(self.node.folder, "--json")
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, said["result"], said["version"]), (1, "error", 1))
        told = {each["line"]: each for each in said["findings"] if each["level"] == "error"}
        self.assertEqual(set(told), {len(lines) + 1, len(lines) + 2})
        self.assertEqual(told[len(lines) + 1]["key"], "[provider:disk] redonly")
        self.assertEqual(said["counts"]["error"], 2)

    def test_without_a_directory_there_is_nothing_to_check(self) -> None:
        done = subprocess.run(
            [installed("raic"), "check", "nowhere"], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("does not exist", done.stderr)


class CloudCase(TestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        node_directory(self.path)

    def configure(self, url: str, container: str = "container") -> None:
        (self.path / "raic.cfg").write_text(
            f"[node]\ntub.port = tcp:{free_port()}\ntub.location = tcp:192.0.2.7:3457\n"
            "[storage]\nbackend = provider:cloud\n[provider:cloud]\ntype = s3\n"
            f"container = {container}\nendpoint_url = {url}\n"
        )


@pytest.mark.service
class Moto(CloudCase):
    def setUp(self) -> None:
        super().setUp()
        self.endpoint: S3Endpoint = moto_endpoint()
        self.container = self.endpoint.make_container()

    def test_a_container_that_can_be_used(self) -> None:
        self.configure(self.endpoint.url, self.container)
        done = check(self.path)
        self.assertEqual(done.returncode, 0, done.stdout)
        for subject in ("reach", "rights", "clock", "credentials", "prefix"):
            self.assertEqual(level_of(done, subject), "ok")
        listed = self.endpoint.client().list_objects_v2(Bucket=self.container)
        self.assertEqual(listed["KeyCount"], 0)

    def test_a_container_that_is_missing(self) -> None:
        self.configure(self.endpoint.url, "missing")
        done = check(self.path)
        self.assertEqual((done.returncode, level_of(done, "reach")), (1, "ERROR"))
        self.assertIn("what to do: create the container missing", done.stdout)

    def test_secrets_that_are_nowhere(self) -> None:
        self.configure(self.endpoint.url, self.container)
        environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        done = check(self.path, environment=environment)
        self.assertEqual((done.returncode, level_of(done, "credentials")), (1, "ERROR"))
        self.assertIn("raic credentials set cloud", done.stdout)


class Scripted(CloudCase):
    def setUp(self) -> None:
        super().setUp()
        self.s3 = LittleS3()
        self.headers: dict[str, str] = {}
        self.server = ScriptedServer(reactor, self.answer)
        self.addCleanup(self.server.stop)
        self.configure(self.server.url)

    def answer(self, request: Request) -> Answer:
        answer = self.s3(request)
        return evolve(answer, headers={**answer.headers, **self.headers})

    async def check(self, *options: str) -> subprocess.CompletedProcess[str]:
        done: Any = await deferToThread(check, self.path, *options)
        return done  # type: ignore[no-any-return] # deferToThread forgets what it calls

    async def assert_error(self, subject: str, *texts: str) -> None:
        done = await self.check()
        self.assertEqual((done.returncode, level_of(done, subject)), (1, "ERROR"), done.stdout)
        for text in texts:
            self.assertIn(text, done.stdout)

    async def test_a_wrong_secret(self) -> None:
        self.s3.always_wrong = {"list": error(403, "SignatureDoesNotMatch")}
        await self.assert_error("sign-in", "refuses the credentials", "raic credentials set")

    async def test_a_wrong_region(self) -> None:
        wrong = error(400, "AuthorizationHeaderMalformed", Region="eu-west-3")
        self.s3.always_wrong = {"list": wrong}
        await self.assert_error("reach", "write region = eu-west-3")

    async def test_a_clock_that_is_twenty_minutes_off(self) -> None:
        self.headers = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
        await self.assert_error("clock", "ahead of the service", "timedatectl")

    async def test_a_service_that_is_stopped(self) -> None:
        await self.server.stop()
        await self.assert_error("reach", "check endpoint_url")

    async def test_a_service_that_hangs_is_given_up(self) -> None:
        self.s3.always_wrong = {"list": Answer(silent=True)}
        done = await self.check("--timeout", "1")
        self.assertEqual((done.returncode, level_of(done, "reach")), (1, "ERROR"), done.stdout)
        self.assertIn("no answer within 1 s", done.stdout)


class Output(SynchronousTestCase):
    def test_it_is_grouped_aligned_and_summed_up(self) -> None:
        found = (
            Finding(Level.OK, "a", "fine", group="first"),
            Finding(Level.ERROR, "longer", "bad\nand \x1b[2J worse", "do this", group="first"),
            Finding(Level.WARNING, "b", "odd", "do that", group="second"),
        )
        self.assertEqual(
            as_lines(Report(found)),
            [
                "first",
                "  ok       a       fine",
                "  ERROR    longer  bad and  [2J worse",
                "                   what to do: do this",
                "",
                "second",
                "  warning  b  odd",
                "              what to do: do that",
                "",
                "1 error, 1 warning: what says ERROR has to be put right",
            ],
        )
        warned = Report((found[2],))
        self.assertEqual(as_lines(warned)[-1], "0 errors, 1 warning: the node can do its work")
        self.assertEqual(as_lines(Report(found[:1]))[-1], "all is well: 1 thing looked at")
