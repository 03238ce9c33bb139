from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.config.credentials import Secret
from raic.config.credentials.sources import EnvironmentSource, SystemdSource
from raic.errors import CredentialsUnusable
from tests.config.credentials.wants import KEY, KEY_ID, SECRETS, s3


class Environment(SynchronousTestCase):
    def test_each_secret_has_its_variable(self) -> None:
        source = EnvironmentSource(
            {"RAIC_MY_AWS_ACCESS_KEY_ID": KEY_ID, "RAIC_MY_AWS_SECRET_ACCESS_KEY": f"{KEY}\n"}
        )
        self.assertEqual(source.read(s3("my-aws")), SECRETS)
        self.assertEqual(source.read(s3("other")), {})

    def test_an_empty_variable_is_none(self) -> None:
        self.assertEqual(EnvironmentSource({"RAIC_AWS_ACCESS_KEY_ID": ""}).read(s3()), {})

    def test_what_is_no_secret_is_refused_and_not_shown(self) -> None:
        source = EnvironmentSource({"RAIC_AWS_ACCESS_KEY_ID": "two\nlines"})
        error = self.assertRaises(CredentialsUnusable, source.read, s3())
        self.assertIn("RAIC_AWS_ACCESS_KEY_ID", str(error))
        self.assertNotIn("two", str(error))


class Systemd(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path("credentials")
        self.folder.mkdir()
        self.source = SystemdSource({"CREDENTIALS_DIRECTORY": str(self.folder)})

    def test_each_secret_has_its_file(self) -> None:
        (self.folder / "aws.access_key_id").write_text(f"{KEY_ID}\n")
        (self.folder / "aws.secret_access_key").write_text(KEY)
        self.assertEqual(self.source.read(s3()), SECRETS)
        self.assertIn(str(self.folder), self.source.describe())

    def test_a_changed_file_is_read_anew(self) -> None:
        path = self.folder / "aws.access_key_id"
        for text in ("old", "new"):
            path.write_text(text)
            self.assertEqual(self.source.read(s3()), {"access_key_id": Secret(text)})

    def test_a_process_without_credentials_has_none(self) -> None:
        self.assertEqual(SystemdSource({}).read(s3()), {})
        self.assertIn("none passed", SystemdSource({}).describe())

    def test_what_cannot_be_read_is_told(self) -> None:
        path = self.folder / "aws.access_key_id"
        path.mkdir()
        error = self.assertRaises(CredentialsUnusable, self.source.read, s3())
        self.assertIn("Is a directory", str(error))
        path.rmdir()
        for data in (b"\xff\xfe", b"-----BEGIN\nKEY-----"):
            path.write_bytes(data)
            error = self.assertRaises(CredentialsUnusable, self.source.read, s3())
            self.assertIn("aws.access_key_id", str(error))
            self.assertNotIn("BEGIN", str(error))
