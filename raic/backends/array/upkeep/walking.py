"""Walking through what the index refers to and what members have, object by object."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence

from attrs import field, frozen
from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.members import Member
from raic.backends.array.unwritten import translated
from raic.errors import ProviderError
from raic.fragmentkeys import FragmentKey, parse_fragment_key
from raic.ledger import IFragmentLedger

_OBJECTS = 500


@frozen
class Listed:
    """A fragment that a member lists."""

    key: FragmentKey
    size: int


@frozen
class Found:
    """All there is of one object.

    :ivar is_referred: whether the index refers to it.
    :ivar listed: its fragments, by the name of the member that has them.
    """

    object_key: str
    is_referred: bool
    listed: dict[str, list[Listed]] = field(factory=dict)

    def pattern(self) -> FragmentKey | None:
        """A key like those of its fragments: of the length and code that most of them have."""
        shapes: Counter[FragmentKey] = Counter()
        for some in self.listed.values():
            shapes.update(listed.key.sibling(0) for listed in some)
        return max(shapes, key=shapes.__getitem__) if shapes else None

    def of(self, name: str) -> list[Listed]:
        """The fragments on a member."""
        return self.listed.get(name, [])


class MemberWalk:
    """The fragments on one member, in ascending order of their objects' keys.

    :ivar error: why the listing could not be gone on with.
    :ivar count: how many fragments were listed so far.
    """

    def __init__(self, member: Member) -> None:
        self.member = member
        self.error: ProviderError | None = None
        self.count = 0
        self._token: str | None = None
        self._ended = False
        self._listed: deque[Listed] = deque()

    async def head(self) -> str | None:
        """The key of the next object; None at the end, or when the member cannot be listed."""
        while not self._listed and not self._ended:
            await self._next_page()
        return self._listed[0].key.object_key if self._listed else None

    async def take(self) -> list[Listed]:
        """The fragments of the next object."""
        object_key = await self.head()
        taken: list[Listed] = []
        while await self.head() == object_key and self._listed:
            taken.append(self._listed.popleft())
        return taken

    async def _next_page(self) -> None:
        try:
            page = await maybeDeferred(self.member.provider.list_objects, "", self._token)
        except Exception:  # noqa: BLE001 - a plugin may say anything
            self.error = translated(self.member.name, "list_objects", Failure())
            self._ended = True
            return
        for listed in page.objects:
            key = parse_fragment_key(listed.key)
            if key is not None:
                self._listed.append(Listed(key, listed.size))
                self.count += 1
        self._token = page.next_token
        self._ended = page.next_token is None


class ObjectWalk:
    """The objects that the index refers to."""

    def __init__(self, ledger: IFragmentLedger) -> None:
        self._ledger = ledger
        self._after = ""
        self._keys: deque[str] = deque()
        self._ended = False

    async def head(self) -> str | None:
        """The next one; None at the end."""
        if not self._keys and not self._ended:
            page = await self._ledger.next_objects(self._after, _OBJECTS)
            self._keys.extend(page)
            self._ended = not page
            self._after = page[-1] if page else ""
        return self._keys[0] if self._keys else None

    def take(self) -> None:
        """Go on to the one after it."""
        self._keys.popleft()


async def everything(ledger: IFragmentLedger, walks: Sequence[MemberWalk]) -> AsyncIterator[Found]:
    """All objects that are referred to, or of which one of these members has anything.

    The index is asked now and then, and so are the members: of an object that is written or
    deleted meanwhile either may know when the other does not.
    """
    objects = ObjectWalk(ledger)
    while True:
        referred = await objects.head()
        heads = [await walk.head() for walk in walks]
        known = [head for head in (referred, *heads) if head is not None]
        if not known:
            return
        key = min(known)
        if key == referred:
            objects.take()
        listed = {
            walk.member.name: await walk.take()
            for walk, head in zip(walks, heads, strict=True)
            if head == key
        }
        yield Found(key, key == referred, listed)
