"""``raic run`` with several servers in one process."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.test_processes import here, raic
from tests.end_to_end.processes import Program, free_port, installed

SECONDS = 30.0


class Several(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Path(self.mktemp()).absolute()
        self.node.mkdir()
        self.configure()
        self.program: Program | None = None
        self.addCleanup(self.end)

    def configure(self, **paths: str) -> None:
        """Two servers on folders.

        :param paths: other folders than those named like the servers.
        """
        lines = ["[node]", "nickname = x"]
        for name in ("one", "two"):
            port = free_port()
            lines += [
                *(f"[server:{name}]", f"backend = provider:{name}"),
                f"tub.port = tcp:{port}:interface=127.0.0.1",
                f"tub.location = tcp:127.0.0.1:{port}",
                *(f"[provider:{name}]", f"path = {paths.get(name, name)}"),
            ]
        (self.node / "raic.cfg").write_text("".join(f"{line}\n" for line in lines))

    def start(self) -> Program:
        command = (installed("raic"), "run", self.node)
        self.program = Program(command, self.node.with_name("several.log"))
        return self.program

    def end(self) -> None:
        if self.program is not None:
            self.program.kill()

    def test_each_has_an_identity_of_its_own_and_keeps_it(self) -> None:
        seen = []
        for _ in range(2):
            program = self.start()
            program.wait_for_output("storage node is ready", SECONDS)
            self.assertEqual(program.terminate(), 0)
            lines = program.output().splitlines()
            seen.append([line for line in lines if ": server id: " in line])
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(len({line.rpartition(" ")[2] for line in seen[0]}), 2)

    def test_one_that_cannot_start_does_not_hold_up_the_other(self) -> None:
        (self.node / "file").write_text("")
        self.configure(two="file")
        program = self.start()
        program.wait_for_output("storage node is ready, but not two", SECONDS)
        self.assertIn("two: raic: two: start", program.output())
        self.assertIn("two: what to do:", program.output())
        tested = raic("selftest", self.node / "servers" / "one")
        self.assertIn("the node works", tested.stdout)
        self.assertEqual(program.terminate(), 0)

    def test_a_reload_and_a_status_are_those_of_all(self) -> None:
        program = self.start()
        program.wait_for_output("storage node is ready", SECONDS)
        path = self.node / "raic.cfg"
        text = path.read_text().replace("path = two", "path = two\nprice_storage = 0.02")
        path.write_text(
            f"{text}[storage]\nreadonly = true\n".replace("nickname = x", "nickname = y")
        )
        told = json.loads(here("reload", self.node, "--json").stdout)
        self.assertEqual(
            {each["name"] for each in told["changed"]},
            {"[storage] readonly", "[provider:two] price_storage"},
        )
        self.assertEqual([each["name"] for each in told["kept"]], ["[node] nickname"])
        status = json.loads(here("status", self.node, "--json").stdout)
        self.assertEqual(
            [(each["name"], each["readonly"]) for each in status["servers"]],
            [("one", True), ("two", True)],
        )
        one = json.loads(here("status", self.node / "servers" / "one", "--json").stdout)
        self.assertEqual([each["name"] for each in one["servers"]], ["one"])
        self.assertIn("two: x-two", here("status", self.node).stdout)

    def test_when_none_can_start_the_process_ends(self) -> None:
        (self.node / "file").write_text("")
        self.configure(one="file", two="file")
        self.assertEqual(self.start().wait(SECONDS), 1)

    def test_one_alone_can_be_run_and_has_to_be_named_to_be_taken_over(self) -> None:
        refused = raic("run", self.node, "--take-over")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("one server at a time", refused.stderr)
        self.assertIn("has several servers", here("restore", "--local", self.node).output)

    def test_none_of_them_can_be_moved_to_another_backend(self) -> None:
        for place in (self.node, self.node / "servers" / "one"):
            place.mkdir(parents=True, exist_ok=True)
            told = here("copy", place, "--backend", "provider:two")
            self.assertEqual(told.exit_code, 1, told.output)
            self.assertIn("has several servers, and none of them can be moved", told.output)

    def test_what_is_about_one_of_them_asks_which(self) -> None:
        self.start().wait_for_output("storage node is ready", SECONDS)
        for words in (("array", "status"), ("array", "scrub"), ("drill", "--end")):
            told = here(*words, self.node)
            self.assertIn("has several servers", told.output)
            self.assertIn(
                f"name one of {self.node}/servers/one, {self.node}/servers/two", told.output
            )
