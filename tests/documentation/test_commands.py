"""Every ``raic`` command that is shown runs, on a node to which the words of the pages apply."""

from __future__ import annotations

import json
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.documentation.blocks import ROOT, pages, raic_commands, shown_in
from tests.documentation.shown_node import ShownNode
from tests.end_to_end.processes import Program, installed

ELSEWHERE = {
    r"create-node .*--interactive": "tests/end_to_end/test_newcomer.py",
    r"create-node /srv/raic/node|check /var/lib|create-node /var/lib": "test_packaging.py",
    r"run\b": "the node itself; take-overs wait for minutes: tests/end_to_end/test_take_over.py",
    r"array (add|replace) \w+( \w+)? /srv/raic$": "takes minutes: tests/end_to_end/test_array.py",
    r"copy NODEDIR --backend TEXT$": "without the options that it needs; copying.rst has them",
    r"drill .*--how (slow|lying)": "tests/cli/test_array.py",
    r"credentials set \w+ --nodedir /srv/raic/servers/": "tests/cli/test_servers.py",
    r"adopt .*--config where.cfg": "stops, as the page says: tests/cli/test_adopt.py",
}
"""What is not run here, and where it is."""

BEFORE = r"credentials (set|list|test)|create-node|completion|plan|identity export --nodedir /"
AFTER = r"export|copy|identity import|restore|adopt"
LAST = r"shares expunge|credentials delete|identity"
"""Of what runs while the node does: what comes after the rest."""


@frozen
class Command:
    """A shown command, with the words of the page.

    :ivar place: the page and the line.
    """

    words: tuple[str, ...]
    place: str

    @property
    def line(self) -> str:
        return " ".join(self.words)


def shown_commands() -> list[Command]:
    """All outside the quickstart, which is typed by a test of its own, each once."""
    found: dict[tuple[str, ...], Command] = {}
    for page in pages():
        if page.name != "quickstart.rst":
            for shown in shown_in(page):
                for words in raic_commands(shown):
                    where = f"{page.relative_to(ROOT)}: {shown.command}"
                    found.setdefault(tuple(words), Command(tuple(words), where))
    return list(found.values())


def left_out(command: Command) -> bool:
    """Whether it is run elsewhere."""
    return any(re.match(pattern, command.line) for pattern in ELSEWHERE)


@pytest.mark.service
class Shown(SynchronousTestCase):
    def setUp(self) -> None:
        self.held = ExitStack()
        self.addCleanup(self.held.close)
        home = Path(self.held.enter_context(TemporaryDirectory(prefix="raic-shown-")))
        self.node = ShownNode(home, self.held)
        self.held.callback(self.node.stop)
        self.seen = 0
        self.ran: set[tuple[str, ...]] = set()

    def test_all_run(self) -> None:
        commands = [each for each in shown_commands() if not left_out(each)]
        self.assertGreater(len(commands), 60)
        before = [each for each in commands if re.match(BEFORE, each.line)]
        before.sort(key=lambda each: "--store file" not in each.line)  # the keychain comes first
        after = [each for each in commands if re.match(AFTER, each.line)]
        last = [each for each in commands if re.match(LAST, each.line)]
        last = [each for each in last if each not in (*before, *after)]
        running = [each for each in commands if each not in (*before, *after, *last)]
        self.node.start()
        self.node.store()
        for each in (*before, *running, *last):
            self.run_it(each)
        self.node.stop()
        for each in after:
            self.run_it(each)
        self.assertEqual(self.seen, len(commands))

    def run_it(self, command: Command) -> None:
        words = self.node.meant(command.words)
        self.seen += 1
        if tuple(words) in self.ran:  # the pages have several names for a node
            return None
        self.ran.add(tuple(words))
        if "--watch" in words:
            return self.watch(words, command.place)
        if "--end" in words:
            lasting = Program(
                [installed("raic"), "drill", "--lose", "barn", "--for", "1h", self.node.folder],
                self.node.home / "drill",
            )
            lasting.wait_for_output("drill: barn")
            self.held.callback(lasting.terminate)
        if "--json" in words:
            code, shown = self.node.ask(words)
            self.assertEqual(code, 0, f"{command.place}\n{shown}")
            is_json(shown)
            return None
        code, shown = self.node.type(words)
        self.assertEqual(code, 0, f"{command.place}\n{words}\n{shown}")
        return None

    def watch(self, words: list[str], place: str) -> None:
        """What goes on until Ctrl-C."""
        program = Program([installed("raic"), *words], self.node.home / "watching")
        self.held.callback(program.terminate)
        program.wait_for(lambda: program.output().count("\n") > 1, place, 20.0)
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(20.0), 0, place)
        is_json(program.output())


def is_json(text: str) -> None:
    """One object, or one a line; fails with a ``ValueError`` otherwise."""
    try:
        json.loads(text)
    except ValueError:
        for line in text.splitlines():
            json.loads(line)
