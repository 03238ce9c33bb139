from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from raic.cli import main
from raic.cli.sizes import in_words


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


class CreateNode(SynchronousTestCase):
    def test_it_says_what_it_made_and_what_to_back_up(self) -> None:
        result = invoke("create-node", "attic", "--nickname", "Attic")
        self.assertEqual(result.exit_code, 0, result.output)
        node = Path("attic").absolute()
        self.assertIn(f"back up {node}/private", result.output)
        self.assertIn(f"{node}/private/servers.yaml", result.output)
        self.assertIn("server id: v0-", result.output)
        self.assertIn("nickname = Attic\n", (node / "raic.cfg").read_text())

    def test_it_tells_no_secret(self) -> None:
        output = invoke("create-node", "attic").output
        furl = Path("attic/private/storage.furl").read_text().strip()
        self.assertNotIn(furl.rpartition("/")[2], output)

    def test_it_leaves_a_node_alone(self) -> None:
        invoke("create-node", "attic")
        before = Path("attic/private/node.pem").read_bytes()
        result = invoke("create-node", "attic")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("holds a node already", result.stderr)
        self.assertIn("what to do: name another directory", result.stderr)
        self.assertEqual(Path("attic/private/node.pem").read_bytes(), before)

    def test_mistakes_are_listed_together_and_nothing_is_made(self) -> None:
        result = invoke("create-node", "attic", "--port", "tcp:0", "--location", "nowhere")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("tub.port", result.stderr)
        self.assertIn("tub.location", result.stderr)
        self.assertFalse(Path("attic").exists())

    def test_a_port_needs_a_location(self) -> None:
        result = invoke("create-node", "attic", "--port", "tcp:4000")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--location", result.stderr)


class OtherCommands(SynchronousTestCase):
    def test_what_is_no_node_directory_is_a_mistake(self) -> None:
        for arguments in (("run", "nowhere"), ("restore", "--local", "nowhere")):
            result = invoke(*arguments)
            self.assertEqual(result.exit_code, 2)
            self.assertIn("raic create-node", result.stderr)

    def test_a_missing_key_stops_the_node_before_anything_else(self) -> None:
        invoke("create-node", "attic")
        Path("attic/private/seal.key").unlink()
        for arguments in (("run", "attic"), ("restore", "--local", "attic")):
            result = invoke(*arguments)
            self.assertEqual(result.exit_code, 1)
            self.assertIn("seal.key", result.stderr)
            self.assertIn("what to do: restore private/ from its backup", result.stderr)
        self.assertFalse(Path("attic/private/seal.key").exists())

    def test_a_selftest_needs_an_address(self) -> None:
        self.assertEqual(invoke("selftest", "nowhere").exit_code, 1)
        for nurl in ("pb://x@y/z", "http://127.0.0.1/", "pb+tor://x@y.onion:1/z#v=1"):
            result = invoke("selftest", nurl)
            self.assertEqual(result.exit_code, 2)
            self.assertIn("not a NURL", result.stderr)

    def test_the_version_is_told(self) -> None:
        self.assertIn("raic, version", invoke("--version").output)


class Sizes(SynchronousTestCase):
    def test_they_are_read_as_people_write_them(self) -> None:
        for size, words in (
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (23_000_000_000, "23.0 GB"),
            (2**64, "18.4 EB"),
            (10**22, "10000.0 EB"),
        ):
            self.assertEqual(in_words(size), words)
