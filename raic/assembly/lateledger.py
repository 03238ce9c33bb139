"""A ledger for an array that has to be listed before there is an index."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from raic.deferreds import async_to_deferred
from raic.interfaces import IFragmentLedger
from raic.values import ArrayEvent, ArrayTotals, FragmentState, Garbage, Placed


@implementer(IFragmentLedger)
class LateLedger:
    """Passes everything on to the index's ledger, from when there is one.

    Until then it knows of nothing out of the ordinary but what it is told; nobody may write by
    then.
    """

    def __init__(self) -> None:
        self._ledger: IFragmentLedger | None = None
        self._attempts: Mapping[str, Mapping[int, str]] = {}
        self._rows: tuple[Placed, ...] = ()
        self._notes: dict[str, str] = {}

    @property
    def attached(self) -> IFragmentLedger:
        """The index's ledger.

        :raises RuntimeError: there is none yet, a programming error.
        """
        if self._ledger is None:
            raise RuntimeError("the index is not open yet")
        return self._ledger

    def tell(self, attempts: Mapping[str, Mapping[int, str]]) -> None:
        """Say which attempts count, by object and number, for as long as there is no index."""
        self._attempts = attempts

    @async_to_deferred
    async def attach(self, ledger: IFragmentLedger, *, is_anew: bool = False) -> None:
        """Pass everything on from now on.

        :param is_anew: whether the ledger is of an index that is being made anew: what the array
            has begun with counts more than what it says.
        :return: fires when the ledger knows what the array has begun with, if it has.  Fails with
            RuntimeError when it says where fragments are, and is not made anew: it ought to have
            been attached before.
        """
        self._ledger = ledger
        if not self._rows:
            return
        if not is_anew and await ledger.get_placement():
            raise RuntimeError("the array was started before its index was open")
        await ledger.set_placement(self._rows)
        noted = await ledger.get_notes()
        for name in self._notes.keys() - noted.keys():
            await ledger.set_note(name, self._notes[name])

    def lookup(self, object_key: str) -> Deferred[FragmentState]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        if self._ledger is None:
            told = self._attempts.get(object_key, {})
            return succeed(FragmentState(attempts=told))
        return self._ledger.lookup(object_key)

    def note_missing(self, fragment_keys: Collection[str], reason: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        if self._ledger is None:
            return succeed(None)
        return self._ledger.note_missing(fragment_keys, reason)

    def get_placement(self) -> Deferred[tuple[Placed, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(self._rows) if self._ledger is None else self._ledger.get_placement()

    def set_placement(self, rows: Sequence[Placed]) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        if self._ledger is None:
            self._rows = tuple(rows)
            return succeed(None)
        return self._ledger.set_placement(rows)

    def settle(self, fragment_key: str) -> Deferred[bool]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.settle(fragment_key)

    def next_repairs(self, limit: int, after: str) -> Deferred[tuple[str, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.next_repairs(limit, after)

    def begin_attempt(self, fragment_key: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.begin_attempt(fragment_key)

    def commit_attempt(
        self, fragment_key: str, replaced: str | None, not_before: int
    ) -> Deferred[bool]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.commit_attempt(fragment_key, replaced, not_before)

    def release(self, garbage: Collection[Garbage]) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.release(garbage)

    def get_intended(self) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.get_intended()

    def next_objects(self, after: str, limit: int) -> Deferred[tuple[str, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.next_objects(after, limit)

    def note_verified(self, object_keys: Collection[str], when: int) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.note_verified(object_keys, when)

    def get_verified(self, object_keys: Collection[str]) -> Deferred[Mapping[str, int]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.get_verified(object_keys)

    def get_array_totals(self) -> Deferred[ArrayTotals]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.get_array_totals()

    def get_notes(self) -> Deferred[Mapping[str, str]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(self._notes) if self._ledger is None else self._ledger.get_notes()

    def set_note(self, name: str, text: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        if self._ledger is None:
            self._notes[name] = text
            return succeed(None)
        return self._ledger.set_note(name, text)

    def add_event(self, event: ArrayEvent) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.add_event(event)

    def get_events(self, limit: int) -> Deferred[tuple[ArrayEvent, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return self.attached.get_events(limit)
