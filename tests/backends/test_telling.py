"""The time that a service tells."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.telling import seconds_of


class Dates(SynchronousTestCase):
    def test_they_are_read_as_http_writes_them(self) -> None:
        self.assertEqual(seconds_of("Thu, 01 Jan 1970 00:01:40 GMT"), 100.0)

    def test_what_is_no_date_says_nothing(self) -> None:
        for date in (None, "", "yesterday"):
            self.assertIsNone(seconds_of(date))
