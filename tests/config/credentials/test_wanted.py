from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.registry import Secret as Field
from raic.backends.registry import provider_type
from raic.config.credentials import Wanted, fields_of, wanted_credentials
from raic.config.credentials.wanted import variable_name
from raic.config.reading import read_text
from raic.errors import ConfigurationError


def names(kind: str) -> list[str]:
    return [field.name for field in fields_of(kind, {})]


def wanted(text: str) -> tuple[Wanted, ...]:
    return wanted_credentials(read_text(text))


class Fields(SynchronousTestCase):
    def test_each_type_says_what_it_needs(self) -> None:
        self.assertEqual(names("s3"), ["access_key_id", "secret_access_key", "session_token"])
        for kind in ("libcloud", "swift", "cloudfiles"):
            expected = [secret.name for secret in provider_type(kind).secrets]
            self.assertEqual(names(kind), expected)
            self.assertEqual(len(expected), 2)
        self.assertEqual(names("filesystem"), [])

    def test_a_type_that_there_is_not_is_a_mistake(self) -> None:
        self.assertRaises(ConfigurationError, names, "tape")


class Sections(SynchronousTestCase):
    def test_each_provider_says_what_it_wants(self) -> None:
        disk, aws, attic = wanted("""\
[storage]
backend = provider:disk
[provider:disk]
path = storage
[provider:aws]
type = s3
credentials_command = /usr/bin/pass-field "my cloud" aws
[provider:attic]
type = s3
credentials = ambient
""")
        self.assertEqual((disk.provider, disk.kind, disk.fields), ("disk", "filesystem", ()))
        self.assertEqual(aws.required, {"access_key_id", "secret_access_key"})
        self.assertEqual(aws.command, ("/usr/bin/pass-field", "my cloud", "aws"))
        self.assertFalse(aws.ambient)
        self.assertTrue(attic.ambient)

    def test_mistakes_are_listed_together(self) -> None:
        error = self.assertRaises(
            ConfigurationError,
            wanted,
            """\
[provider:../../etc]
[provider:a]
credentials = in my head
[provider:b]
credentials_command = pass "cloud
[provider:c]
type = tape
[provider:d]
credentials_command = pass \0
""",
        )
        lines = [problem.partition(": ")[0] for problem in error.problems]
        self.assertEqual(lines, [f"raic.cfg, line {number}" for number in (1, 2, 4, 6, 8)])
        self.assertIn("credentials: write stored or ambient", str(error))
        self.assertIn("credentials_command: write a program", str(error))

    def test_a_variable_cannot_stand_for_two_secrets(self) -> None:
        self.assertEqual(variable_name("my-aws", "key_id"), "RAIC_MY_AWS_KEY_ID")
        fields = (Field("token", "a token"), Field("session_token", "another"))

        def of(kind: str, settings: Mapping[str, str]) -> tuple[Field, ...]:
            return fields

        text = "[provider:aws]\n[provider:aws-session]\n[provider:aws_session]\n"
        error = self.assertRaises(ConfigurationError, wanted_credentials, read_text(text), of)
        self.assertEqual(len(error.problems), 3)
        self.assertIn("RAIC_AWS_SESSION_TOKEN would belong to both [provider:aws]", str(error))
