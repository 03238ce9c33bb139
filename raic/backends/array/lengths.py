"""How long objects are and how they were cut, which a reader must know to find their blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.code import Code
from raic.backends.array.codes import Codes
from raic.backends.array.members import Member, Placement
from raic.backends.array.unreadable import unreadable
from raic.errors import ObjectNotFound, ProviderError, StorageUnusable
from raic.fragmentkeys import FragmentKey, all_fragments_prefix, parse_fragment_key
from raic.values import ObjectPage

_REMEMBERED = 10_000
_TOLD = 512


@frozen
class Shape:
    """What there is to know of an object before any of its fragments is read."""

    code: Code
    length: int

    def key(self, object_key: str, number: int, attempt: str) -> FragmentKey:
        """The key of one of its fragments."""
        code = self.code
        return FragmentKey(object_key, code.needed, code.block_size, self.length, number, attempt)


def unknown_length(_: str) -> int | None:
    """For keys that do not tell."""
    return None


class Lengths:
    """The shapes of objects: told by their keys, remembered, or found by listing.

    :param name: the array's.
    :param codes: what objects are, and were, written with.
    :param placement: the current one.
    :param length_of: an object's length, if its key tells it.
    :param capacity: of how many other objects the shape is remembered.
    """

    def __init__(
        self,
        name: str,
        codes: Codes,
        placement: Callable[[], Placement],
        length_of: Callable[[str], int | None] = unknown_length,
        capacity: int = _REMEMBERED,
    ) -> None:
        self._name = name
        self._codes = codes
        self._placement = placement
        self._length_of = lru_cache(_TOLD)(length_of)
        self._capacity = capacity
        self._found: OrderedDict[str, Shape] = OrderedDict()

    def known(self, object_key: str) -> Shape | None:
        """An object's shape, be it there or not; None when it must be found.

        One that is told by the key is right unless the object was written with another code: a
        reader who finds nothing of it may find the shape all the same.
        """
        found = self._found.get(object_key)
        if found is not None:
            self._found.move_to_end(object_key)
            return found
        told = self._length_of(object_key)
        return None if told is None else Shape(self._codes.current, told)

    def is_sure(self, object_key: str) -> bool:
        """Whether what :meth:`known` says is so; else the object may have another code."""
        return self._codes.is_sure or object_key in self._found

    def note(self, object_key: str, shape: Shape) -> None:
        """Remember a shape, unless the key tells it."""
        if shape == self.known(object_key) and self.is_sure(object_key):
            return
        self._found[object_key] = shape
        while len(self._found) > self._capacity:
            self._found.popitem(last=False)

    def forget(self, object_key: str) -> None:
        """The object is gone."""
        self._found.pop(object_key, None)

    def find(self, object_key: str, operation: str) -> Deferred[Shape]:
        """Ask all members for the object's fragments, and remember what they say.

        :param operation: the ``IStorageProvider`` method, for messages.
        :return: fires as soon as there are enough fragments of one shape, each with a member that
            should have it.  Fails with
            ``ObjectNotFound`` when there is none of any, ``ObjectCorrupt`` when there are too
            few, and a temporary error when those who did not answer might have more.
        """
        search = _Search(
            self._name, operation, object_key, self._placement(), self._codes.current.needed
        )
        return search.start().addCallback(self._remember, object_key)

    def _remember(self, shape: Shape, object_key: str) -> Shape:
        self.note(object_key, shape)
        return shape


class _Search:
    """Listings of one object's fragments.

    A member is believed for the numbers whose fragments it should have: alone it cannot make a
    shape of ``needed`` numbers.
    """

    def __init__(
        self, name: str, operation: str, object_key: str, placement: Placement, needed: int
    ) -> None:
        self._name = name
        self._operation = operation
        self._object_key = object_key
        self._placement = placement
        self._needed = needed
        self._numbers: dict[Shape, set[int]] = {}
        self._said: dict[str, ProviderError] = {}
        self._done: Deferred[Shape] = Deferred()
        self._waiting: set[str] = set()

    def start(self) -> Deferred[Shape]:
        """Ask everybody."""
        members = members_of(self._placement)
        self._waiting = {member.name for member in members}
        for member in members:
            self._ask(member)
        return self._done

    def _ask(self, member: Member) -> None:
        prefix = all_fragments_prefix(self._object_key)
        asking = maybeDeferred(member.provider.list_objects, prefix, None)
        asking.addCallbacks(
            self._listed, self._failed, callbackArgs=(member,), errbackArgs=(member,)
        ).addCallback(self._answered, member)

    def _listed(self, page: ObjectPage, member: Member) -> None:
        for listed in page.objects:
            key = parse_fragment_key(listed.key)
            if key is None or key.object_key != self._object_key:
                continue
            if member in self._placement.where(key.number):
                shape = Shape(Code(key.needed, key.block_size), key.length)
                self._numbers.setdefault(shape, set()).add(key.number)
        self._said[member.name] = ObjectNotFound(member.name, "list_objects", "has none of it")

    def _failed(self, failure: Failure, member: Member) -> None:
        error = failure.value
        if not isinstance(error, ProviderError):
            error = StorageUnusable(member.name, "list_objects", failure.getErrorMessage())
        self._said[member.name] = error

    def _answered(self, _: None, member: Member) -> None:
        self._waiting.discard(member.name)
        if self._done.called:
            return
        # A shape that needs fewer than others do could be one member's invention: it has time.
        enough = [
            (len(numbers), shape)
            for shape, numbers in self._numbers.items()
            if len(numbers) >= max(shape.code.needed, self._needed if self._waiting else 0)
        ]
        if enough:
            self._done.callback(max(enough, key=itemgetter(0))[1])
        elif not self._waiting:
            self._done.errback(self._unfound())

    def _unfound(self) -> ProviderError:
        """Why there is no shape; members that answered without having any say so."""
        best = max(self._numbers, key=lambda shape: len(self._numbers[shape]), default=None)
        found = self._numbers[best] if best is not None else set()
        needed = self._needed if best is None else best.code.needed
        verdicts = {
            number: [(member.name, self._said[member.name])]
            for number in self._placement.numbers()
            for member in (self._placement.home(number),)
            if number not in found
        }
        return unreadable(
            self._name, self._operation, self._object_key, verdicts, needed, len(found)
        )


def members_of(placement: Placement) -> list[Member]:
    """Every member that has fragments, once."""
    named = {
        member.name: member for number in placement.numbers() for member in placement.where(number)
    }
    return list(named.values())
