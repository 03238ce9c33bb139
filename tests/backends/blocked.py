"""A blocking store in a dictionary, and workers that wait to be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, execute, fail, succeed
from zope.interface import implementer

from raic.backends.blockingstore import Body
from raic.backends.memory import MemoryProvider
from raic.errors import KeyTaken, ObjectNotFound, ProviderError, ProviderUnreachable
from raic.interfaces import IWorkers
from raic.values import ObjectPage, Space

T = TypeVar("T")

NAME = "blocked"


class Broken(Exception):
    """What this store's SDK raises."""


@define
class Piecewise:
    """A body that brings at most ``most`` bytes at once, and breaks off after ``cut``."""

    data: bytes
    most: int
    cut: int | None
    length: int = 0
    at: int = 0
    closed: bool = False

    def __attrs_post_init__(self) -> None:
        self.length = len(self.data)

    def read(self, size: int) -> bytes:
        """See ``Body``."""
        assert 0 < size <= self.length - self.at
        end = self.at + min(size, self.most)
        if self.cut is not None:
            end = min(end, self.cut)
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def close(self) -> None:
        """See ``Body``."""
        self.closed = True


@define
class DictionaryStore:
    """See ``BlockingStore``; what it holds outlasts ``close``.

    :ivar wrong: by name of method, what is raised first, one exception a call; None for nothing.
    :ivar cuts: where the bodies break off, one each.
    :ivar calls: the names of the methods that were called.
    :ivar bodies: all that were opened.
    """

    objects: dict[str, bytes] = field(factory=dict)
    parts: dict[object, dict[int, bytes]] = field(factory=dict)
    wrong: dict[str, list[Exception | None]] = field(factory=dict)
    cuts: list[int | None] = field(factory=list)
    calls: list[str] = field(factory=list)
    bodies: list[Piecewise] = field(factory=list)
    most: int = 2**40

    def _called(self, name: str) -> None:
        self.calls.append(name)
        answers = self.wrong.get(name)
        error = answers.pop(0) if answers else None
        if error is not None:
            raise error

    def open(self) -> None:
        """See ``BlockingStore``."""
        self._called("open")

    def close(self) -> None:
        """See ``BlockingStore``."""
        self._called("close")

    def put(self, operation: str, key: str, data: bytes | bytearray) -> None:
        """See ``BlockingStore``."""
        self._called("put")
        if self.objects.setdefault(key, bytes(data)) != data:
            raise KeyTaken(NAME, operation, f"{key} names another object")

    def begin_parts(self, key: str, size: int) -> Any:
        """See ``BlockingStore``."""
        self._called("begin_parts")
        upload = (key, object())
        self.parts[upload] = {}
        return upload

    def put_part(self, upload: Any, number: int, data: bytes | bytearray) -> int:
        """See ``BlockingStore``."""
        self._called("put_part")
        self.parts[upload][number] = bytes(data)
        return number

    def complete_parts(self, upload: Any, receipts: Sequence[Any], *, again: bool) -> None:
        """See ``BlockingStore``."""
        self._called("complete_parts again" if again else "complete_parts")
        data = b"".join(self.parts[upload][number] for number in receipts)
        self.put("finish", upload[0], data)
        del self.parts[upload]

    def discard_parts(self, upload: Any) -> None:
        """See ``BlockingStore``."""
        self._called("discard_parts")
        self.parts.pop(upload, None)

    def open_body(self, operation: str, key: str, offset: int, length: int) -> Body:
        """See ``BlockingStore``."""
        self._called("open_body")
        data = self.objects.get(key)
        if data is None:
            raise ObjectNotFound(NAME, operation, f"there is no {key}")
        cut = self.cuts.pop(0) if self.cuts else None
        body = Piecewise(data[offset : offset + length], self.most, cut)
        self.bodies.append(body)
        return body

    def list_page(self, prefix: str, token: str | None) -> ObjectPage:
        """See ``BlockingStore``."""
        self._called("list_page")
        memory = MemoryProvider(NAME)
        memory.start()
        for key, data in self.objects.items():
            memory.put_object(key, data)
        pages: list[ObjectPage] = []
        memory.list_objects(prefix, token).addCallback(pages.append)
        return pages[0]

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """See ``BlockingStore``."""
        self._called("delete")
        for key in keys:
            self.objects.pop(key, None)
        return frozenset()

    def clear_interrupted(self, prefix: str) -> int:
        """See ``BlockingStore``."""
        self._called("clear_interrupted")
        return 0

    def space(self) -> Space:
        """See ``BlockingStore``."""
        self._called("space")
        return Space(None, 1000)

    def translated(self, operation: str, error: Exception) -> ProviderError | None:
        """See ``BlockingStore``."""
        if isinstance(error, Broken):
            return ProviderUnreachable(NAME, operation, str(error))
        return None


@implementer(IWorkers)
class HeldWorkers:
    """Runs a call when the test says so.

    :ivar held: the calls, each with what its caller waits for.
    """

    def __init__(self) -> None:
        self.held: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.stopped = False

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        """See ``IWorkers``."""
        if self.stopped:
            return fail(AssertionError("called after the stop"))
        waiting: Deferred[T] = Deferred()
        self.held.append((function, waiting))
        return waiting

    def stop(self) -> Deferred[None]:
        """See ``IWorkers``."""
        assert not self.held, "stopped while calls are under way"
        self.stopped = True
        return succeed(None)

    def step(self, at: int = 0) -> None:
        """Run one of the calls that wait."""
        function, waiting = self.held.pop(at)
        execute(function).chainDeferred(waiting)

    def run_all(self) -> None:
        """Run calls until none waits."""
        while self.held:
            self.step()
