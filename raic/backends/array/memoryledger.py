"""A ledger in memory, with the little of an index that it goes by: for tests of arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, parse_fragment_key
from raic.ledger import IFragmentLedger
from raic.values import ArrayEvent, ArrayTotals, FragmentState, Garbage, Placed

K = TypeVar("K")
V = TypeVar("V")

_DAY_SECONDS = 24 * 60 * 60


@implementer(IFragmentLedger)
class MemoryLedger:
    """Keeps the contract of the ledger as the index does, and loses everything with the process.

    :ivar referred: the objects that are referred to.
    :ivar intended: the objects, and the fragments, that are intended.
    :ivar garbage: by key, what is to be deleted.
    :ivar repairs: by fragment key, the reason that was given.
    :ivar attempts: by object key and number, the attempt that counts, unless it is the first.
    """

    def __init__(self) -> None:
        self.referred: set[str] = set()
        self.intended: set[str] = set()
        self.garbage: dict[str, Garbage] = {}
        self.repairs: dict[str, str] = {}
        self.attempts: dict[tuple[str, int], str] = {}
        self.verified: dict[str, int] = {}
        self.placement: tuple[Placed, ...] = ()
        self.events: list[ArrayEvent] = []
        self.notes: dict[str, str] = {}
        self.settled: set[str] = set()

    def copy(self) -> MemoryLedger:
        """Another with the same contents."""
        other = MemoryLedger()
        for name, value in vars(self).items():
            setattr(other, name, value if isinstance(value, tuple) else value.copy())
        return other

    # What an index does

    def reserve(self, keys: Collection[str]) -> None:
        """Intend objects."""
        self.intended.update(keys)

    def commit(
        self,
        keys: Collection[str],
        missing: Collection[str] = (),
        dropped: Collection[str] = (),
        not_before: int = 0,
    ) -> None:
        """Refer to objects from now on, and no longer to others.

        :param missing: the fragments of the former that were not durable as they were written.
        """
        self.intended.difference_update(keys)
        self.referred.update(keys)
        for text in missing:
            if _fragment(text).object_key in keys and text not in self.settled:
                self.repairs.setdefault(text, "")
        self._forget_settled(keys)
        for key in dropped:
            self._discard(Garbage(key, not_before))
        self.neglect()

    def settle_garbage(self, settled: Collection[Garbage]) -> None:
        """As :meth:`raic.interfaces.IIndex.settle_garbage`."""
        for one in settled:
            held = self.garbage.get(one.key)
            if held is None:
                continue
            if one.passes > 1 and held.passes > 1:
                left = evolve(held, not_before=one.not_before, passes=held.passes - 1)
                self.garbage[one.key] = left
            elif one.passes == held.passes == 1 and held.not_before <= one.not_before:
                del self.garbage[one.key]
                for place in [place for place in self.attempts if place[0] == one.key]:
                    del self.attempts[place]

    def restart(self, not_before: int, clean: bool) -> None:
        """What the next process does first."""
        self.settled.clear()
        self.release([Garbage(key, not_before, 1 if clean else 2) for key in self.intended])

    def neglect(self) -> None:
        """Drop what only matters while an object is referred to."""
        self.repairs = _where(
            self.repairs, [text for text in self.repairs if _object(text) in self.referred]
        )
        self.verified = _where(self.verified, self.referred)

    # Fragments

    def lookup(self, object_key: str) -> Deferred[FragmentState]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        missing = [_fragment(text) for text in self.repairs if _object(text) == object_key]
        attempts = {
            num: attempt for (key, num), attempt in self.attempts.items() if key == object_key
        }
        return succeed(FragmentState(frozenset(key.number for key in missing), attempts))

    def note_missing(self, fragment_keys: Collection[str], reason: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        for text in fragment_keys:
            key = _fragment(text)
            if key.object_key in self.referred and self._counting(key) == key.attempt:
                self.repairs.setdefault(text, reason)
        return succeed(None)

    def settle(self, fragment_key: str) -> Deferred[bool]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        key = _fragment(fragment_key)
        if self._counting(key) != key.attempt or fragment_key in self.garbage:
            return succeed(False)
        if key.object_key in self.referred:
            self.repairs.pop(fragment_key, None)
        elif key.object_key in self.intended:
            self.settled.add(fragment_key)
        return succeed(self._is_alive(key) or key.object_key.startswith("claims/"))

    def next_repairs(self, limit: int, after: str) -> Deferred[tuple[str, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(tuple(sorted(text for text in self.repairs if text > after)[:limit]))

    def begin_attempt(self, fragment_key: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        self.reserve([str(_fragment(fragment_key))])
        return succeed(None)

    def commit_attempt(
        self, fragment_key: str, replaced: str | None, not_before: int
    ) -> Deferred[bool]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        key, before = _fragment(fragment_key), FIRST_ATTEMPT
        if replaced is not None:
            before = _fragment(replaced).attempt
            if key.sibling(key.number, before) != _fragment(replaced):
                raise ValueError(f"{fragment_key} cannot replace {replaced}")
            if key.attempt in (FIRST_ATTEMPT, before):
                raise ValueError(f"{fragment_key} is not of a new attempt")
        self.intended.discard(fragment_key)
        useful = self._is_alive(key) and fragment_key not in self.garbage
        if not useful or self._counting(key) not in (before, key.attempt):
            self._discard(Garbage(fragment_key, not_before))
            return succeed(False)
        for text in [text for text in self.repairs if _same(_fragment(text), key)]:
            del self.repairs[text]
        if key.attempt != FIRST_ATTEMPT:
            self.attempts[key.object_key, key.number] = key.attempt
        if replaced is not None:
            self._discard(Garbage(replaced, not_before, 2))
        return succeed(True)

    def release(self, garbage: Collection[Garbage]) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        for one in garbage:
            self._discard(one)
        return succeed(None)

    # Placement

    def get_intended(self) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        objects = {key for key in self.intended if parse_fragment_key(key) is None}
        return succeed(frozenset(objects))

    def get_placement(self) -> Deferred[tuple[Placed, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(self.placement)

    def set_placement(self, rows: Sequence[Placed]) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        self.placement = tuple(sorted(rows, key=lambda row: row.number))
        return succeed(None)

    # Verification

    def next_objects(self, after: str, limit: int) -> Deferred[tuple[str, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(tuple(sorted(key for key in self.referred if key > after)[:limit]))

    def note_verified(self, object_keys: Collection[str], when: int) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        for key in self.referred.intersection(object_keys):
            self.verified[key] = max(when, self.verified.get(key, when))
        return succeed(None)

    def get_verified(self, object_keys: Collection[str]) -> Deferred[Mapping[str, int]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(_where(self.verified, object_keys))

    # For the operator

    def get_array_totals(self) -> Deferred[ArrayTotals]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        days = [when // _DAY_SECONDS for when in self.verified.values()]
        totals = ArrayTotals(
            repairs=len(self.repairs),
            attempts=len(self.attempts),
            objects=len(self.referred),
            verified=len(self.verified),
            oldest=min(days) * _DAY_SECONDS if days else None,
        )
        return succeed(totals)

    def get_notes(self) -> Deferred[Mapping[str, str]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(dict(self.notes))

    def set_note(self, name: str, text: str) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        self.notes.pop(name, None)
        if text:
            self.notes[name] = text
        return succeed(None)

    def add_event(self, event: ArrayEvent) -> Deferred[None]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        self.events.append(event)
        return succeed(None)

    def get_events(self, limit: int) -> Deferred[tuple[ArrayEvent, ...]]:
        """See :class:`raic.interfaces.IFragmentLedger`."""
        return succeed(tuple(reversed(self.events))[:limit])

    # How it is done

    def _counting(self, key: FragmentKey) -> str:
        return self.attempts.get((key.object_key, key.number), FIRST_ATTEMPT)

    def _is_alive(self, key: FragmentKey) -> bool:
        return key.object_key in self.referred or key.object_key in self.intended

    def _discard(self, garbage: Garbage) -> None:
        self.intended.discard(garbage.key)
        self.referred.discard(garbage.key)
        self._forget_settled([garbage.key])
        held = self.garbage.get(garbage.key, garbage)
        self.garbage[garbage.key] = Garbage(
            garbage.key,
            max(held.not_before, garbage.not_before),
            max(held.passes, garbage.passes),
        )
        self.neglect()

    def _forget_settled(self, keys: Collection[str]) -> None:
        self.settled = {text for text in self.settled if _object(text) not in keys}


def _fragment(text: str) -> FragmentKey:
    key = parse_fragment_key(text)
    if key is None:
        raise ValueError(f"{text!r} is no fragment's key")
    return key


def _object(text: str) -> str:
    return _fragment(text).object_key


def _same(one: FragmentKey, other: FragmentKey) -> bool:
    return (one.object_key, one.number) == (other.object_key, other.number)


def _where(values: Mapping[K, V], keys: Collection[K]) -> dict[K, V]:
    return {key: value for key, value in values.items() if key in keys}
