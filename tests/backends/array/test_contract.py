"""An array is a provider like any other."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve
from twisted.internet.defer import Deferred
from zope.interface import implementer

from raic.backends.array.provider import ArrayProvider
from raic.backends.filesystem import FilesystemProvider
from raic.interfaces import IObjectUpload, IStorageProvider
from raic.values import Stored
from raic.workers import ThreadWorkers
from tests.backends.array.arrays import Rig, usable_key
from tests.contracts.driving import ReactorSuite, SynchronousSuite, reactor
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract


class ArrayContract(ProviderContract):
    """Over providers in memory."""

    needed = 2
    happy = 2
    total = 3
    block_size = 65_536
    knows_taken_keys = False  # only of an object of the same length

    def make_provider(self) -> IStorageProvider:
        self.rig = Rig(self.needed, self.happy, self.total, block_size=self.block_size)
        return self.rig.array

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        return self.rig.make()

    def usable(self, key: str) -> str:
        return usable_key(key)


class TestTwoOfThree(ArrayContract, ModelContract, SynchronousSuite):
    """The usual."""


class TestMirror(ArrayContract, ModelContract, SynchronousSuite):
    """Copies."""

    needed, happy, total = 1, 1, 2


class TestThreeOfFive(ArrayContract, ModelContract, SynchronousSuite):
    """More of everything, and blocks of an odd size."""

    needed, happy, total, block_size = 3, 4, 5, 4096


class Acknowledged(ArrayProvider):
    """Does not tell what is missing: the contract is that of providers without fragments."""

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        return super().put_object(key, data).addCallback(evolve, missing=())

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        return AcknowledgedUpload(super().open_upload(key, size))


@implementer(IObjectUpload)
class AcknowledgedUpload:
    def __init__(self, inner: IObjectUpload) -> None:
        self.inner = inner

    def write(self, data: bytes) -> Deferred[None]:
        return self.inner.write(data)

    def finish(self) -> Deferred[Stored]:
        return self.inner.finish().addCallback(evolve, missing=())

    def abort(self) -> Deferred[None]:
        return self.inner.abort()


class TestWithOneAway(ArrayContract, ModelContract, SynchronousSuite):
    """With as many members away as may be while writing."""

    needed, happy, total, block_size = 2, 3, 4, 4096

    def make_provider(self) -> IStorageProvider:
        self.rig = Rig(2, 3, 4, block_size=4096, kind=Acknowledged)
        # What it says of its fragments is right: it has none.
        for operation in ("put_object", "write", "get_object", "get_space"):
            self.rig.plans["aws"].fail(operation, times=None)
        return self.rig.array


class TestOverFolders(ArrayContract, ReactorSuite):
    """With real threads."""

    def make_provider(self) -> IStorageProvider:
        base = Path(self.mktemp())

        def make(name: str) -> IStorageProvider:
            (base / name).mkdir(parents=True)
            workers = ThreadWorkers(reactor, 2, name)
            self.addCleanup(workers.stop)
            return FilesystemProvider(name, str(base / name), workers, reactor)

        self.rig = Rig(2, 2, 3, make=make)
        self.rig.clock = reactor
        self.rig.array = self.rig.make()
        return self.rig.array
