"""Several servers in one configuration."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.config.loading import load_config, load_servers, parse_servers
from raic.config.reading import read_text
from raic.config.servers import server_providers
from raic.errors import ConfigurationError

NODE = Path("/node")
PROVIDERS = "[provider:a]\npath = a\n[provider:b]\npath = b\n"
TWO = (
    "[node]\nnickname = attic\n"
    "[server:one]\nbackend = provider:a\ntub.port = tcp:1\ntub.location = tcp:x:1\n"
    "[server:two]\nbackend = provider:b\ntub.port = tcp:2\ntub.location = tcp:x:2\n"
    "nickname = second\n" + PROVIDERS
)


class Servers(SynchronousTestCase):
    def test_each_server_is_a_node_of_its_own(self) -> None:
        one, two = parse_servers(NODE, TWO)
        self.assertEqual(one.node_directory, NODE / "servers" / "one")
        self.assertEqual(one.private, NODE / "servers" / "one" / "private")
        self.assertEqual((one.node.nickname, two.node.nickname), ("attic-one", "second"))
        self.assertEqual((one.node.ports, two.node.ports), (("tcp:1",), ("tcp:2",)))
        self.assertEqual((one.node.hints, two.node.hints), (("tcp:x:1",), ("tcp:x:2",)))
        self.assertEqual((one.backend.name, two.backend.name), ("a", "b"))

    def test_folders_are_found_from_the_file(self) -> None:
        one, _ = parse_servers(NODE, TWO)
        self.assertEqual(one.backend.members[0].path, NODE / "a")

    def test_a_server_is_found_by_its_directory(self) -> None:
        node = Path(self.mktemp()).absolute()
        (node / "servers" / "two").mkdir(parents=True)
        (node / "raic.cfg").write_text(TWO)
        self.assertEqual(load_config(node / "servers" / "two").backend.name, "b")
        self.assertEqual(len(load_servers(node)), 2)
        with self.assertRaisesRegex(ConfigurationError, "name one of .*servers/one"):
            load_config(node)
        with self.assertRaisesRegex(ConfigurationError, r"no \[server:three\]"):
            load_config(node / "servers" / "three")

    def test_a_node_that_lies_in_a_folder_of_that_name_is_a_node(self) -> None:
        node = Path(self.mktemp()).absolute() / "servers" / "mine"
        node.mkdir(parents=True)
        (node / "raic.cfg").write_text("")
        self.assertEqual(load_config(node).node_directory, node)

    def test_an_unused_provider_is_mentioned(self) -> None:
        one, _ = parse_servers(NODE, TWO + "[provider:c]\npath = c\n")
        self.assertEqual(len(one.notices), 1)
        self.assertIn("[provider:c]", one.notices[0])


class Mistakes(SynchronousTestCase):
    def assert_problem(self, text: str, *words: str) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            parse_servers(NODE, text)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_what_is_required_is_asked_for(self) -> None:
        self.assert_problem(
            "[server:one]\n" + PROVIDERS, "backend", "tub.port: it is", "tub.location: it is"
        )

    def test_the_backend_must_be_there(self) -> None:
        self.assert_problem(TWO.replace("provider:b\n", "provider:x\n", 1), "[provider:x]: add it")

    def test_what_each_server_has_cannot_stand_for_all(self) -> None:
        self.assert_problem(TWO + "[storage]\nbackend = provider:a\n", "each [server:NAME]")
        self.assert_problem(
            TWO.replace("[node]\n", "[node]\ntub.port = tcp:1\ntub.location = tcp:x:1\n"),
            "tub.port: it stands in each",
            "tub.location: it stands in each",
        )

    def test_servers_keep_apart(self) -> None:
        self.assert_problem(
            TWO.replace("backend = provider:b", "backend = provider:a"), "another server as well"
        )
        self.assert_problem(TWO.replace("tub.port = tcp:2", "tub.port = tcp:1"), "tcp:1 is another")

    def test_hidden_services_are_for_single_servers(self) -> None:
        self.assert_problem(TWO.replace("tub.port = tcp:2", "tub.port = listen:tor"), "listen:")

    def test_an_address_that_may_not_be_revealed_is_not(self) -> None:
        hidden = TWO.replace("[node]\n", "[node]\nreveal-IP-address = false\n")
        self.assert_problem(hidden, "[server:one] tub.location: with reveal-IP-address")
        onions = hidden.replace("tcp:x:1", "tor:x.onion:1").replace("tcp:x:2", "tor:x.onion:2")
        self.assertEqual(len(parse_servers(NODE, onions)), 2)

    def test_names_have_a_form(self) -> None:
        self.assert_problem(TWO.replace("server:one", "server:One"), "the server's name in lower")

    def test_the_providers_of_each_are_known_whatever_else_is_wrong(self) -> None:
        text = read_text(
            "[server:one]\nbackend = provider:a\n[server:two]\nbackend = array:x\n"
            "[server:three]\n[server:four]\nbackend = array:y\n[array:x]\nproviders = b , c\n"
        )
        self.assertEqual(
            server_providers(text),
            {"one": {"a"}, "two": {"b", "c"}, "three": {""}, "four": set()},
        )
