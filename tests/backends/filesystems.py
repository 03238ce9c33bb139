"""A provider on a disk that can fail, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from raic.backends.filesystem import FilesystemProvider
from raic.errors import ProviderError
from raic.interfaces import IWorkers
from raic.workers import InlineWorkers
from tests.backends.disks import ScriptedDisk
from tests.contracts.provider import KEY, TEN

T = TypeVar("T")


@implementer(IWorkers)
class HeldWorkers:
    """Runs a call only when told to, and answers it only when told to."""

    def __init__(self) -> None:
        self.held: list[Callable[[], Callable[[], None]]] = []

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        answer: Deferred[T] = Deferred()

        def work() -> Callable[[], None]:
            done = InlineWorkers().run(function)

            def tell() -> None:
                done.addCallbacks(answer.callback, answer.errback)

            return tell

        self.held.append(work)
        return answer

    def release(self) -> None:
        held, self.held = self.held, []
        for work in held:
            work()()

    def stop(self) -> Deferred[None]:
        return InlineWorkers().stop()


class FilesystemTestCase(SynchronousTestCase):
    """A provider on a disk that can fail."""

    fsync = True

    def setUp(self) -> None:
        self.disk = self.make_disk()
        self.root = Path(self.mktemp()).absolute()
        self.provider = self.make_provider()

    def make_disk(self) -> ScriptedDisk:
        return ScriptedDisk()

    def make_provider(self, **options: Any) -> FilesystemProvider:
        workers = options.pop("workers", InlineWorkers())
        clock = options.pop("clock", Clock())
        options.setdefault("fsync", self.fsync)
        options.setdefault("disk", self.disk)
        return FilesystemProvider("attic", str(self.root), workers, clock, **options)

    def start(self) -> None:
        self.successResultOf(self.provider.start())
        self.addCleanup(self.provider.stop)
        self.disk.calls.clear()

    def files(self) -> list[str]:
        """Every file below the root."""
        return sorted(
            str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()
        )

    def put(self, key: str = KEY, data: bytes = TEN) -> None:
        self.successResultOf(self.provider.put_object(key, data))

    def refused(self, answer: Deferred[Any], kind: type[ProviderError]) -> ProviderError:
        error = self.failureResultOf(answer, kind).value
        assert isinstance(error, ProviderError)
        self.assertEqual(error.provider, "attic")
        return error
