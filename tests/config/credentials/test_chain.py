from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from itertools import combinations, count
from pathlib import Path

from attrs import define, evolve, field
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from raic.cli.logs import make_observer
from raic.config.credentials import (
    Answer,
    Credentials,
    Found,
    Secret,
    Trouble,
    Wanted,
    find_credentials,
    standard_sources,
)
from raic.config.credentials.chain import RECENT_SECONDS
from raic.config.credentials.keychain import KeychainSource
from raic.config.credentials.sealedfile import SealedFileSource
from raic.errors import ConfigurationError, CredentialsUnusable
from raic.workers import InlineWorkers
from tests.config.credentials.keyrings import LockedKeyring, MemoryKeyring
from tests.config.credentials.wants import KEY, KEY_ID, SECRETS, s3

DOCUMENT = Path(__file__).parents[3] / "docs" / "credentials.rst"
ORDER = ("keychain", "file", "systemd", "environment", "command")


class Everywhere:
    """All sources, each of which can be given secrets of its own."""

    def __init__(self, folder: Path) -> None:
        for name in ("private", "systemd"):
            (folder / name).mkdir(parents=True)
        (folder / "printed").touch()
        self.folder = folder
        self.wanted = s3(command=("cat", "printed"))
        keyring = MemoryKeyring()
        self.environment = {"CREDENTIALS_DIRECTORY": str(folder / "systemd")}
        plain = standard_sources(folder, "v0-node", self.environment)
        self.sources = evolve(
            plain,
            keychain=KeychainSource("v0-node", lambda: keyring),
            file=SealedFileSource(plain.file.path, lambda: Secret("passphrase"), cost=16),
        )

    def put(self, kind: str) -> Mapping[str, Found]:
        """Put secrets where a source looks; returns them as they should be found."""
        secrets = {name: Secret(f"{secret.reveal()} of {kind}") for name, secret in SECRETS.items()}
        if kind == "keychain":
            self.sources.keychain.store(self.wanted, secrets)
        elif kind == "file":
            self.sources.file.store(self.wanted, secrets)
        for name, secret in secrets.items():
            if kind == "systemd":
                (self.folder / "systemd" / f"aws.{name}").write_text(secret.reveal())
            elif kind == "environment":
                self.environment[f"RAIC_AWS_{name.upper()}"] = secret.reveal()
            elif kind == "command":
                with (self.folder / "printed").open("a") as file:
                    file.write(f"{name}={secret.reveal()}\n")
        return {name: Found(secret, kind) for name, secret in secrets.items()}

    def find(self) -> Answer:
        return find_credentials(self.wanted, self.sources.ordered)


class Precedence(SynchronousTestCase):
    def test_the_order_is_the_documented_one(self) -> None:
        standard = standard_sources(Path.cwd(), "v0-node", {})
        self.assertEqual(tuple(source.kind for source in standard.ordered), ORDER)
        document = DOCUMENT.read_text()
        self.assertEqual(ORDER, tuple(re.findall(r"^#\. \*\*(\w+)\*\*", document, re.MULTILINE)))

    def test_each_source_alone_suffices(self) -> None:
        for kind in ORDER:
            everywhere = Everywhere(Path(kind))
            expected = everywhere.put(kind)
            answer = everywhere.find()
            self.assertEqual((answer.found, answer.missing, answer.troubles), (expected, (), ()))

    def test_of_two_the_earlier_is_believed(self) -> None:
        for first, second in combinations(ORDER, 2):
            everywhere = Everywhere(Path(f"{first}-{second}"))
            everywhere.put(second)
            expected = everywhere.put(first)
            self.assertEqual(everywhere.find().found, expected)


@define
class Scripted:
    """A source that has what it is told to have."""

    kind: str = "scripted"
    secrets: Mapping[str, Secret] = field(factory=dict)
    trouble: str = ""
    asked: int = 0

    def describe(self) -> str:
        return self.kind

    def read(self, wanted: Wanted) -> Mapping[str, Secret]:
        self.asked += 1
        if self.trouble:
            raise CredentialsUnusable(self.trouble, "mend it")
        return self.secrets


class Finding(SynchronousTestCase):
    def test_fields_may_come_from_different_sources(self) -> None:
        first = Scripted("first", {"access_key_id": Secret(KEY_ID)})
        second = Scripted("second", SECRETS)
        answer = find_credentials(s3(), [first, second])
        self.assertEqual(answer.found["access_key_id"].source, "first")
        self.assertEqual(answer.found["secret_access_key"].source, "second")
        self.assertEqual(answer.reveal(), {"access_key_id": KEY_ID, "secret_access_key": KEY})

    def test_an_old_session_token_does_not_go_with_new_keys(self) -> None:
        second = Scripted("second", {"session_token": Secret("old")})
        answer = find_credentials(s3(), [Scripted("first", SECRETS), second])
        self.assertNotIn("session_token", answer.found)
        self.assertEqual(second.asked, 0)

    def test_a_source_in_trouble_is_passed_over_and_told(self) -> None:
        answer = find_credentials(
            s3(), [Scripted("first", trouble="locked"), Scripted("second", SECRETS)]
        )
        self.assertEqual(answer.missing, ())
        self.assertEqual(answer.problems(), [])
        self.assertEqual(answer.troubles, (Trouble("first", "locked", "mend it"),))

    def test_what_is_missing_is_told_with_the_commands_that_help(self) -> None:
        first = Scripted("first", {"access_key_id": Secret(KEY_ID)})
        second = Scripted("second", trouble="locked")
        answer = find_credentials(s3(), [first, second], Path("/srv/raic"))
        error = self.assertRaises(ConfigurationError, answer.reveal)
        self.assertEqual(
            error.problems,
            (
                "[provider:aws]: no secret_access_key found: run 'raic credentials set aws"
                " --nodedir /srv/raic', or set RAIC_AWS_SECRET_ACCESS_KEY",
                "[provider:aws]: locked: mend it",
            ),
        )

    def test_ambient_asks_nobody(self) -> None:
        source = Scripted("first", SECRETS)
        answer = find_credentials(s3(ambient=True), [source])
        self.assertEqual((answer.reveal(), answer.missing, source.asked), ({}, (), 0))

    def test_without_fields_nobody_is_asked(self) -> None:
        source = Scripted("first", SECRETS)
        self.assertEqual(find_credentials(Wanted("disk", "filesystem", ()), [source]).reveal(), {})
        self.assertEqual(source.asked, 0)


