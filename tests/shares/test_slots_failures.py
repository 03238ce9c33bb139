"""Slots whose provider or index fails."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet.defer import CancelledError

from raic.errors import (
    IndexFull,
    IndexStopped,
    OutcomeUnknown,
    ProviderBusy,
    StorageUnusable,
    VersionConflict,
)
from raic.shares.ages import GARBAGE_SECONDS, REQUEST_SECONDS
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.values import Garbage, SlotVersion
from tests.shares.slot_machine_world import (
    MIB,
    Held,
    SlotTestCase,
    Unanswered,
    busy,
    noise,
    put,
)
from tests.shares.stores import INDEX_A, NOW


class Failing(SlotTestCase):
    """Each test begins with a slot whose share 0 is ``b"old"``."""

    local_listing = False

    def setUp(self) -> None:
        super().setUp()
        self.change(s0=put((0, b"old")))
        self.calls()

    def garbage(self) -> set[Garbage]:
        found = self.successResultOf(self.index.next_garbage(2**40, 1000))
        return set(found)

    def put_keys(self) -> list[str]:
        return [key for method, key in self.remote.calls if method == "put_object"]

    def intents(self) -> int:
        return self.successResultOf(self.index.get_totals()).intents

    def test_what_could_not_be_put_is_garbage(self) -> None:
        self.remote.fates = [busy]
        self.failureResultOf(self.ask({0: put((0, b"new"))}), ProviderBusy)
        (key,) = self.put_keys()
        self.assertEqual(self.garbage(), {Garbage(key, NOW, 1)})
        self.assertEqual((self.contents(), self.intents()), ({0: b"old"}, 0))
        self.change(s0=put((0, b"new")))

    def test_what_may_have_been_put_is_deleted_twice_and_later(self) -> None:
        for lands in (False, True):
            self.remote.fates = [Unanswered(lands)]
            self.failureResultOf(self.ask({0: put((0, b"new"))}), OutcomeUnknown)
        expected = {Garbage(key, NOW + REQUEST_SECONDS, 2) for key in self.put_keys()}
        self.assertEqual(self.garbage(), expected)
        self.assertEqual((self.contents(), self.intents()), ({0: b"old"}, 0))

    def test_intents_are_noted_before_each_put(self) -> None:
        held = Held()
        self.remote.fates = [held] * 3
        asked = self.ask({0: put((0, noise(2 * MIB)))})
        self.assertEqual(self.intents(), 2)
        self.assertEqual(
            self.successResultOf(self.index.unknown_keys(self.put_keys())), frozenset()
        )
        held.let_go()
        held.let_go()
        self.assertEqual(self.intents(), 3)
        self.assertNoResult(asked)
        held.let_go()
        self.assertTrue(self.successResultOf(asked).success)
        self.assertEqual(self.intents(), 0)

    def test_the_version_replaced_is_garbage_for_later(self) -> None:
        old = self.version()
        self.change(s0=put((0, b"new")))
        self.assertEqual(self.garbage(), {Garbage(old.key, NOW + GARBAGE_SECONDS)})

    def test_when_a_chunk_fails_those_under_way_are_awaited_and_no_more_begun(self) -> None:
        held = Held()
        self.remote.fates = [held] * 100
        asked = self.ask({0: put((0, noise(10 * MIB)))})
        held.let_go()
        held.refuse(ProviderBusy("attic", "put_object", "slow down"))
        held.refuse(OutcomeUnknown("attic", "put_object", "no answer"))
        held.let_go()
        self.assertNoResult(asked)
        held.let_go()
        self.failureResultOf(asked, ProviderBusy)
        first, refused, unknown, fourth, fifth = self.put_keys()
        self.assertEqual(
            self.garbage(),
            {
                *(Garbage(key, NOW, 1) for key in (first, refused, fourth, fifth)),
                Garbage(unknown, NOW + REQUEST_SECONDS, 2),
            },
        )
        self.assertEqual((self.contents(), self.intents()), ({0: b"old"}, 0))

    def test_a_read_that_fails_changes_nothing(self) -> None:
        self.change(s0=put((0, noise(3 * MIB))))
        version, garbage = self.version(), self.garbage()
        self.remote.read_fates = [busy]
        self.failureResultOf(self.ask({0: put((1, b"x"), (MIB + 1, b"x"))}), ProviderBusy)
        self.assertEqual(self.version(), version)
        self.assertEqual(len(self.garbage()) - len(garbage), len(self.put_keys()) - 4)

    def test_a_version_that_someone_else_replaced_is_not_overwritten(self) -> None:
        held = Held()
        self.remote.fates = [held]
        asked = self.ask({0: put((0, b"new"))})
        self.drop_slot()
        held.let_go()
        self.failureResultOf(asked, VersionConflict)
        self.assertEqual(self.contents(), {})
        (key,) = self.put_keys()
        self.assertIn(Garbage(key, NOW, 1), self.garbage())

    def drop_slot(self) -> None:
        """What an expiry does."""
        old = self.version()
        tombstone = SlotVersion(
            INDEX_A, self.index.next_version(), old.key, 0, 0, {}, old.write_enabler
        )
        self.successResultOf(self.index.commit_slot(tombstone, old.version, None, 0))

    def test_an_unexpected_error_counts_as_one_that_may_land(self) -> None:
        held = Held()
        self.remote.fates = [held]
        asked = self.ask({0: put((0, b"new"))})
        held.refuse(ZeroDivisionError())
        self.failureResultOf(asked, ZeroDivisionError)
        (key,) = self.put_keys()
        self.assertEqual(self.garbage(), {Garbage(key, NOW + REQUEST_SECONDS, 2)})

    def test_a_caller_that_goes_away_does_not_stop_the_update(self) -> None:
        held = Held()
        self.remote.fates = [held]
        asked = self.ask({0: put((0, b"new"))})
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        held.let_go()
        self.assertEqual(self.contents(), {0: b"new"})
        self.change(s0=put((0, b"newer")))

    def test_a_stopped_provider_changes_nothing(self) -> None:
        self.successResultOf(self.remote.stop())
        self.failureResultOf(self.ask({0: put((0, b"new"))}), StorageUnusable)
        self.successResultOf(self.remote.start())
        self.assertEqual(self.contents(), {0: b"old"})


class Trouble:
    """What SQLite says to statements that begin with some words."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}

    def connection(self) -> type[sqlite3.Connection]:
        """A class of connections that have this trouble."""
        trouble = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                for words, complaint in trouble.words.items():
                    if sql.startswith(words):
                        raise sqlite3.OperationalError(complaint)
                return super().execute(sql, *arguments)

        return Connection


