"""``raic identity`` and ``raic restore``, on folders."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from raic.cli import main
from raic.config import portable
from raic.config.identity import load_identity
from tests.config.nodes import node_directory

WORDS = "correct horse battery staple\n"


def invoke(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


class Identity(SynchronousTestCase):
    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.base.mkdir()
        _, self.identity = node_directory(self.base / "node")
        self.words = self.base / "words"
        self.words.write_text(WORDS)
        self.file = self.base / "node.identity"
        self.patch(portable, "COST", 2**4)

    def export(self, *options: str | Path) -> Result:
        words = ("identity", "export", self.file, "--nodedir", self.base / "node")
        return invoke(*words, *(options or ("--passphrase-file", self.words)))

    def test_it_is_written_for_the_owner_alone_and_says_what_is_in_it(self) -> None:
        result = self.export()
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn(self.identity.server_id, result.output)
        self.assertIn("without credentials", result.output)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(self.identity.swissnum, self.file.read_text())

    def test_it_is_not_replaced_unless_that_is_asked_for(self) -> None:
        self.export()
        before = self.file.read_bytes()
        result = self.export()
        self.assertEqual(result.exit_code, 1)
        self.assertIn("--force", result.stderr)
        self.assertEqual(self.file.read_bytes(), before)
        result = self.export("--force", "--passphrase-file", self.words)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertNotEqual(self.file.read_bytes(), before)

    def test_a_passphrase_comes_from_a_file_or_standard_input_and_is_long_enough(self) -> None:
        for words, problem in (("short\n", "fewer than 8"), ("", "empty"), ("\x01" * 9, "line")):
            self.words.write_text(words)
            result = self.export()
            self.assertEqual(result.exit_code, 2)
            self.assertIn(problem, result.stderr)
            self.assertFalse(self.file.exists())
        result = self.export("--with-credentials")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("use --passphrase-file", result.stderr)
        command = ("identity", "export", self.file, "--nodedir", self.base / "node")
        result = invoke(*command, "--passphrase-file", "-", stdin=WORDS)
        self.assertEqual(result.exit_code, 0, result.output)

    def test_the_node_comes_out_of_it(self) -> None:
        self.export()
        new = self.base / "new"
        result = invoke("identity", "import", self.file, new, "--passphrase-file", self.words)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn(f"raic restore {new}", result.output)
        self.assertEqual(load_identity(new / "private").server_id, self.identity.server_id)

    def test_a_wrong_passphrase_makes_nothing(self) -> None:
        self.export()
        self.words.write_text("something else\n")
        new = self.base / "new"
        for words in (("identity", "import"), ("restore", "--identity")):
            result = invoke(*words, self.file, new, "--passphrase-file", self.words)
            self.assertEqual(result.exit_code, 1)
            self.assertIn("the passphrase is wrong", result.stderr)
            self.assertIn("what to do: check the passphrase", result.stderr)
            self.assertFalse(new.exists())

    def test_another_node_is_left_alone(self) -> None:
        self.export()
        node_directory(self.base / "other", 1)
        words = ("restore", "--identity", self.file, self.base / "other")
        result = invoke(*words, "--passphrase-file", self.words)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("holds another node already", result.stderr)

    def test_a_restore_names_one_directory(self) -> None:
        for words in ((), ("a", "--local", "a")):
            result = invoke("restore", *words)
            self.assertEqual(result.exit_code, 2)
            self.assertIn("name one node directory", result.stderr)


class Secrets(SynchronousTestCase):
    """Credentials travel only if they are asked for."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.base.mkdir()
        node_directory(self.base / "node")
        with (self.base / "node" / "raic.cfg").open("a") as file:
            file.write("[provider:far]\ntype = s3\ncontainer = mine\nregion = eu-west-1\n")
        text = (self.base / "node" / "raic.cfg").read_text()
        text = text.replace("provider:disk\n", "provider:far\n", 1)
        (self.base / "node" / "raic.cfg").write_text(text)
        self.words = self.base / "words"
        self.words.write_text(WORDS)
        self.patch(portable, "COST", 2**4)
        self.environment = {
            "RAIC_FAR_ACCESS_KEY_ID": "AKIA",
            "RAIC_FAR_SECRET_ACCESS_KEY": "verysecret",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def invoke(self, *words: str | Path, **environment: str) -> Result:
        arguments = [str(word) for word in (*words, "--passphrase-file", self.words)]
        runner = CliRunner(env={"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})
        return runner.invoke(main, arguments, env=environment)

    def test_they_arrive_in_the_encrypted_file(self) -> None:
        file = self.base / "identity"
        words = ("identity", "export", file, "--nodedir", self.base / "node")
        result = self.invoke(*words, "--with-credentials", **self.environment)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("with the credentials of 1 providers", result.output)
        self.assertNotIn("verysecret", file.read_text() + result.output)
        new = self.base / "new"
        opening = {"RAIC_CREDENTIALS_PASSPHRASE": "another one"}
        result = self.invoke("identity", "import", file, new, "--store", "file", **opening)
        self.assertEqual(result.exit_code, 0, result.output + result.stderr)
        self.assertIn("the credentials of far are kept in: encrypted file", result.output)
        runner = CliRunner()
        listing = ["credentials", "list", "--json", "--nodedir", str(new)]
        gone = dict.fromkeys(("RAIC_FAR_ACCESS_KEY_ID", "RAIC_FAR_SECRET_ACCESS_KEY"))
        listed = runner.invoke(main, listing, env={**opening, **gone})
        providers = json.loads(listed.stdout)["providers"]
        (provider,) = [each for each in providers if each["name"] == "far"]
        self.assertEqual({field["source"] for field in provider["fields"][:2]}, {"file"})

    def test_what_is_asked_for_and_missing_is_told(self) -> None:
        words = ("identity", "export", self.base / "identity", "--nodedir", self.base / "node")
        result = self.invoke(*words, "--with-credentials")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("raic credentials set far", result.stderr)