class Reading(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.numbers = count()
        self.source = Scripted("keychain", SECRETS)
        self.credentials = self.make(self.source)
        self.log = StringIO()
        observer = make_observer(self.log, "debug")
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def make(self, *sources: Scripted) -> Credentials:
        return Credentials([s3(), s3("ovh")], sources, self.clock)

    def reload(self) -> frozenset[str]:
        return self.successResultOf(self.credentials.reload(InlineWorkers()))

    def rotate(self) -> Mapping[str, str]:
        number = next(self.numbers)
        new = {"access_key_id": f"id {number}", "secret_access_key": f"key {number}"}
        self.source.secrets = {name: Secret(text) for name, text in new.items()}
        return new

    def test_nothing_is_read_before_it_is_needed(self) -> None:
        present = self.credentials.of("aws")
        self.assertEqual((self.source.asked, self.reload()), (0, frozenset()))
        self.assertEqual(present(), {"access_key_id": KEY_ID, "secret_access_key": KEY})
        self.assertEqual(self.source.asked, 1)

    def test_a_crowd_of_refusals_makes_one_reading(self) -> None:
        present = self.credentials.of("aws")
        present()
        for asked in (2, 3):
            for _ in range(10):
                present()
            self.assertEqual(self.source.asked, asked)
            self.clock.advance(RECENT_SECONDS)

    def test_a_changed_secret_is_found_at_the_first_refusal(self) -> None:
        present = self.credentials.of("aws")
        present()
        for _ in range(3):
            new = self.rotate()
            self.assertEqual(present(), new)

    def test_one_that_is_changed_after_a_refusal_is_found_seconds_later(self) -> None:
        present = self.credentials.of("aws")
        before = present()
        self.assertEqual(present(), before)
        new = self.rotate()
        self.assertEqual(present(), before)
        self.clock.advance(RECENT_SECONDS)
        self.assertEqual(present(), new)

    def test_a_reload_finds_it_at_once_and_tells_whose_changed(self) -> None:
        aws, ovh = self.credentials.of("aws"), self.credentials.of("ovh")
        aws()
        self.assertEqual(self.reload(), frozenset())
        new = self.rotate()
        self.assertEqual(self.reload(), {"aws"})
        self.assertEqual(aws(), new)
        self.assertEqual(ovh(), new)
        self.assertEqual(self.reload(), frozenset())

    def test_secrets_stay_while_their_source_is_in_trouble(self) -> None:
        second = Scripted("environment", {name: Secret("out of date") for name in SECRETS})
        self.credentials = self.make(self.source, second)
        present = self.credentials.of("aws")
        before = present()
        self.source.trouble = "locked"
        self.assertEqual(self.reload(), frozenset())
        self.assertEqual(present(), before)
        self.source.trouble = ""
        new = self.rotate()
        self.assertEqual(self.reload(), {"aws"})
        self.assertEqual(present(), new)

    def test_secrets_that_were_deleted_are_missing(self) -> None:
        present = self.credentials.of("aws")
        present()
        self.source.secrets = {}
        self.assertEqual(self.reload(), {"aws"})
        self.assertRaises(ConfigurationError, present)

    def test_a_trouble_is_logged_once_and_with_its_remedy(self) -> None:
        self.source.trouble = "the keychain is locked"
        self.credentials = self.make(self.source, Scripted("environment", SECRETS))
        self.credentials.of("aws")()
        self.reload()
        self.reload()
        lines = self.log.getvalue().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("credentials of aws: the keychain is locked; what to do: mend it", lines[0])

    def test_nothing_that_is_logged_or_shown_holds_a_secret(self) -> None:
        present = self.credentials.of("aws")
        present()
        self.source.trouble = "locked"
        self.reload()
        answers = find_credentials(s3(), [Scripted("environment", SECRETS)])
        shown = self.log.getvalue() + repr(answers) + repr(vars(self.credentials)) + str(answers)
        self.assertNotIn(KEY, shown)
        self.assertNotIn(KEY_ID, shown)


class Threads(SynchronousTestCase):
    def test_a_locked_keychain_holds_up_nobody(self) -> None:
        locked = KeychainSource("v0-node", LockedKeyring)
        credentials = Credentials([s3()], [locked, Scripted("environment", SECRETS)], Clock())
        self.assertEqual(credentials.of("aws")()["access_key_id"], KEY_ID)
