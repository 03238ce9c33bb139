"""What an array must remember of its fragments: part of :mod:`raic.interfaces`.

Its conventions hold here too.  A **fragment key** is the text of a
:class:`raic.fragmentkeys.FragmentKey`; an **object key** is what the array's callers pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from raic.values import ArrayEvent, ArrayTotals, FragmentState, Garbage, Placed


class IFragmentLedger(Interface):
    """Which fragments are not where, or what, the array would expect them to be; the index has it.

    As a rule each fragment of an object lies on the home of its number and is of the first
    attempt; of that nothing is noted.  Here are the exceptions.  For each object and number one
    fragment **counts**: that of the attempt committed last, else of attempt ``"0"``.

    An object is **referred to** while a share, a slot version or a chunk of one is stored in it,
    and it is **intended** between :meth:`IIndex.reserve` and the end of that intent.  One of a
    kind that the index does not keep, such as a claim, counts as intended for ever: what becomes
    of it is its writer's business.  The attempts of an object are remembered until it is neither
    referred to, nor intended, nor garbage: who deletes it must know them.  Every
    method is one whole operation, and fails, as those of ``IIndex`` do.  Text that is no fragment
    key is a programming error.
    """

    # Fragments

    def lookup(object_key: str) -> Deferred[FragmentState]:
        """What is out of the ordinary with an object's fragments.

        :return: fires with it, at once unless the index is cold; with an empty state for an
            object of which nothing is noted, be it unknown.
        """

    def note_missing(fragment_keys: Collection[str], reason: str) -> Deferred[None]:
        """Note repairs, because these fragments were found to be gone or altered.

        Has no effect for a fragment that does not count, for one of an object that is not
        referred to, and for one that is noted already.

        :param reason: what was found, for the operator.
        """

    def settle(fragment_key: str) -> Deferred[bool]:
        """Drop the repair of a fragment that is durable after all.

        Has no effect, and fires with True, for one that is not noted but whose object is
        referred to.  For an object that is intended it is remembered until the end of that
        intent: a commit that is asked for later, though it says that the fragment is missing,
        notes no repair.

        :return: fires with False when the fragment's object is neither referred to nor intended,
            another attempt counts, or the fragment is garbage: then the caller hands it to
            :meth:`release`.  Claims on the prefix are none of the index's objects; for their
            fragments it fires with True.
        """

    def next_repairs(limit: int, after: str) -> Deferred[tuple[str, ...]]:
        """The fragments to be repaired, by key.

        :param after: the last key of the previous answer; empty for the first.
        :return: fires with the keys in ascending order, at most ``limit``.
        """

    def begin_attempt(fragment_key: str) -> Deferred[None]:
        """Note that a new fragment is about to be written, in an attempt of its own.

        The attempt is new: no fragment of it was ever begun.  It may be ``"0"`` where no fragment
        of the number was.

        :return: fires when the intent is durable, whatever abilities the provider has: after a
            crash the fragment becomes garbage as any other object does.
        """

    def commit_attempt(fragment_key: str, replaced: str | None, not_before: int) -> Deferred[bool]:
        """Have a new fragment count from now on.

        In one transaction: ends the intent, drops all repairs of the object and number, remembers
        the attempt, and makes the replaced fragment garbage of two passes.  May be repeated.

        :param replaced: the fragment that counted before, whether or not it exists: of the same
            object, code and number; None when there was none.
        :param not_before: no garbage that this makes is deleted before this second.
        :return: fires with False when the object is neither referred to nor intended any more,
            another fragment than ``replaced`` counts by now, or the new fragment was made garbage:
            then it became garbage instead, in the same transaction, and repairs stay.
        """

    def release(garbage: Collection[Garbage]) -> Deferred[None]:
        """See :meth:`IIndex.release`; fragment keys are keys, too, and an array deletes just the
        fragment when it is given one.
        """

    def get_intended() -> Deferred[frozenset[str]]:
        """The objects that are intended now.

        :return: fires with their keys; single fragments, which can be intended too, are not among
            them.
        """

    # Placement

    def get_placement() -> Deferred[tuple[Placed, ...]]:
        """:return: fires with the rows, by number; empty when none were ever set."""

    def set_placement(rows: Sequence[Placed]) -> Deferred[None]:
        """Replace all rows."""

    # Verification

    def next_objects(after: str, limit: int) -> Deferred[tuple[str, ...]]:
        """The objects that are referred to, by key.

        :param after: the last key of the previous answer; empty for the first.
        :return: fires with the keys in ascending order, at most ``limit``.
        """

    def note_verified(object_keys: Collection[str], when: int) -> Deferred[None]:
        """Note that all fragments of these objects were found to be right.

        Has no effect for an object that is not referred to, or was verified later than that.
        """

    def get_verified(object_keys: Collection[str]) -> Deferred[Mapping[str, int]]:
        """:return: fires with when each was verified last; one that never was is missing."""

    # For the operator

    def get_array_totals() -> Deferred[ArrayTotals]:
        """:return: fires with the running totals; takes the same time at any size."""

    def get_notes() -> Deferred[Mapping[str, str]]:
        """:return: fires with all notes, by name."""

    def set_note(name: str, text: str) -> Deferred[None]:
        """Keep a short text for the array's upkeep, in place of any earlier one of that name.

        :param text: empty to forget it.
        """

    def add_event(event: ArrayEvent) -> Deferred[None]:
        """Keep a line of the array's history, of which only the newest 10,000 are kept."""

    def get_events(limit: int) -> Deferred[tuple[ArrayEvent, ...]]:
        """:return: fires with the newest events first."""
