from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
import keyring
import pytest
from click.testing import CliRunner, Result
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import fail as failed
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.web import find_password
from raic.cli import main
from raic.cli.credentials import make_credentials_group
from raic.cli.failing import RaicGroup
from raic.config.identity import load_identity
from raic.errors import AccessDenied
from tests.config.credentials import keyrings
from tests.config.nodes import node_directory
from tests.end_to_end.processes import clean_environment, installed
from tests.services.secret_service import secret_service

DOCUMENT = Path(__file__).parents[2] / "docs" / "credentials.rst"

KEY_ID, KEY, PASSPHRASE = "AKIAWELLKNOWN", "a-well-known-key", "a-well-known-passphrase"
TYPED = f"{KEY_ID}\n{KEY}\n\n"
NEW_PASSPHRASE = f"{PASSPHRASE}\n{PASSPHRASE}\n"
SECONDS = 60.0

CONFIG = """
[provider:aws]
type = s3

[provider:roles]
type = s3
credentials = ambient
"""


def make_node(folder: Path) -> None:
    node_directory(folder)
    with (folder / "raic.cfg").open("a") as file:
        file.write(CONFIG)


def holders(folder: Path) -> list[str]:
    """The files in which a known secret can be read."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and any(secret.encode() in path.read_bytes() for secret in (KEY_ID, KEY, PASSPHRASE))
    ]


class Commands(SynchronousTestCase):
    """The commands, with a keyring in memory; nothing they say or write may hold a secret."""

    def setUp(self) -> None:
        self.addCleanup(keyring.set_keyring, keyring.get_keyring())
        self.keyring = keyrings.MemoryKeyring()
        self.use(self.keyring)
        self.environment = dict.fromkeys(
            [name for name in os.environ if name.startswith(("RAIC_", "CREDENTIALS_"))]
        )
        make_node(Path("raic-node"))

    def use(self, backend: KeyringBackend) -> None:
        keyring.set_keyring(backend)

    def invoke(
        self,
        *words: str,
        typed: str = "",
        group: click.Group = main,
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        result = CliRunner().invoke(
            group,
            ["credentials", *words],
            input=typed,
            env={**self.environment, **(environment or {})},
        )
        for secret in (KEY_ID, KEY, PASSPHRASE):
            self.assertNotIn(secret, result.output)
        self.assertEqual(holders(Path("raic-node")), [])
        if not isinstance(result.exception, SystemExit | None):
            raise result.exception
        return result

    def kept(self) -> list[str]:
        return sorted(self.keyring.passwords.values())

    # set

    def test_what_is_typed_goes_into_the_keychain(self) -> None:
        result = self.invoke("set", "aws", typed=TYPED)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("kept in: OS keychain (tests", result.output)
        self.assertEqual(self.kept(), [KEY_ID, KEY])
        services = {service for service, _ in self.keyring.passwords}
        self.assertEqual(len(services), 1)
        self.assertTrue(services.pop().startswith("raic v0-"))

    def test_the_status_page_has_a_password(self) -> None:
        folder = Path("raic-node").absolute()
        identity = load_identity(folder / "private")
        self.assertIsNone(find_password(folder, identity))
        result = self.invoke("set", "web", typed=f"{KEY}\n")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(find_password(folder, identity), KEY)
        with (folder / "raic.cfg").open("a") as file:
            file.write("\n[node]\nweb.port = 3456\n")
        self.assertIn("web (type status page)", self.invoke("list").output)
        self.assertEqual(self.invoke("delete", "web", "--yes").exit_code, 0)
        self.assertIsNone(find_password(folder, identity))

    def test_a_provider_of_that_name_keeps_what_is_its_own(self) -> None:
        with Path("raic-node", "raic.cfg").open("a") as file:
            file.write("[provider:web]\ntype = s3\n")
        self.invoke("set", "web", typed=TYPED)
        self.assertEqual(self.kept(), [KEY_ID, KEY])

    def test_what_cannot_be_a_secret_is_asked_for_again(self) -> None:
        result = self.invoke("set", "aws", typed=f"tab\there\n\n{TYPED}")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("that cannot be used: it is not one line", result.output)
        self.assertEqual(self.kept(), [KEY_ID, KEY])

    def test_a_session_token_may_be_given(self) -> None:
        self.invoke("set", "aws", typed=f"{KEY_ID}\n{KEY}\ntemporary\n")
        self.assertEqual(self.kept(), [KEY_ID, KEY, "temporary"])
        self.invoke("set", "aws", typed=TYPED)
        self.assertEqual(self.kept(), [KEY_ID, KEY])

    def test_names_are_shown_while_they_are_typed_and_keys_are_not(self) -> None:
        with Path("raic-node/raic.cfg").open("a") as file:
            file.write("[provider:ovh]\ntype = swift\n")
        shown = CliRunner().invoke(
            main, ["credentials", "set", "ovh"], input=f"someone\n{KEY}\n", env=self.environment
        )
        self.assertEqual(shown.exit_code, 0, shown.output)
        self.assertIn("someone", shown.output)
        self.assertNotIn(KEY, shown.output)
        self.assertEqual(self.kept(), [KEY, "someone"])

    def test_they_go_into_the_encrypted_file_if_asked(self) -> None:
        self.use(fail.Keyring())
        result = self.invoke("set", "aws", "--store", "file", typed=TYPED + NEW_PASSPHRASE)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("kept in: encrypted file", result.output)
        result = self.invoke("list", typed=f"{PASSPHRASE}\n")
        self.assertIn("secret_access_key: file", result.output)
        self.assertEqual(result.exit_code, 0)

    def test_the_file_does_not_shadow_the_keychain_silently(self) -> None:
        self.invoke("set", "aws", typed=TYPED)
        environment = {"RAIC_CREDENTIALS_PASSPHRASE": PASSPHRASE}
        result = self.invoke("set", "aws", "--store", "file", typed=TYPED, environment=environment)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("the secrets of aws in keychain come first", result.stderr)

    def test_a_keychain_that_cannot_be_used_is_told_with_the_remedy(self) -> None:
        for backend, problem in (
            (null.Keyring(), "keeps nothing"),
            (fail.Keyring(), "no keychain can be reached"),
            (keyrings.PlaintextKeyring(), "anyone can read"),
            (keyrings.LockedKeyring(), "is locked"),
            (keyrings.ForgetfulKeyring(), "does not give it back"),
        ):
            self.use(backend)
            result = self.invoke("set", "aws", typed=TYPED)
            self.assertEqual(result.exit_code, 1)
            self.assertIn(problem, result.stderr)
            self.assertIn("--store file", result.stderr)
            # Nobody types secrets for a keychain of which it shows that it is of no use.
            asked = isinstance(backend, keyrings.LockedKeyring | keyrings.ForgetfulKeyring)
            self.assertEqual("access_key_id" in result.output, asked, backend)

    def test_there_is_nothing_to_set_for_some(self) -> None:
        for name, problem in (
            ("disk", "type filesystem needs no credentials"),
            ("roles", "says credentials = ambient"),
            ("azure", "there is no section [provider:azure]; there are: disk, aws, roles"),
        ):
            result = self.invoke("set", name)
            self.assertEqual(result.exit_code, 2)
            self.assertIn(problem, result.stderr)

    # list

    def test_the_list_shows_where_each_secret_is(self) -> None:
        self.invoke("set", "aws", typed=TYPED)
        result = self.invoke("list")
        self.assertEqual(result.exit_code, 0, result.output)
        for text in (
            "  1. keychain: OS keychain (tests.config.credentials.keyrings.MemoryKeyring)",
            "  2. file: encrypted file (",
            "  5. command: ",
            "disk (type filesystem)\n  needs no credentials",
            "aws (type s3)\n  access_key_id: keychain\n  secret_access_key: keychain\n"
            "  session_token: none, not needed",
            "roles (type s3)\n  ambient: ",
        ):
            self.assertIn(text, result.output)

    def test_what_is_missing_or_in_trouble_is_shown(self) -> None:
        self.use(keyrings.LockedKeyring())
        result = self.invoke("list", environment={"RAIC_AWS_ACCESS_KEY_ID": KEY_ID})
        self.assertEqual(result.exit_code, 1)
        self.assertIn("access_key_id: environment", result.output)
        self.assertIn("secret_access_key: MISSING", result.output)
        self.assertIn("keychain: the keychain is locked\n    what to do: unlock", result.output)

    def test_the_list_as_json(self) -> None:
        self.use(null.Keyring())
        result = self.invoke("list", "--json", environment={"RAIC_AWS_ACCESS_KEY_ID": KEY_ID})
        self.assertEqual(result.exit_code, 1)
        listed = json.loads(result.stdout)
        order = ["keychain", "file", "systemd", "environment", "command"]
        self.assertEqual([each["source"] for each in listed["order"]], order)
        disk, aws, roles = listed["providers"]
        self.assertEqual(disk["fields"], [])
        self.assertEqual(
            aws["fields"][:2],
            [
                {"name": "access_key_id", "optional": False, "source": "environment"},
                {"name": "secret_access_key", "optional": False, "source": None},
            ],
        )
        self.assertEqual(aws["troubles"][0]["source"], "keychain")
        self.assertIs(roles["ambient"], True)

    def test_json_asks_for_no_passphrase(self) -> None:
        environment = {"RAIC_CREDENTIALS_PASSPHRASE": PASSPHRASE}
        self.use(fail.Keyring())
        self.invoke("set", "aws", "--store", "file", typed=TYPED, environment=environment)
        listed = json.loads(self.invoke("list", "--json").stdout)
        self.assertIn("passphrase is not known", listed["providers"][1]["troubles"][0]["problem"])

    # test

    def proving(self, prove: Callable[..., Deferred[str]]) -> click.Group:
        group = RaicGroup()
        group.add_command(
            make_credentials_group(prove, runner=lambda run: self.successResultOf(run(None)))
        )
        return group

    def test_access_is_proved_with_the_secrets_found(self) -> None:
        calls: list[tuple[Any, ...]] = []

        def prove(*arguments: Any) -> Deferred[str]:
            calls.append(arguments)
            return succeed("aws lets us in")

        self.invoke("set", "aws", typed=TYPED)
        result = self.invoke("test", "aws", group=self.proving(prove))
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("aws lets us in", result.output)
        secrets = {"access_key_id": KEY_ID, "secret_access_key": KEY}
        node = Path("raic-node").absolute()
        self.assertEqual(calls, [(node, "aws", secrets, None)])
        self.invoke("test", "roles", group=self.proving(prove))
        self.assertEqual(calls[1], (node, "roles", {}, None))

    def test_a_refusal_is_told(self) -> None:
        def refuse(*arguments: Any) -> Deferred[str]:
            return failed(AccessDenied("aws", "start", "the key is not known"))

        def run(start: Callable[[Any], Deferred[str]]) -> NoReturn:
            raise self.failureResultOf(start(None), AccessDenied).value

        group = RaicGroup()
        group.add_command(make_credentials_group(refuse, runner=run))
        self.invoke("set", "aws", typed=TYPED)
        result = self.invoke("test", "aws", group=group)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("the key is not known\nwhat to do: check", result.stderr)

    def test_there_is_nothing_to_try_without_secrets(self) -> None:
        result = self.invoke("test", "aws")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("run 'raic credentials set aws', or set RAIC_AWS_ACCESS", result.stderr)

    def test_without_a_way_to_try_it_says_so(self) -> None:
        self.invoke("set", "aws", typed=TYPED)
        group = RaicGroup()
        group.add_command(make_credentials_group())
        result = self.invoke("test", "aws", group=group)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("cannot try providers out", result.stderr)

    # delete

    def test_delete_tells_from_where_and_what_is_left(self) -> None:
        environment = {"RAIC_CREDENTIALS_PASSPHRASE": PASSPHRASE}
        self.invoke("set", "aws", "--store", "file", typed=TYPED, environment=environment)
        self.invoke("set", "aws", typed=TYPED)
        environment["RAIC_AWS_ACCESS_KEY_ID"] = KEY_ID
        result = self.invoke("delete", "aws", typed="y\n", environment=environment)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("deleted from: OS keychain", result.output)
        self.assertIn("deleted from: encrypted file", result.output)
        self.assertIn("still there: aws access_key_id, in environment", result.output)
        self.assertEqual(self.kept(), [])
        result = self.invoke(
            *("delete", "aws", "--yes"), environment={"RAIC_CREDENTIALS_PASSPHRASE": "x"}
        )
        self.assertEqual(result.exit_code, 1)
        self.assertIn("the passphrase is wrong", result.stderr)

    def test_deleting_nothing_is_no_mistake(self) -> None:
        result = self.invoke("delete", "aws", "--yes")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(result.output, "nothing is left of the credentials of aws\n")

    def test_delete_asks_first(self) -> None:
        self.invoke("set", "aws", typed=TYPED)
        result = self.invoke("delete", "aws", typed="n\n")
        self.assertEqual(result.exit_code, 1)
        self.assertNotEqual(self.kept(), [])

    # all

    def test_a_node_directory_is_needed(self) -> None:
        for command in ("set", "test", "delete"):
            self.assertEqual(self.invoke(command, "aws", "--nodedir", "nowhere").exit_code, 2)
        result = self.invoke("list", "--nodedir", "nowhere")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("raic create-node", result.stderr)


class Documentation(SynchronousTestCase):
    def test_every_command_has_a_heading_and_every_option_its_line(self) -> None:
        text = DOCUMENT.read_text()
        group = main.commands["credentials"]
        self.assertIsInstance(group, click.Group)
        for name, command in getattr(group, "commands", {}).items():
            self.assertIn(f"\n``raic credentials {name}", text)
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    self.assertIn(f"``{parameter.opts[0]}", text)


def without_terminal(*words: str, environment: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [installed("raic"), "credentials", *words],
        input=TYPED,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment,
        # Without a terminal to open, as for a service.
        start_new_session=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


# Makes its standard input the terminal that getpass opens, then becomes the command.
ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def on_terminal(*words: str, typed: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command on a terminal of its own, which echoes as terminals do."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-S", "-c", ON_TERMINAL, installed("raic"), "credentials", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    lines = iter(typed.splitlines(keepends=True))
    try:
        while part := _shown(ours):
            shown += part
            if part.rstrip().endswith(b":"):
                # Not earlier: getpass drops what was typed before it asked.
                os.write(ours, next(lines).encode())
        return program.wait(SECONDS), shown.decode()
    finally:
        os.close(ours)
        program.kill()
        program.wait(SECONDS)


def _shown(terminal: int) -> bytes:
    """What comes next on a terminal; nothing when its program has ended, or hangs."""
    if not select.select([terminal], [], [], SECONDS)[0]:
        return b""
    try:
        return os.read(terminal, 4096)
    except OSError:
        # How Linux says that nobody has the other side open.
        return b""


@pytest.mark.service
class Processes(SynchronousTestCase):
    """The installed command, a terminal, and a real Secret Service."""

    def test_a_secret_goes_from_the_terminal_to_the_keychain_and_nowhere_else(self) -> None:
        make_node(Path("raic-node"))
        with secret_service() as service:
            environment = {**clean_environment(), **service.environment}
            code, shown = on_terminal("set", "aws", typed=TYPED, environment=environment)
            self.assertEqual(code, 0, shown)
            self.assertIn("kept in: OS keychain (Secret Service)", shown)
            self.assertEqual(service.secrets(), [KEY_ID, KEY])
            code, listed = without_terminal("list", environment=environment)
            self.assertEqual(code, 0, listed)
            self.assertIn("secret_access_key: keychain", listed)
            service.lock()
            code, locked = without_terminal("list", environment=environment)
            self.assertEqual(code, 1, locked)
            self.assertIn("the keychain is locked", locked)
            for secret in (KEY_ID, KEY):
                self.assertNotIn(secret, shown + listed + locked)
        self.assertEqual(holders(Path.cwd()), [])

    def test_without_a_terminal_nothing_is_asked(self) -> None:
        make_node(Path("raic-node"))
        code, said = without_terminal(
            "set", "aws", "--store", "file", environment=clean_environment()
        )
        self.assertEqual(code, 2, said)
        self.assertIn("secrets are asked for on a terminal, and there is none", said)
        self.assertNotIn("Warning", said)
