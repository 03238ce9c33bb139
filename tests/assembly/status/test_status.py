"""The status of a node: as a running node tells it, and its documented form."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.drill import GONE
from raic.cli.node_link import CommandFailed, NodeLink
from raic.errors import ConfigurationError
from raic.status.form import make_schema
from raic.values import Advisory
from tests.test_assembly import AssemblyCase

SCHEMA = Path(__file__).parents[3] / "docs" / "specifications" / "status.schema.json"

ARRAY = """backend = array:three
[array:three]
providers = a, b, c
needed = 1
happy = 2
[provider:a]
type = filesystem
path = a
[provider:b]
type = filesystem
path = b
[provider:c]
type = filesystem
path = c
"""


class StatusOfARunningNode(AssemblyCase):
    def ask(self, **arguments: Any) -> Deferred[Any]:
        """Ask the node at its socket, as a command does."""
        link = NodeLink(self.path)
        return deferToThread(partial(link.ask, "status", arguments))

    async def asked(self, **arguments: Any) -> dict[str, Any]:
        status: dict[str, Any] = await self.ask(**arguments)
        jsonschema.validate(status, json.loads(SCHEMA.read_text()))
        return status

    async def test_an_array_tells_of_each_provider(self) -> None:
        self.configure(ARRAY)
        node = self.make_node()
        await node.start()
        (server,) = (await self.asked())["servers"]
        self.assertEqual([each["name"] for each in server["providers"]], ["a", "b", "c"])
        self.assertEqual({each["health"] for each in server["providers"]}, {"well"})
        self.assertEqual({each["circuit"] for each in server["providers"]}, {"closed"})
        array = server["array"]
        self.assertEqual((array["happy"], array["total"], array["reachable"]), (2, 3, 3))
        self.assertTrue(server["readiness"]["ready"])

    async def test_the_state_of_a_member_is_the_nodes_not_only_the_arrays(self) -> None:
        self.configure(ARRAY.replace("needed = 1\nhappy = 2", "needed = 2\nhappy = 3"))
        node = self.make_node()
        await node.start()
        assert node.status is not None
        array = node.status.parts.stack.array
        assert array is not None
        array.drills["b"].begin(GONE)  # the array, which reads from others, does not notice
        link = NodeLink(self.path)
        told = await deferToThread(partial(link.ask, "array.status", {}))
        members = {each["name"]: each for each in told["members"]}
        self.assertEqual([members[name]["state"] for name in "abc"], ["well", "failing", "well"])
        self.assertIn("raic drill --end", members["b"]["problem"])
        self.assertEqual(members["a"]["problem"], "")
        drill = {"name": "a", "how": GONE, "seconds": 60}
        with self.assertRaisesRegex(CommandFailed, "without a and b 1 of the 2 fragments are left"):
            await deferToThread(partial(link.ask, "drill.lose", drill))

    async def test_what_must_not_be_shown_has_to_be_asked_for(self) -> None:
        node = self.make_node()
        facts = await node.start()
        assert node.status is not None
        await node.status.parts.index.advise(
            Advisory("immutable", b"s" * 16, 3, "its hash is wrong", 100)
        )
        told = await self.asked()
        secret = facts.addresses.furl.rpartition("/")[2]
        self.assertNotIn(secret, json.dumps(told))
        self.assertNotIn("onzxg43t", json.dumps(told))
        self.assertEqual(told["servers"][0]["advisories"][0]["shnum"], 3)
        revealed = (await self.asked(reveal=True))["servers"][0]
        self.assertEqual(revealed["addresses"]["furl"], facts.addresses.furl)
        self.assertEqual(revealed["advisories"][0]["storage_index"], "onzxg43tonzxg43tonzxg43tom")

    async def test_mistaken_arguments_are_refused(self) -> None:
        await self.make_node().start()
        with self.assertRaises(ConfigurationError):
            await self.ask(reveal="yes")
        with self.assertRaises(ConfigurationError):
            await self.ask(everything=True)


class TheForm(SynchronousTestCase):
    def test_the_schema_in_the_docs_is_that_of_the_form(self) -> None:
        self.assertEqual(json.loads(SCHEMA.read_text()), make_schema())
