"""Commands on a node that is several servers."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.test_commands import invoke
from tests.config.nodes import node_directory

CONFIG = """
[server:one]
backend = provider:a
tub.port = tcp:4001
tub.location = tcp:h:4001
[server:two]
backend = array:x
tub.port = tcp:4002
tub.location = tcp:h:4002
[array:x]
providers = b, c
needed = 1
happy = 2
[provider:a]
type = s3
container = c
[provider:b]
path = b
[provider:c]
path = c
"""


class Servers(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        for number, name in enumerate(("one", "two")):
            folder = self.path / "servers" / name
            node_directory(folder, number)
            (folder / "raic.cfg").unlink()
        (self.path / "raic.cfg").write_text(CONFIG)

    def test_credentials_are_a_servers_own(self) -> None:
        for name, providers in (("one", ["a"]), ("two", ["b", "c"])):
            folder = self.path / "servers" / name
            result = invoke("credentials", "list", "--json", "--nodedir", folder)
            self.assertEqual(result.exit_code, 1 if name == "one" else 0, result.output)
            told = [each["name"] for each in json.loads(result.stdout)["providers"]]
            self.assertEqual(told, providers)

    def test_providers_are_told_whether_the_server_uses_them(self) -> None:
        result = invoke("providers", "list", self.path / "servers" / "two", "--json")
        told = {each["name"]: each["used"] for each in json.loads(result.stdout)["providers"]}
        self.assertEqual(told, {"a": False, "b": True, "c": True})

    def test_other_commands_say_which_servers_there_are(self) -> None:
        for arguments in (
            ("providers", "list", self.path),
            ("providers", "certify", "a", self.path),
            ("credentials", "list", "--nodedir", self.path),
            ("credentials", "list", "--nodedir", self.path / "servers" / "three"),
        ):
            result = invoke(*arguments)
            self.assertEqual(result.exit_code, 2, result.output)
            self.assertIn(
                f"name one of {self.path}/servers/one, {self.path}/servers/two", result.stderr
            )
