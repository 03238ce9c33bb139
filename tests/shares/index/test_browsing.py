"""Looking through storage indexes."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.shares.index import create_index, open_index
from raic.shares.index.browsing import storage_indexes
from raic.shares.keys import encode_index
from tests.contracts.index_values import inline, make_lease, make_share, make_version


class BrowsingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        create_index(self.path, 1)
        index = open_index(self.path, Clock(), None, local_listing=True, on_fatal=self.fail)
        self.indexes = sorted(bytes([number * 7 % 256, number]) * 8 for number in range(40))
        for number, each in enumerate(self.indexes):
            if number % 2:
                for shnum in range(2):
                    share = make_share(each, shnum)
                    self.successResultOf(index.commit_share(share, make_lease()))
            if number % 3 == 0 or not number % 2:
                slot = make_version(index.next_version(), [inline()], each)
                self.successResultOf(index.commit_slot(slot, None, None, 0))
        self.successResultOf(index.close())

    def ask(self, prefix: str = "", after: bytes = b"", limit: int = 100) -> list[bytes]:
        with closing(sqlite3.connect(self.path)) as database:
            return list(storage_indexes(database.execute, prefix, after, limit))

    def test_all_are_found_once_in_pages(self) -> None:
        found: list[bytes] = []
        while page := self.ask(after=found[-1] if found else b"", limit=7):
            found += page
        self.assertEqual(found, self.indexes)

    def test_any_prefix_finds_what_begins_so(self) -> None:
        for each in self.indexes[::5]:
            text = encode_index(each)
            for length in (1, 2, 7, 25, 26):
                expected = [
                    one for one in self.indexes if encode_index(one).startswith(text[:length])
                ]
                self.assertEqual(self.ask(text[:length]), expected)

    def test_what_no_text_begins_with_is_refused(self) -> None:
        for prefix in ("A", "a b", "1", "a" * 27, "b" * 26):
            self.assertRaises(ValueError, self.ask, prefix)