class FailingIndex(Failing):
    """The same, and more, over an index whose disk can fail."""

    def new_index(self, epoch: int) -> SQLiteIndex:
        self.trouble = Trouble()
        self.path = self.mktemp()
        create_index(self.path, epoch)
        return self.reopened()

    def reopened(self) -> SQLiteIndex:
        index = open_index(
            self.path,
            self.clock,
            None,
            sync=False,
            local_listing=False,
            on_fatal=self.fatal.append,
            factory=self.trouble.connection(),
        )
        self.addCleanup(index.close)
        return index

    def test_without_room_in_the_index_nothing_changes(self) -> None:
        self.trouble.words = {"INSERT INTO slots": "database or disk is full"}
        self.failureResultOf(self.ask({0: put((0, b"new"))}), IndexFull)
        (key,) = self.put_keys()
        self.assertEqual(self.garbage(), {Garbage(key, NOW, 1)})
        self.assertEqual(self.contents(), {0: b"old"})

    def test_garbage_that_cannot_be_noted_stays_an_intent(self) -> None:
        self.trouble.words = {"INSERT INTO garbage": "database or disk is full"}
        self.remote.fates = [busy]
        self.failureResultOf(self.ask({0: put((0, b"new"))}), ProviderBusy)
        self.assertEqual((self.garbage(), self.intents()), (set(), 1))

    def test_without_an_intent_nothing_is_put(self) -> None:
        self.trouble.words = {"INSERT INTO intents": "database or disk is full"}
        self.failureResultOf(self.ask({0: put((0, b"new"))}), IndexFull)
        self.assertEqual((self.put_keys(), self.garbage()), ([], set()))

    def test_when_a_commit_fails_no_object_is_touched(self) -> None:
        self.remote.fates = [self.breaking]
        self.failureResultOf(self.ask({0: put((0, b"new"))}), IndexStopped)
        self.assertEqual(len(self.fatal), 1)
        (key,) = self.put_keys()
        self.assertIn(key, self.objects())
        self.successResultOf(self.index.close())
        self.trouble.words = {}
        self.index = self.reopened()
        self.slots = self.new_slots()
        self.assertEqual(self.contents(), {0: b"old"})
        self.assertEqual(self.garbage(), {Garbage(key, NOW + REQUEST_SECONDS, 2)})

    def breaking(self, send: Any) -> Any:
        """Store the object; the next commit fails."""
        self.trouble.words = {"COMMIT": "disk I/O error"}
        return send()

    def test_when_the_index_stops_among_chunks_that_is_what_is_told(self) -> None:
        held = Held()
        self.remote.fates = [held] * 4
        asked = self.ask({0: put((0, noise(10 * MIB)))})
        self.trouble.words = {"COMMIT": "disk I/O error"}
        # the next chunk's intent cannot be noted
        held.let_go()
        held.refuse(ProviderBusy("attic", "put_object", "slow down"))
        held.let_go()
        held.let_go()
        self.failureResultOf(asked, IndexStopped)
