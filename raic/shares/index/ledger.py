"""What an array must remember, in the SQLite file of the index."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.fragmentkeys import FIRST_ATTEMPT, parse_fragment_key
from raic.ledger import IFragmentLedger
from raic.shares.index import arrays, fragments, objects, verified
from raic.shares.index import garbage as due
from raic.shares.index.database import Database
from raic.shares.index.fragments import fragment_key
from raic.shares.index.intents import Intents
from raic.values import ArrayEvent, ArrayTotals, FragmentState, Garbage, Placed

T = TypeVar("T")

_ORDINARY = FragmentState()


@implementer(IFragmentLedger)
class SqliteLedger:
    """The array's side of an index; see :class:`raic.interfaces.IFragmentLedger`.

    Every read of an object asks :meth:`lookup` first, so while nothing is noted of any object
    that is known in memory: from when an operation that leaves nothing noted has ended, until one
    that may note something is asked for.
    """

    def __init__(self, database: Database, intents: Intents) -> None:
        self._database = database
        self._intents = intents
        self._ordinary = False
        self._additions = 0
        self._check(None, 0)

    # Fragments

    def lookup(self, object_key: str) -> Deferred[FragmentState]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        if self._ordinary and self._database.stopped is None:
            return succeed(_ORDINARY)
        return self._database.look_up(fragments.state, object_key)

    def note_missing(self, fragment_keys: Collection[str], reason: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        for text in fragment_keys:
            fragment_key(text)
        self._adding()
        return self._database.submit(fragments.note_missing, tuple(fragment_keys), reason)

    def settle(self, fragment_key: str) -> Deferred[bool]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        # A commit that is asked for before the answer need not note the repair first.
        news = self._intents.settle(fragment_key)
        done = self._database.submit(fragments.settle, fragment_key, self._is_kept(fragment_key))
        return done.addCallbacks(
            self._settled,
            self._not_settled,
            callbackArgs=(fragment_key, self._additions),
            errbackArgs=(fragment_key, news),
        )

    def _settled(self, outcome: tuple[bool, bool], fragment: str, additions: int) -> bool:
        useful, waiting = outcome
        if not waiting:
            self._intents.unsettle(fragment)
        self._check(None, additions)
        return useful

    def _not_settled(self, failure: Failure, fragment: str, news: bool) -> Failure:
        if news:
            self._intents.unsettle(fragment)
        return failure

    def next_repairs(self, limit: int, after: str) -> Deferred[tuple[str, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.scan(fragments.next_repairs, limit, after)

    def begin_attempt(self, fragment_key: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        fragments.fragment_key(fragment_key)
        return self._database.submit(due.reserve, (fragment_key,))

    def commit_attempt(
        self, fragment_key: str, replaced: str | None, not_before: int
    ) -> Deferred[bool]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        _check_replaced(fragment_key, replaced)
        self._adding()
        done = self._database.submit(
            fragments.commit_attempt,
            fragment_key,
            replaced,
            not_before,
            self._is_kept(fragment_key),
        )
        return done.addCallback(self._check, self._additions)

    def release(self, garbage: Collection[Garbage]) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._intents.release(garbage)

    def get_intended(self) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""

        def objects_of(on_disk: Collection[str]) -> frozenset[str]:
            keys = self._intents.kept.union(on_disk)
            return frozenset(key for key in keys if parse_fragment_key(key) is None)

        return self._database.scan(due.intended).addCallback(objects_of)

    # Placement

    def get_placement(self) -> Deferred[tuple[Placed, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.look_up(arrays.get_placement)

    def set_placement(self, rows: Sequence[Placed]) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.submit(arrays.set_placement, tuple(rows))

    # Verification

    def next_objects(self, after: str, limit: int) -> Deferred[tuple[str, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.scan(objects.next_objects, after, limit)

    def note_verified(self, object_keys: Collection[str], when: int) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.submit(verified.note_verified, tuple(object_keys), when)

    def get_verified(self, object_keys: Collection[str]) -> Deferred[Mapping[str, int]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.scan(verified.get_verified, tuple(object_keys))

    # For the operator

    def get_array_totals(self) -> Deferred[ArrayTotals]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.look_up(verified.array_totals)

    def get_notes(self) -> Deferred[Mapping[str, str]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.look_up(arrays.get_notes)

    def set_note(self, name: str, text: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.submit(arrays.set_note, name, text)

    def add_event(self, event: ArrayEvent) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.submit(arrays.add_event, event)

    def get_events(self, limit: int) -> Deferred[tuple[ArrayEvent, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self._database.scan(arrays.get_events, limit)

    # For the index

    def to_note(self, missing: Collection[str], objects: Collection[str]) -> tuple[str, ...]:
        """Which repairs a commit of some objects is to note.

        :param missing: the fragments that were not durable when the objects were written.
        """
        noted = tuple(
            text
            for text in missing
            if fragment_key(text).object_key in objects and not self._intents.is_settled(text)
        )
        if noted:
            self._adding()
        return noted

    def dropping(self, done: Deferred[T]) -> Deferred[T]:
        """Look again at whether anything is noted, once an operation is done that drops some."""
        return done if self._ordinary else done.addCallback(self._check, self._additions)

    # How it is done

    def _adding(self) -> None:
        self._additions += 1
        self._ordinary = False

    def _check(self, result: T, additions: int) -> T:
        """Whether nothing is noted, unless an operation that may note more was asked since."""
        if additions == self._additions and not self._ordinary:
            self._database.look_up(fragments.is_ordinary).addCallbacks(
                self._checked, lambda _: None
            )
        return result

    def _checked(self, ordinary: bool) -> None:
        self._ordinary = ordinary

    def _is_kept(self, fragment: str) -> bool:
        kept = self._intents.kept
        return bool(kept) and fragment_key(fragment).object_key in kept


def _check_replaced(new: str, replaced: str | None) -> None:
    key = fragment_key(new)
    if replaced is None:
        return
    before = fragment_key(replaced)
    if before.sibling(key.number, key.attempt) != key or before.number != key.number:
        raise ValueError(f"{new} cannot replace {replaced}")
    if key.attempt in (FIRST_ATTEMPT, before.attempt):
        raise ValueError(f"{new} is not of a new attempt")
