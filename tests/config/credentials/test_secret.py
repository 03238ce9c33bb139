from __future__ import annotations

import copy
import json
import pickle
from typing import Any

from attrs import frozen
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from raic.config.credentials.secret import Secret, one_line

TEXT = "correct horse battery staple"


@frozen
class Holder:
    name: str
    secret: Secret


class Redaction(SynchronousTestCase):
    def test_it_shows_nothing_of_itself(self) -> None:
        secret: Any = Secret(TEXT)
        shown = [
            repr(secret),
            str(secret),
            f"{secret}",
            f"{secret!r:>60}",
            f"{secret:>60}",
            "%s %r" % (secret, secret),  # noqa: UP031 - it is one of the ways
            "{0} {0!a}".format(secret),  # noqa: UP032 - as above
            repr([secret]),
            repr(Holder("aws", secret)),
            str(ValueError(secret)),
            Failure(ValueError(secret)).getTraceback(),
        ]
        for text in shown:
            self.assertNotIn("horse", text)
            self.assertIn("<redacted>", text)

    def test_it_is_not_written_anywhere_by_accident(self) -> None:
        for write in (pickle.dumps, json.dumps, copy.copy, copy.deepcopy):
            self.assertRaises(TypeError, write, Secret(TEXT))

    def test_it_reveals_itself_when_asked(self) -> None:
        self.assertEqual(Secret(TEXT).reveal(), TEXT)

    def test_secrets_are_compared_by_their_texts(self) -> None:
        self.assertEqual(Secret("ä"), Secret("ä"))
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertNotEqual(Secret("a"), "a")
        self.assertRaises(TypeError, hash, Secret("a"))


class Texts(SynchronousTestCase):
    def test_what_cannot_be_sent_is_refused_and_not_shown(self) -> None:
        for text in ("", "two\nlines", "a\x00null", "a\ttab", "trailing\r"):
            error = self.assertRaises(ValueError, Secret, text)
            self.assertNotIn(text or "''", str(error))

    def test_a_line_break_at_the_end_does_not_count(self) -> None:
        for text in ("a b", "a b\n", "a b\r\n"):
            self.assertEqual(one_line(text), Secret("a b"))

    def test_nothing_is_no_secret(self) -> None:
        for text in ("", "\n", "\r\n"):
            self.assertIs(one_line(text), None)
