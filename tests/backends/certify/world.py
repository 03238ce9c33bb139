"""Certifications on providers in memory, with a clock that goes when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from raic.backends.certify import Certification, Certifier, Options, Result, Row
from raic.backends.faults import FaultPlan
from raic.backends.faulty import FaultyProvider
from raic.backends.layers.forwarding import ForwardingProvider
from raic.backends.memory import MemoryProvider
from raic.interfaces import IObjectUpload, IStorageProvider
from raic.values import ListedObject, ObjectPage, Stored

NOW = 1_900_000_000.0
STEP = 0.25
OPTIONS = Options(samples=2, transfer_bytes=400_000, connections=3, settle_seconds=5.0)


class CertifyCase(SynchronousTestCase):
    """A provider in memory, and a plan of what goes wrong with it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.memory = MemoryProvider("memory")
        self.plan = FaultPlan()
        self.faulty = FaultyProvider(self.memory, self.plan)
        self.named: list[str] = []

    def certifier(
        self,
        provider: IStorageProvider | None = None,
        leaf: IStorageProvider | None = None,
        options: Options = OPTIONS,
    ) -> Certifier:
        """One of ``provider``, else of the faulty one."""
        chosen = self.faulty if provider is None else provider
        return Certifier(chosen, leaf or self.memory, self.clock, options, self.named.append)

    def certify(
        self, provider: IStorageProvider | None = None, leaf: IStorageProvider | None = None
    ) -> Certification:
        """What a certification finds."""
        return self.completed(self.certifier(provider, leaf).run())

    def completed(self, running: Deferred[Certification]) -> Certification:
        """Let time pass until it is over."""
        while not running.called:
            self.clock.advance(STEP)
        return self.successResultOf(running)

    def failed(self, certification: Certification) -> list[str]:
        """The checks that failed."""
        self.assertEqual(certification.passed, not self.of(certification, Result.FAIL))
        return self.of(certification, Result.FAIL)

    def of(self, certification: Certification, result: Result) -> list[str]:
        """The checks with that result."""
        return [row.check for row in certification.rows if row.result is result]

    def row(self, certification: Certification, check: str) -> Row:
        """One line."""
        return next(row for row in certification.rows if row.check == check)

    def objects(self) -> list[str]:
        """Everything that is there."""
        self.successResultOf(self.memory.start())
        page = self.successResultOf(self.memory.list_objects("", None))
        return [found.key for found in page.objects]


class KeepsDeleted(ForwardingProvider):
    """Says that it deleted, and did not."""

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See ``IStorageProvider``."""
        return succeed(frozenset())


class ListsDeleted(ForwardingProvider):
    """Goes on to list small objects that are gone, so many times."""

    def __init__(self, inner: MemoryProvider, times: int) -> None:
        super().__init__(inner)
        self._times = times
        self._put: dict[str, ListedObject] = {}

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See ``IStorageProvider``."""
        self._put[key] = ListedObject(key, len(data))
        return super().put_object(key, data)

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See ``IStorageProvider``."""

        def late(page: ObjectPage) -> ObjectPage:
            there = {found.key: found for found in page.objects}
            shown = {key: one for key, one in self._put.items() if key.startswith(prefix)} | there
            if not self._times or shown == there:
                return page
            self._times -= 1
            return ObjectPage(tuple(shown[key] for key in sorted(shown)), None)

        return super().list_objects(prefix, token).addCallback(late)


class Overwrites(ForwardingProvider):
    """Lets other bytes take a key."""

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See ``IStorageProvider``."""
        putting = self._inner.delete_objects([key])
        return putting.addCallback(lambda _: self._inner.put_object(key, data))


class Shuffles(ForwardingProvider):
    """Lists in no order."""

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See ``IStorageProvider``."""
        listing = super().list_objects(prefix, token)
        return listing.addCallback(lambda page: ObjectPage(page.objects[::-1], None))


class Transforms(ForwardingProvider):
    """Alters what it stores."""

    def __init__(self, inner: MemoryProvider, transform: Callable[[bytes], bytes]) -> None:
        super().__init__(inner)
        self._transform = transform

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See ``IStorageProvider``."""
        putting = self._inner.put_object(key, self._transform(data))
        return putting.addCallback(lambda _: Stored(key, len(data)))


class HidesParents(ForwardingProvider):
    """Takes what is before a slash for a folder, which hides an object of that name."""

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See ``IStorageProvider``."""
        parent = key.rpartition("/")[0]
        deleting = self._inner.delete_objects([parent])
        return deleting.addCallback(lambda _: self._inner.put_object(key, data))


class ShowsUnfinished(ForwardingProvider):
    """Stores what was written before an upload is finished, also if it is aborted."""

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See ``IStorageProvider``."""
        return _ShownUpload(self._inner, self._inner.open_upload(key, size), key)


@implementer(IObjectUpload)
class _ShownUpload:
    def __init__(self, provider: IStorageProvider, inner: IObjectUpload, key: str) -> None:
        self._provider = provider
        self._inner = inner
        self._key = key
        self._shown = False

    def write(self, data: bytes) -> Deferred[None]:
        """See ``IObjectUpload``."""
        writing = self._inner.write(data)
        if self._shown:
            return writing
        self._shown = True
        return writing.addCallback(
            lambda _: self._provider.put_object(self._key, data).addCallback(lambda _: None)
        )

    def finish(self) -> Deferred[Stored]:
        """See ``IObjectUpload``."""
        deleting = self._provider.delete_objects([self._key])
        return deleting.addCallback(lambda _: self._inner.finish())

    def abort(self) -> Deferred[None]:
        """See ``IObjectUpload``."""
        return self._inner.abort()
