"""``raic create-node`` with templates, and its conversation."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.cli.asking import free_port as free_port_parser
from raic.cli.asking import introducer, is_here, reachable_host
from raic.cli.create_node import wanted_commands
from raic.config.composing import Composed, Listening, NewProvider
from raic.config.creating import template_names
from raic.config.identity import load_identity
from raic.config.loading import load_servers, parse_servers
from raic.config.model import ArraySettings
from raic.errors import ConfigurationError
from tests.cli.test_commands import invoke
from tests.contracts.driving import reactor
from tests.end_to_end.conversation import Conversation, Step, s3_steps
from tests.end_to_end.processes import clean_environment, free_port, installed
from tests.services.moto import moto_endpoint
from tests.services.scripted_http import Answer, ScriptedServer

NODE = Path("/node")
FURL = f"pb://{'a' * 32}@tcp:127.0.0.1:{{}}/swissnum"
NO_KEYCHAIN = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


class Templates(SynchronousTestCase):
    def test_each_can_be_loaded_and_names_what_to_type_next(self) -> None:
        for name in template_names():
            result = invoke(
                *("create-node", f"{name}-node", "--template", name, "--nickname", "A"),
                *("--introducer", FURL.format(1)),
            )
            self.assertEqual(result.exit_code, 0, result.output)
            directory = Path(f"{name}-node").absolute()
            configs = load_servers(directory)
            text = (directory / "raic.cfg").read_text()
            for command in (
                *wanted_commands(configs),
                f"raic check {directory}",
                f"raic run {directory}",
            ):
                self.assertIn(f"#     {command}\n", text)
                self.assertTrue(command in result.output or command.startswith("raic check"))
            self.assertNotIn("$", text)
            for config in configs:
                self.assertEqual(config.notices, ())
                self.assertEqual(config.introducers, (FURL.format(1),))
                load_identity(config.private)

    def test_they_are_what_their_names_say(self) -> None:
        kinds = {}
        for name in template_names():
            invoke("create-node", name, "--template", name)
            configs = load_servers(Path(name).absolute())
            kinds[name] = [member.kind for each in configs for member in each.backend.members]
            self.assertEqual(len(configs), 3 if name == "servers" else 1)
            self.assertIs(isinstance(configs[0].backend, ArraySettings), name == "three-clouds")
        self.assertEqual(
            kinds,
            {
                "disk": ["filesystem"],
                "s3": ["s3"],
                "swift": ["swift"],
                "three-clouds": ["s3", "swift", "s3"],
                "servers": ["s3", "swift", "s3"],
            },
        )

    def test_several_servers_have_ports_of_their_own(self) -> None:
        result = invoke(
            *("create-node", "a", "--template", "servers", "--port", "tcp:4000"),
            *("--location", "tcp:a.example:4000"),
        )
        self.assertEqual(result.exit_code, 2)
        self.assertFalse(Path("a").exists())

    def test_a_conversation_takes_no_answers_on_the_command_line(self) -> None:
        result = invoke("create-node", "a", "--interactive", "--nickname", "A")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--nickname", result.stderr)


class Composing(SynchronousTestCase):
    def composed(self, **others: object) -> Composed:
        here = tuple(Listening(3457 + number, "127.0.0.1", True) for number in range(2))
        providers = tuple(
            NewProvider(name, "s3", {"container": "c", "region": ""}) for name in ("one", "two")
        )
        known: dict[str, object] = {"nickname": "A", "listening": here, "providers": providers}
        return Composed(**{**known, **others})  # type: ignore[arg-type]  # a table of them

    def test_an_array_and_several_servers_can_be_loaded(self) -> None:
        (array,) = parse_servers(NODE, self.composed(array=(1, 2), web_port=3456).text())
        self.assertEqual(array.node.web_port, "tcp:3456")
        assert isinstance(array.backend, ArraySettings)
        self.assertEqual((array.backend.needed, array.backend.happy), (1, 2))
        servers = parse_servers(NODE, self.composed(servers=True).text())
        self.assertEqual(
            [each.node.ports for each in servers],
            [("tcp:3457:interface=127.0.0.1",), ("tcp:3458:interface=127.0.0.1",)],
        )

    def test_an_address_of_its_own_is_listened_to_on_all_interfaces(self) -> None:
        there = (Listening(4000, "2001:db8::1", False),)
        (config,) = parse_servers(NODE, self.composed(array=(1, 2), listening=there).text())
        self.assertEqual(config.node.ports, ("tcp:4000",))
        self.assertEqual(config.node.hints, ("tcp:[2001:db8::1]:4000",))

    def test_a_line_break_smuggles_nothing_in(self) -> None:
        for wrong in (
            self.composed(nickname="a\nreadonly = true"),
            self.composed(providers=(NewProvider("a", "s3", {"container": "c\n[node]"}),)),
        ):
            self.assertRaises(ConfigurationError, wrong.text)


class Answers(SynchronousTestCase):
    def test_a_port_that_is_taken_is_another_programs(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with self.assertRaisesRegex(ValueError, "another program listens there"):
                free_port_parser([])(str(port))
        self.assertRaises(ValueError, free_port_parser([4000]), "4000")
        self.assertRaises(ValueError, free_port_parser([]), "many")

    def test_a_host_leads_somewhere(self) -> None:
        self.assertEqual(reachable_host("::1"), "::1")
        for wrong in ("no.such.host.invalid", "a b", ""):
            self.assertRaises(ValueError, reachable_host, wrong)
        self.assertTrue(is_here("localhost"))
        self.assertFalse(is_here("192.0.2.7"))

    def test_an_introducer_answers(self) -> None:
        self.assertEqual(introducer(""), "")
        with self.assertRaisesRegex(ValueError, "does not answer"):
            introducer(FURL.format(free_port()))
        with socket.socket() as there:
            there.bind(("127.0.0.1", 0))
            there.listen()
            furl = FURL.format(there.getsockname()[1])
            self.assertEqual(introducer(furl), furl)


BEGINNING: list[Step] = [
    ("name that clients show", ""),
    ("where clients reach", ""),
]


@pytest.mark.service
class Interrupts(SynchronousTestCase):
    def setUp(self) -> None:
        self.parent = Path(self.mktemp()).absolute()
        self.parent.mkdir()

        self.moto = moto_endpoint()

    def talk(self) -> Conversation:
        environment = {**NO_KEYCHAIN, "TMPDIR": str(self.parent)}
        talk = Conversation(self.parent / "node", environment)
        self.addCleanup(talk.kill)
        return talk

    def cloud_steps(self, url: str) -> list[Step]:
        """The answers for a node with one cloud, up to its secrets."""
        keys = (self.moto.access_key_id, self.moto.secret_access_key)
        kind, _, *rest = s3_steps("", self.moto.make_container(), url, keys)
        return [
            *BEGINNING,
            ("where [folder]", "cloud"),
            ("the port to listen on", str(free_port())),
            *(kind, *rest),
        ]

    def assert_nothing(self, talk: Conversation) -> None:
        talk.interrupt("nothing was made")
        self.assertEqual(talk.end(), 1)
        self.assertEqual(list(self.parent.iterdir()), [])

    def test_at_the_first_question(self) -> None:
        talk = self.talk()
        talk.expect("name that clients show")
        self.assert_nothing(talk)

    def test_at_the_last_one_of_a_folder(self) -> None:
        talk = self.talk()
        talk.answer(
            [
                *BEGINNING,
                ("where [folder]", "folder"),
                ("the port to listen on", str(free_port())),
                ("the folder", ""),
                ("an introducer", ""),
                ("the status page", "none"),
            ]
        )
        talk.expect("make this node in")
        self.assert_nothing(talk)

    def test_while_a_service_does_not_answer_and_while_secrets_are_kept(self) -> None:
        silent = ScriptedServer(reactor, lambda request: Answer(silent=True))
        self.addCleanup(silent.stop)
        for url in (silent.url, self.moto.url):
            talk = self.talk()
            talk.answer(self.cloud_steps(url))
            if url == self.moto.url:
                talk.answer(
                    [("an introducer", ""), ("the status page", "none"), ("make this node in", "y")]
                )
                talk.expect("New passphrase")
            self.assert_nothing(talk)

    def test_without_a_keychain_secrets_go_into_a_file_with_a_passphrase(self) -> None:
        talk = self.talk()
        talk.answer(
            [
                *self.cloud_steps(self.moto.url),
                ("an introducer", ""),
                ("the status page", "none"),
                ("make this node in", "y"),
                ("New passphrase", "open sesame"),
                ("Repeat", "open sesame"),
            ]
        )
        talk.expect("the node needs the passphrase at each start: in RAIC_CREDENTIALS_PASSPHRASE")
        self.assertEqual(talk.end(), 0)
        node = self.parent / "node"
        for passphrase, code in (("open sesame", 0), ("another", 1)):
            checked = subprocess.run(
                [installed("raic"), "check", str(node)],
                capture_output=True,
                text=True,
                timeout=60,
                env=clean_environment() | NO_KEYCHAIN | {"RAIC_CREDENTIALS_PASSPHRASE": passphrase},
                check=False,
            )
            self.assertEqual(checked.returncode, code, checked.stdout)
        for path in node.rglob("*"):
            if path.is_file():
                self.assertNotIn(self.moto.secret_access_key.encode(), path.read_bytes())
