from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from raic.config.credentials import Secret
from raic.config.credentials.sealedfile import MAX_COST, SealedFileSource, find_passphrase
from raic.errors import CredentialsUnusable
from tests.config.credentials.wants import KEY, KEY_ID, SECRETS, s3

PASSPHRASE = Secret("correct horse")


class SealedFile(SynchronousTestCase):
    def setUp(self) -> None:
        Path("private").mkdir()
        self.path = Path("private/credentials.sealed")
        self.source = self.opened(PASSPHRASE)

    def opened(self, passphrase: Secret | None) -> SealedFileSource:
        return SealedFileSource(self.path, lambda: passphrase, cost=16)

    def test_it_gives_back_what_it_was_given(self) -> None:
        self.assertEqual(self.source.read(s3()), {})
        self.assertIn("not made yet", self.source.describe())
        self.source.store(s3(), SECRETS)
        self.source.store(s3("ovh"), {"access_key_id": Secret("ä")})
        again = self.opened(PASSPHRASE)
        self.assertEqual(again.read(s3()), SECRETS)
        self.assertEqual(again.read(s3("ovh")), {"access_key_id": Secret("ä")})
        self.assertNotIn("not made yet", again.describe())

    def test_nothing_in_it_can_be_read_and_only_by_its_owner(self) -> None:
        self.source.store(s3(), SECRETS)
        first = self.path.read_bytes()
        for text in (KEY, KEY_ID, PASSPHRASE.reveal(), "access_key_id", '"aws"'):
            self.assertNotIn(text.encode(), first)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.source.store(s3(), SECRETS)
        for name in ("salt", "nonce", "sealed"):
            self.assertNotEqual(
                json.loads(first)[name], json.loads(self.path.read_bytes())[name], name
            )

    def test_it_replaces_and_forgets(self) -> None:
        self.assertFalse(self.source.forget(s3()))
        self.source.store(s3(), {**SECRETS, "session_token": Secret("temporary")})
        self.source.store(s3(), SECRETS)
        self.assertEqual(self.source.read(s3()), SECRETS)
        self.assertFalse(self.source.forget(s3("ovh")))
        self.assertTrue(self.source.forget(s3()))
        self.assertEqual(self.source.read(s3()), {})

    def test_another_passphrase_neither_opens_nor_replaces_it(self) -> None:
        self.source.store(s3(), SECRETS)
        before = self.path.read_bytes()
        other = self.opened(Secret("incorrect horse"))
        for use in (
            lambda: other.read(s3()),
            lambda: other.store(s3(), {}),
            lambda: other.forget(s3()),
        ):
            error = self.assertRaises(CredentialsUnusable, use)
            self.assertIn("the passphrase is wrong, or the file was altered", str(error))
            self.assertNotIn("horse", f"{error} {error.remedy}")
        self.assertEqual(self.path.read_bytes(), before)

    def test_without_a_passphrase_it_says_where_one_is_looked_for(self) -> None:
        nobody = self.opened(None)
        self.assertEqual(nobody.read(s3()), {}, "there is no file to open")
        self.source.store(s3(), SECRETS)
        error = self.assertRaises(CredentialsUnusable, nobody.read, s3())
        self.assertIn("credentials.passphrase", error.remedy)
        self.assertIn("RAIC_CREDENTIALS_PASSPHRASE", error.remedy)

    def test_a_damaged_file_is_told_apart_from_an_absent_one(self) -> None:
        self.source.store(s3(), SECRETS)
        good = json.loads(self.path.read_bytes())
        sealed = good["sealed"]
        damages: tuple[Any, ...] = (
            {**good, "sealed": ("A" if sealed[0] != "A" else "B") + sealed[1:]},
            {**good, "format": "RAIC credentials 2"},
            {**good, "cost": MAX_COST * 2},
            {**good, "cost": 17},
            {**good, "salt": "?"},
            {"format": good["format"]},
            [],
            "",
        )
        for damaged in damages:
            self.path.write_text(json.dumps(damaged) if damaged else "")
            error = self.assertRaises(CredentialsUnusable, self.source.read, s3())
            self.assertIn("raic credentials set", error.remedy)

    def test_a_file_that_cannot_be_read_or_written_is_told(self) -> None:
        self.path.mkdir()
        error = self.assertRaises(CredentialsUnusable, self.source.read, s3())
        self.assertIn("cannot be read: Is a directory", str(error))
        self.path.rmdir()
        self.path.symlink_to("nowhere/at/all")
        nowhere = SealedFileSource(Path("nowhere/file"), lambda: PASSPHRASE, cost=16)
        error = self.assertRaises(CredentialsUnusable, nowhere.store, s3(), SECRETS)
        self.assertIn("cannot be written: No such file", str(error))

    def test_a_file_that_cannot_be_replaced_stays(self) -> None:
        self.path.mkdir()
        fresh = SealedFileSource(self.path / "credentials.sealed", lambda: PASSPHRASE, cost=16)
        fresh.store(s3(), SECRETS)
        before = fresh.path.read_bytes()
        with_long_name = SealedFileSource(self.path / ("x" * 250), lambda: PASSPHRASE, cost=16)
        error = self.assertRaises(CredentialsUnusable, with_long_name.store, s3(), SECRETS)
        self.assertIn("cannot be written: File name too long", str(error))
        self.assertEqual(fresh.path.read_bytes(), before)

    def test_writers_at_the_same_time_lose_nothing(self) -> None:
        writers = [
            threading.Thread(
                target=self.opened(PASSPHRASE).store, args=(s3(f"cloud{number}"), SECRETS)
            )
            for number in range(8)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(20)
        for number in range(8):
            self.assertEqual(self.source.read(s3(f"cloud{number}")), SECRETS)


class Passphrase(SynchronousTestCase):
    def test_it_is_systemds_or_else_the_environments(self) -> None:
        folder = Path("credentials")
        folder.mkdir()
        environment = {"CREDENTIALS_DIRECTORY": str(folder)}
        self.assertIs(find_passphrase(environment), None)
        environment["RAIC_CREDENTIALS_PASSPHRASE"] = "from the environment"
        self.assertEqual(find_passphrase(environment), Secret("from the environment"))
        (folder / "credentials.passphrase").write_text("from systemd\n")
        self.assertEqual(find_passphrase(environment), Secret("from systemd"))
