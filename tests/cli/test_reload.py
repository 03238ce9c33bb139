"""``raic reload`` and SIGHUP, as an operator meets them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.cli.pinned import Unexpected
from raic.config.describing import describe_live
from raic.config.schema import SCHEMA
from tests.cli.test_processes import SECONDS, NodeCase, here
from tests.config.nodes import node_directory

CONFIGURATION = Path(__file__).parents[2] / "docs" / "configuration.rst"


class Reloading(NodeCase):
    def test_a_limit_changes_while_a_client_is_served_and_the_process_stays(self) -> None:
        program = self.start()
        with self.client() as client:
            client.request("GET", "version", 200)
            self.node.configure(
                {"storage": {"readonly": "true"}, "node": {"nickname": "barn", "log_level": "warn"}}
            )
            result = here("reload", self.node.folder)
            self.assertEqual((result.exit_code, result.stderr), (0, ""))
            self.assertIn("[storage] readonly: true, was false", result.stdout)
            self.assertIn("[node] nickname: barn, was raic", result.stdout)
            self.assertRegex(
                result.stdout, "stays as it was until the node is started again:\n  li"
            )
            self.assertIn(f"raic run {self.node.folder}", result.stdout)
            told = json.loads(here("reload", self.node.folder, "--json").stdout)
            self.assertEqual(told["changed"], [])
            self.assertEqual([each["name"] for each in told["kept"]], ["[node] nickname"])
            version = client.request("GET", "version", 200).message()
        sizes = version[b"http://allmydata.org/tahoe/protocols/storage/v1"]
        self.assertEqual(sizes[b"maximum-immutable-share-size"], 0)
        # What is told at the level info is not logged any more, but what an operator must know is.
        self.assertNotIn("was read again", program.output())
        self.assertIn("nickname stays as it was", program.output())

    def test_a_mistake_is_told_to_the_command_and_in_the_log(self) -> None:
        program = self.start()
        self.node.configure({"storage": {"reserved_space": "much", "redonly": "true"}})
        result = here("reload", self.node.folder)
        self.assertEqual(result.exit_code, 2)
        for text in ("reserved_space: write a size", "did you mean readonly?"):
            self.assertRegex(result.stderr, rf"raic.cfg, line [0-9]+: \[storage\] .*{text[-20:]}")
            self.assertIn(text, program.output())
        self.assertIn("nothing was changed", program.output())
        os.kill(program.pid, signal.SIGHUP)
        program.wait_for(
            lambda: program.output().count("nothing was changed") >= 4, "refusing again", SECONDS
        )
        with self.client() as client, self.assertRaises(Unexpected):
            client.request("GET", "immutable/aaaaaaaaaaaaaaaaaaaaaaaaaa/0", 200)

    def test_a_signal_does_the_same(self) -> None:
        program = self.start()
        self.node.configure({"storage": {"max_connections": "50"}})
        os.kill(program.pid, signal.SIGHUP)
        program.wait_for_output("changed: [storage] max_connections", SECONDS)

    def test_a_node_that_does_not_run_is_told_so(self) -> None:
        result = here("reload", self.node.folder)
        self.assertEqual(result.exit_code, 1)
        self.assertIn(f"what to do: start it: raic run {self.node.folder}", result.stderr)


class NoNode(SynchronousTestCase):
    def test_none_of_several_servers_runs(self) -> None:
        folder = Path(self.mktemp()).absolute()
        node_directory(folder)
        (folder / "servers" / "a").mkdir(parents=True)
        result = here("reload", folder)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("none of the servers", result.stderr)


class Documentation(SynchronousTestCase):
    def test_it_lists_exactly_what_can_change_while_a_node_runs(self) -> None:
        self.assertIn("\n.. raic-live-keys::\n", CONFIGURATION.read_text())
        listed = [line.split(": ") for line in describe_live() if line]
        names = {f"{section[2:]} {name}" for section, more in listed for name in more.split(", ")}
        sections = {"provider:*": "provider:NAME", "array:*": "array:NAME"}
        for key in SCHEMA:
            name = f"``[{sections.get(key.section, key.section)}]`` ``{key.name}``"
            self.assertEqual(name in names, key.live, name)
