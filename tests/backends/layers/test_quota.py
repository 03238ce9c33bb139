from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.layers.quota import QuotaLayer
from raic.backends.memory import MemoryProvider
from raic.interfaces import IStorageProvider
from tests.backends.layers.test_contracts import LayerContract


class QuotaContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return QuotaLayer(inner, 2**40, lambda: succeed(0))


class Quotas(SynchronousTestCase):
    def test_there_is_what_it_leaves_and_the_provider_has(self) -> None:
        used = 0
        memory = MemoryProvider("cloud", capacity=1000)
        layer = QuotaLayer(memory, 600, lambda: succeed(used))
        self.successResultOf(layer.start())
        for used, available in ((0, 600), (100, 500), (600, 0), (700, 0)):  # noqa: B007
            self.assertEqual(self.successResultOf(layer.get_space()).available, available)
        self.successResultOf(memory.put_object("a/1", bytes(900)))
        used = 0
        self.assertEqual(self.successResultOf(layer.get_space()).available, 100)
