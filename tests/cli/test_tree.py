"""What all commands have in common."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pexpect
import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.cli import main
from tests.cli.test_commands import invoke
from tests.cli.test_processes import NodeCase, here, raic
from tests.end_to_end.processes import clean_environment, installed
from tests.services.programs import need

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = DOCS / "commands.rst"

FOR_PEOPLE = {
    # They run a node, talk with somebody, or print what a program reads already.
    *("run", "completion", "credentials set", "credentials delete"),
    *("identity export", "identity import"),
}
"""The commands without ``--json``."""

ASK_FIRST = {"array drain", "array replace", "shares expunge", "credentials delete"}
"""What destroys or lets go of something that somebody may want back."""


def commands(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what is typed."""
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from commands(one, (*path, name))
    else:
        yield " ".join(path), command


def options(command: click.Command) -> set[str]:
    return {
        name
        for each in command.params
        if isinstance(each, click.Option)
        for name in (*each.opts, *each.secondary_opts)
    }


class Tree(SynchronousTestCase):
    def test_each_says_what_it_does_and_so_do_its_options(self) -> None:
        for name, command in commands():
            self.assertTrue((command.help or "").strip().splitlines()[0].endswith("."), name)
            for each in command.params:
                if isinstance(each, click.Option):
                    self.assertTrue(each.help, f"{name} {each.name}")
            result = invoke(*name.split(), "--help")
            self.assertEqual((result.exit_code, result.stderr), (0, ""), name)

    def test_each_has_a_place_in_the_documentation(self) -> None:
        text = DOCUMENT.read_text()
        for name, command in commands():
            noun, _, verb = name.partition(" ")
            heading = f"\n``raic {noun}``\n{'-' * (len(noun) + 9)}\n"
            self.assertIn(heading, text)
            section = text.partition(heading)[2].partition("\n``raic ")[0]
            if verb:
                self.assertIn(f"$ raic {name}", section, name)
            told = section + (DOCS / "credentials.rst").read_text()
            for option in options(command):
                self.assertIn(option, told, f"raic {name} {option}")

    def test_a_script_gets_json_wherever_it_may_want_it(self) -> None:
        without = {name for name, command in commands() if "--json" not in options(command)}
        self.assertEqual(without, FOR_PEOPLE)

    def test_what_destroys_something_asks_or_is_told_yes(self) -> None:
        asking = {name for name, command in commands() if "--yes" in options(command)}
        self.assertEqual(asking, ASK_FIRST)

    def test_what_a_command_does_not_know_is_a_mistake(self) -> None:
        for name, _ in commands():
            result = invoke(*name.split(), "--no-such-option")
            self.assertEqual(result.exit_code, 2, name)
        self.assertEqual(invoke("no-such-command").exit_code, 2)


class Json(NodeCase):
    def test_what_needs_no_arguments_prints_json_and_nothing_else(self) -> None:
        self.start()
        tried = 0
        for name, command in commands():
            arguments = [each for each in command.params if isinstance(each, click.Argument)]
            plain = [each.name for each in arguments] in (["nodedir"], ["node"])
            # These run the reactor, which a process does once.
            if not plain or "--json" not in options(command) or name in ("check", "doctor"):
                continue
            if name in ("create-node", "restore") or name.startswith(("array", "drill")):
                continue
            result = here(*name.split(), self.node.folder, "--json")
            if result.exit_code == 0:
                json.loads(result.stdout)
                tried += 1
        self.assertGreater(tried, 6)

    def test_an_export_tells_people_elsewhere(self) -> None:
        self.start().terminate()
        target = Path("tahoe/storage").absolute()
        target.parent.mkdir()
        done = raic("export", self.node.folder, target, "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["total"]), (0, 0), done.stderr)
        self.assertIn("wrote and verified 0 shares", done.stderr)

    def test_a_new_node(self) -> None:
        told = json.loads(here("create-node", "new", "--template", "servers", "--json").stdout)
        self.assertEqual([each["name"] for each in told["servers"]], ["first", "second", "third"])
        self.assertEqual(len(told["next"]), 5)


class Completion(SynchronousTestCase):
    def complete(self, words: str, *, shell: str = "bash") -> list[str]:
        """What the shell is told about the last of these words."""
        environment = {
            "_RAIC_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        done = subprocess.run(
            [installed("raic")],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment() | environment,
            check=False,
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    def test_commands_options_and_providers_are_completed(self) -> None:
        invoke("create-node", "raic-node", "--template", "three-clouds")
        invoke("create-node", "other", "--template", "s3")
        for words, expected in (
            ("raic cre", ["create-node", "credentials"]),
            ("raic status --w", ["--watch"]),
            ("raic providers certify ", ["first", "second", "third"]),
            ("raic array drain f", ["first"]),
            ("raic drill --lose s", ["second"]),
            ("raic credentials set --nodedir other ", ["cloud"]),
            ("raic credentials set --nodedir nowhere ", []),
            ("raic create-node x --template t", ["three-clouds"]),
        ):
            self.assertEqual(sorted(self.complete(words)), expected, words)

    def test_each_shell_takes_what_is_printed(self) -> None:
        for shell in ("bash", "zsh", "fish"):
            printed = invoke("completion", shell).stdout
            self.assertIn("_RAIC_COMPLETE", printed)
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=printed, text=True, timeout=60, check=True)
        self.assertEqual(invoke("completion", "csh").exit_code, 2)

    def test_bash_knows_the_command_afterwards(self) -> None:
        programs = Path(installed("raic")).parent
        done = subprocess.run(
            ["bash", "-c", 'eval "$(raic completion bash)"; complete -p raic'],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment() | {"PATH": f"{programs}:{os.environ['PATH']}"},
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("raic", done.stdout)


@pytest.mark.service
class Shells(SynchronousTestCase):
    """Real shells, with what they are given."""

    def setUp(self) -> None:
        programs = Path(installed("raic")).parent
        self.environment = {
            **clean_environment(),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(Path.cwd()),
            "ZDOTDIR": str(Path.cwd()),
            "TERM": "dumb",
        }

    def test_fish_completes_commands_and_options(self) -> None:
        need("fish")
        for words, expected in (
            ("raic array s", ["scrub", "status"]),
            ("raic array scrub --d", ["--deep", "--dry-run"]),
        ):
            done = subprocess.run(
                ["fish", "-c", f"raic completion fish | source; complete -C '{words}'"],
                capture_output=True,
                text=True,
                timeout=60,
                env=self.environment,
                check=False,
            )
            self.assertEqual([line.split("\t")[0] for line in done.stdout.splitlines()], expected)

    def test_zsh_completes_commands(self) -> None:
        need("zsh")
        settings = 'autoload -Uz compinit; compinit -u; eval "$(raic completion zsh)"; echo READY'
        Path(".zshrc").write_text(f"unsetopt prompt_sp\n{settings}\nPS1='zsh> '\n")
        shell: Any = pexpect.spawn(
            "zsh", ["-i"], env=self.environment, encoding="utf-8", timeout=60
        )
        self.addCleanup(shell.close, force=True)
        shell.expect("READY")
        shell.expect("zsh> ")
        shell.send("raic array s\t")
        shell.expect(r"scrub +-- Look whether all fragments")
        shell.expect(r"status +-- ")
