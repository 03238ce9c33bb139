from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.memory import MemoryProvider
from raic.errors import NoSpace
from raic.interfaces import IStorageProvider
from raic.values import Space
from tests.contracts.driving import SynchronousSuite
from tests.contracts.provider import KEY, TEN, ProviderContract
from tests.contracts.provider_model import ModelContract


class MemoryProviderTests(ProviderContract, ModelContract, SynchronousSuite):
    many = 2_001
    makes = inspects = True

    def make_provider(self) -> IStorageProvider:
        return MemoryProvider("memory")

    def test_every_read_is_immediate(self) -> None:
        self.successResultOf(self.provider.put_object(KEY, TEN))
        self.assertEqual(self.read_now(KEY, 2, 3), TEN[2:5])


class CapacityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.provider = MemoryProvider("memory", capacity=15)
        self.successResultOf(self.provider.start())

    def space(self) -> Space:
        return self.successResultOf(self.provider.get_space())

    def test_what_does_not_fit_is_refused_and_leaves_nothing(self) -> None:
        self.successResultOf(self.provider.put_object(KEY, TEN))
        refused = self.provider.put_object(KEY + "0", TEN)
        self.failureResultOf(refused, NoSpace)
        self.assertEqual(self.space(), Space(10, 5))

    def test_an_upload_that_does_not_fit_is_refused_and_leaves_nothing(self) -> None:
        upload = self.provider.open_upload(KEY, 20)
        self.successResultOf(upload.write(TEN))
        self.assertEqual(self.space(), Space(10, 5))
        self.failureResultOf(upload.write(TEN), NoSpace)
        self.successResultOf(upload.abort())
        self.assertEqual(self.space(), Space(0, 15))

    def test_deleting_makes_room(self) -> None:
        for _ in range(3):
            self.successResultOf(self.provider.put_object(KEY, TEN))
            self.successResultOf(self.provider.put_object(KEY, TEN))
            self.successResultOf(self.provider.delete_objects([KEY]))
        self.assertEqual(self.space(), Space(0, 15))
