from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.layers.owned import OwnedLayer
from raic.backends.memory import MemoryProvider
from raic.errors import PrefixOwned
from raic.interfaces import IStorageProvider
from tests.backends.layers.test_contracts import Cleared, LayerContract


class OwnedContract(LayerContract):
    def wrap(self, inner: IStorageProvider) -> IStorageProvider:
        return OwnedLayer(inner, lambda: None)


class Ownership(SynchronousTestCase):
    def setUp(self) -> None:
        self.memory = MemoryProvider("cloud")
        self.owned = True
        self.layer = OwnedLayer(self.memory, self.raise_unless_owner)
        self.successResultOf(self.layer.start())
        self.successResultOf(self.layer.put_object("a/1", b"one"))

    def raise_unless_owner(self) -> None:
        if not self.owned:
            raise PrefixOwned("cloud", "claim", "it is another's")

    def refused(self, call: Deferred[Any]) -> None:
        self.failureResultOf(call, PrefixOwned)

    def keys(self) -> list[str]:
        page = self.successResultOf(self.memory.list_objects("", None))
        return [listed.key for listed in page.objects]

    def test_who_lost_the_prefix_changes_nothing_more(self) -> None:
        upload = self.layer.open_upload("a/2", 3)
        self.successResultOf(upload.write(b"two"))
        self.owned = False
        self.refused(upload.write(b""))
        self.refused(upload.finish())
        self.refused(self.layer.put_object("a/3", b"three"))
        self.refused(self.layer.delete_objects(["a/1"]))
        self.successResultOf(upload.abort())
        self.assertEqual(self.keys(), ["a/1"])

    def test_nor_does_it_discard_the_uploads_of_others(self) -> None:
        layer = OwnedLayer(Cleared("cloud"), self.raise_unless_owner)
        self.owned = False
        self.refused(layer.clear_interrupted_uploads(""))

    def test_reading_goes_on(self) -> None:
        self.owned = False
        self.assertEqual(self.successResultOf(self.layer.get_object("a/1", 0, 9)), b"one")
        self.assertEqual(len(self.successResultOf(self.layer.list_objects("", None)).objects), 1)
        self.successResultOf(self.layer.get_space())

    def test_writing_begins_again_with_the_ownership(self) -> None:
        self.owned = False
        self.refused(self.layer.put_object("a/3", b"three"))
        self.owned = True
        self.successResultOf(self.layer.put_object("a/3", b"three"))
