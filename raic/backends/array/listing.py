"""One listing made of those of all members."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.members import Member
from raic.backends.array.unwritten import too_few, translated
from raic.deferreds import async_to_deferred
from raic.errors import ProviderBusy, ProviderError
from raic.fragmentkeys import fragment_prefix, parse_fragment_key
from raic.values import ListedObject, ObjectPage

PAGE_OBJECTS = 1000


@define
class _Seen:
    """What listings show of an object.

    :ivar numbers: of the fragments that there are.
    """

    length: int
    needed: int
    numbers: set[int] = field(factory=set)


@define
class _Cursor:
    """How far the listing of one member has come.

    :ivar token: that its page was got with.
    :ivar next_token: for the page after it.
    :ivar objects: of its page those not passed on yet, by key, ascending.
    :ivar last: the last object of its page, of which there may be more on the next one.
    :ivar fetched: whether it has a page.
    """

    member: Member
    token: str | None
    next_token: str | None = None
    objects: dict[str, _Seen] = field(factory=dict)
    last: str = ""
    fetched: bool = False

    @property
    def ended(self) -> bool:
        """Whether there are no more pages."""
        return self.fetched and self.next_token is None

    def take(self, page: ObjectPage, after: str) -> None:
        """Keep what a page says of objects that come after one."""
        self.fetched = True
        self.next_token = page.next_token
        for listed in page.objects:
            key = parse_fragment_key(listed.key)
            if key is not None:
                self.last = key.object_key
                if key.object_key > after:
                    fresh = _Seen(key.length, key.needed)
                    self.objects.setdefault(key.object_key, fresh).numbers.add(key.number)

    def pass_on(self, after: str) -> None:
        """Forget what was passed on."""
        self.objects = {key: seen for key, seen in self.objects.items() if key > after}

    @property
    def resume(self) -> tuple[bool, str | None]:
        """Whether there is more to come, and the token to go on with."""
        if self.objects:
            return True, self.token
        return not self.ended, self.next_token


class Listing:
    """One page of objects.

    With some members away it is complete all the same, because each acknowledged object has
    fragments on ``happy`` members at least: but only while fewer than these are away.

    :param members: all of them, by name.
    :param needed: at least so many are asked, however many need not be.
    :param is_hidden: whether an object is not to be shown.
    """

    def __init__(
        self,
        name: str,
        members: Mapping[str, Member],
        needed: int,
        happy: int,
        is_hidden: Callable[[str], bool],
    ) -> None:
        self._name = name
        self._members = members
        self._happy = happy
        self._most_away = min(happy - 1, len(members) - needed)
        self._is_hidden = is_hidden
        self._errors: dict[str, ProviderError] = {}

    @async_to_deferred
    async def page(self, prefix: str, token: str | None, limit: int) -> ObjectPage:
        """See :meth:`raic.interfaces.IStorageProvider.list_objects`."""
        after, cursors = self._resumed(token)
        inside = fragment_prefix(prefix)
        found: dict[str, ListedObject] = {}
        while True:
            await self._fill(cursors, inside, after)
            before = [cursor.last for cursor in cursors if not cursor.ended]
            frontier = min(before) if before else None
            merged = _merged(cursors)
            away = len(self._members) - len(cursors)
            for key in sorted(merged):
                if len(found) == limit or (frontier is not None and key > frontier):
                    break
                after = key
                if not self._is_hidden(key):
                    found[key] = self._listed(key, merged[key], away)
            for cursor in cursors:
                cursor.pass_on(after)
            if len(found) == limit or frontier is None:
                break
        return ObjectPage(tuple(found.values()), self._token(after, cursors))

    def _listed(self, key: str, seen: _Seen, away: int) -> ListedObject:
        """A line; partial when too few fragments are there to be read or ever acknowledged."""
        count = len(seen.numbers)
        partial = count < seen.needed and count + away < self._happy
        return ListedObject(key, seen.length, partial)

    async def _fill(self, cursors: list[_Cursor], prefix: str, after: str) -> None:
        """Give a page to each cursor that has passed on all of its own; forget who is away."""
        empty = [cursor for cursor in cursors if not cursor.objects and not cursor.ended]
        fetching = []
        for cursor in empty:
            if cursor.fetched:
                cursor.token = cursor.next_token
            listing = maybeDeferred(cursor.member.provider.list_objects, prefix, cursor.token)
            listing.addCallbacks(
                cursor.take, self._note, callbackArgs=(after,), errbackArgs=(cursor,)
            )
            fetching.append(listing)
        await gatherResults(fetching)
        cursors[:] = [cursor for cursor in cursors if cursor.member.name not in self._errors]
        if len(self._members) - len(cursors) > self._most_away:
            what = f"a listing without more than {self._most_away} providers may lack objects"
            errors = self._errors or {self._name: _changed(self._name)}
            raise too_few(self._name, "list_objects", what, errors, self._most_away)

    def _note(self, failure: Failure, cursor: _Cursor) -> None:
        name = cursor.member.name
        self._errors[name] = translated(name, "list_objects", failure)

    def _resumed(self, token: str | None) -> tuple[str, list[_Cursor]]:
        """After which object, and how, the listing goes on."""
        if token is None:
            return "", [_Cursor(member, None) for member in self._members.values()]
        after, ended, tokens = json.loads(token)
        cursors = []
        for name, member in self._members.items():
            if name in ended:
                cursors.append(_Cursor(member, None, fetched=True))
            elif name in tokens:
                cursors.append(_Cursor(member, tokens[name]))
        return after, cursors

    def _token(self, after: str, cursors: list[_Cursor]) -> str | None:
        resumes: dict[str, Any] = {cursor.member.name: cursor.resume for cursor in cursors}
        more = {name: token for name, (is_more, token) in resumes.items() if is_more}
        ended = [name for name, (is_more, _) in resumes.items() if not is_more]
        return json.dumps([after, ended, more]) if more else None


def _merged(cursors: list[_Cursor]) -> dict[str, _Seen]:
    """What the present pages show, by key."""
    merged: dict[str, _Seen] = {}
    for cursor in cursors:
        for key, seen in cursor.objects.items():
            known = merged.setdefault(key, _Seen(seen.length, seen.needed))
            known.numbers |= seen.numbers
    return merged


def _changed(name: str) -> ProviderError:
    """What is said of a listing that outlasts the members that it began with."""
    return ProviderBusy(name, "list_objects", "the members were changed: begin anew")
