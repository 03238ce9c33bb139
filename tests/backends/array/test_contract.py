"""An array is a provider like any other."""

from __future__ import annotations

from raic.interfaces import IStorageProvider
from tests.backends.array.arrays import Rig, usable_key
from tests.contracts.driving import SynchronousSuite
from tests.contracts.provider import ProviderContract
from tests.contracts.provider_model import ModelContract


class ArrayContract(ProviderContract, ModelContract):
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


class TestTwoOfThree(ArrayContract, SynchronousSuite):
    """The usual."""


class TestMirror(ArrayContract, SynchronousSuite):
    """Copies."""

    needed, happy, total = 1, 1, 2


class TestThreeOfFive(ArrayContract, SynchronousSuite):
    """More of everything, and blocks of an odd size."""

    needed, happy, total, block_size = 3, 4, 5, 4096
