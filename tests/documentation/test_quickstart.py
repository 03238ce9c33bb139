"""The quickstart, typed as it stands: the node, the real client, and what they print."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.documentation.blocks import DOCS, Shown, shown_in
from tests.end_to_end.harness import START_SECONDS, TahoeClient
from tests.end_to_end.processes import Program, clean_environment, free_port, installed

SECONDS = 120.0

_SAME = (
    (r"URI:[A-Z0-9-]+:\S+", "URI"),
    (r"v0-[a-z2-7]{52}", "ID"),
    (r"(/[\w.-]+)*/(raic-node|my-client|copy\.bin)", r"DIR/\2"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\b[A-Z][a-z]{2} \d\d \d\d:\d\d\b", "TIME"),
    (r"\b(\d+ (h|min|s)\b ?)+", "SPAN "),
    (r"\d+(\.\d+)?( k?B| [MGTP]B)?", "N"),
    (r" +", " "),
)


def shape(line: str) -> str:
    """A line without what differs from one time to the next."""
    for pattern, instead in _SAME:
        line = re.sub(pattern, instead, line)
    return line.strip()


def shapes(lines: list[str]) -> str:
    """A regular expression that the shapes of all these lines match, with ``...`` for any."""
    kept = [re.escape(shape(line)) if line != "..." else "(?s:.*)" for line in lines]
    return "\n".join(kept)


@pytest.mark.service
class Quickstart(SynchronousTestCase):
    """One test, because each command builds upon the last.

    What is not as it stands there: the ports, which may be taken, and the making of the virtual
    environment, which is the one that this test runs in.
    """

    def setUp(self) -> None:
        self.here = Path.cwd()
        self.programs: list[Program] = []
        self.addCleanup(self.end)
        self.ports = {"3457": str(free_port()), "3456": str(free_port())}
        self.capability = ""
        for name in ("one.txt", "two.txt"):
            (self.here / "photos").mkdir(exist_ok=True)
            (self.here / "photos" / name).write_text("text")

    def end(self) -> None:
        for program in self.programs:
            program.kill()

    def test_the_commands_print_what_is_shown(self) -> None:
        shown = [each for each in shown_in(DOCS / "quickstart.rst") if self.is_typed(each)]
        self.assertGreater(len(shown), 12)
        for each in shown:
            self.type(each)

    def is_typed(self, shown: Shown) -> bool:
        """A node for other machines than this one is not made."""
        return re.search(r" /srv/raic\b", shown.command) is None

    def type(self, shown: Shown) -> None:
        command = shown.command
        for usual, port in self.ports.items():
            command = re.sub(rf":{usual}\b", f":{port}", command)
        if self.capability:
            command = re.sub(r"URI:CHK:\S+", self.capability, command)
        if command.endswith("raic run"):
            self.run_node(shown)
        elif command.startswith("tahoe run"):
            self.run_client(command)
        else:
            if command.startswith("rm "):
                self.programs.pop(0).terminate()  # "Stop the node, and delete its index"
            self.compare(shown, self.output_of(command))

    def output_of(self, command: str) -> str:
        path = f"{Path(installed('raic')).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.here,
            env=clean_environment() | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        found = re.search(r"^URI:CHK:\S+$", done.stdout, re.MULTILINE)
        self.capability = found[0] if found else self.capability
        return done.stdout

    def run_node(self, shown: Shown) -> None:
        node = self.here / "raic-node"
        before = ""
        if not node.exists():
            port = self.ports["3457"]
            options = f"--port tcp:{port}:interface=127.0.0.1 --location tcp:127.0.0.1:{port}"
            before = self.output_of(f"raic create-node raic-node {options}")
        if not (node / "index.sqlite").exists() and not before:
            self.compare(shown, self.output_of("raic run"))
            return
        program = Program([installed("raic"), "run", node], self.here / "node.log")
        self.programs.insert(0, program)
        program.wait_for_output("storage node is ready", START_SECONDS)
        self.compare(shown, before + program.output())

    def run_client(self, command: str) -> None:
        folder = self.here / command.rpartition(" ")[2]
        client = TahoeClient.__new__(TahoeClient)
        client.folder, client.program = folder, None
        client.start()
        self.programs.append(client.running())

    def compare(self, shown: Shown, output: str) -> None:
        lines = [shape(line) for line in output.splitlines() if line.strip()]
        self.assertRegex("\n".join(lines), rf"\A{shapes(shown.output)}\Z", shown.command)
