"""A provider against a dictionary, whatever is done in whatever order."""

from __future__ import annotations

from os import environ
from typing import ClassVar, TypeVar

from attrs import frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import KeyTaken, ObjectNotFound, StorageUnusable
from raic.interfaces import IImmediateReads, IObjectUpload, IStorageProvider
from tests.contracts.consumer import Collector
from tests.contracts.driving import Synchronous
from tests.strategies import contents, keys, long_keys

T = TypeVar("T")

_CASE = SynchronousTestCase()


def result(answer: Deferred[T]) -> T:
    """What a Deferred has fired with."""
    return _CASE.successResultOf(answer)


@frozen
class Begun:
    """An upload of which something was written."""

    key: str
    rest: bytes
    data: bytes
    upload: IObjectUpload
    provider_age: int


class ProviderModel(RuleBasedStateMachine):
    """Every operation, checked against a dictionary."""

    maker: ClassVar[ModelContract]

    names = Bundle("names")
    uploads = Bundle("uploads")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, bytes] = {}
        self.provider = self.maker.make_provider()
        self.provider_age = 0
        result(self.provider.start())

    def is_taken(self, key: str, data: bytes) -> bool:
        return self.model.get(key, data) != data

    def teardown(self) -> None:
        result(self.provider.stop())

    @rule(target=names, key=st.one_of(keys(), long_keys()))
    def name(self, key: str) -> str:
        return self.maker.usable(key)

    @rule(key=names, data=contents())
    def put(self, key: str, data: bytes) -> None:
        if self.is_taken(key, data) and not self.maker.knows_taken_keys:
            return
        answer = self.provider.put_object(key, data)
        if self.model.setdefault(key, data) == data:
            assert result(answer).size == len(data)
        else:
            _CASE.failureResultOf(answer, KeyTaken)

    @rule(target=uploads, key=names, data=contents(), at=st.integers(0, 300))
    def begin(self, key: str, data: bytes, at: int) -> Begun:
        upload = self.provider.open_upload(key, len(data))
        result(upload.write(data[:at]))
        return Begun(key, data[at:], data, upload, self.provider_age)

    @rule(begun=consumes(uploads))
    def finish(self, begun: Begun) -> None:
        if self.is_taken(begun.key, begun.data) and not self.maker.knows_taken_keys:
            result(begun.upload.abort())
            return
        writing = begun.upload.write(begun.rest)
        if begun.provider_age != self.provider_age:
            _CASE.failureResultOf(writing, StorageUnusable)
            _CASE.failureResultOf(begun.upload.finish(), StorageUnusable)
            return
        result(writing)
        answer = begun.upload.finish()
        if self.model.setdefault(begun.key, begun.data) == begun.data:
            assert result(answer).size == len(begun.data)
        else:
            _CASE.failureResultOf(answer, KeyTaken)
            result(begun.upload.abort())

    @rule(begun=consumes(uploads))
    def abort(self, begun: Begun) -> None:
        result(begun.upload.abort())

    @rule(key=names, offset=st.integers(0, 310), length=st.integers(0, 310))
    def read(self, key: str, offset: int, length: int) -> None:
        reading = self.provider.get_object(key, offset, length)
        collector = Collector()
        streaming = self.provider.stream_object(key, offset, length, collector)
        if key in self.model:
            expected = self.model[key][offset : offset + length]
            assert result(reading) == expected
            assert result(streaming) == len(expected)
            assert collector.data == expected
        else:
            _CASE.failureResultOf(reading, ObjectNotFound)
            _CASE.failureResultOf(streaming, ObjectNotFound)
        if IImmediateReads.providedBy(self.provider):
            immediate = IImmediateReads(self.provider).read_now(key, offset, length)
            assert immediate is None or immediate == self.model[key][offset : offset + length]

    @rule(doomed=st.lists(names, max_size=3))
    def delete(self, doomed: list[str]) -> None:
        assert result(self.provider.delete_objects(doomed)) == frozenset()
        for key in doomed:
            self.model.pop(key, None)

    @rule(key=names, characters=st.integers(0, 12))
    def list_prefix(self, key: str, characters: int) -> None:
        prefix = key[:characters]
        expected = sorted(item for item in self.model.items() if item[0].startswith(prefix))
        page = result(self.provider.list_objects(prefix, None))
        found = list(page.objects)
        while page.next_token is not None:
            page = result(self.provider.list_objects(prefix, page.next_token))
            found += page.objects
        sizes = [(listed.key, listed.size) for listed in found]
        assert sizes == [(key, len(data)) for key, data in expected]

    @rule()
    def restart(self) -> None:
        result(self.provider.stop())
        self.provider = self.maker.restarted(self.provider)
        result(self.provider.start())
        self.provider_age += 1


class ModelContract(Synchronous):
    """Mix this into a ``ProviderContract`` of a provider that answers at once.

    :cvar examples: how many sequences of operations are tried, where the environment says nothing.
    """

    knows_taken_keys = True
    examples = 20

    def make_provider(self) -> IStorageProvider:
        raise NotImplementedError

    def restarted(self, provider: IStorageProvider) -> IStorageProvider:
        raise NotImplementedError

    def usable(self, key: str) -> str:
        """What a test uses in place of a key: see ``ProviderContract``."""
        return key

    def test_behaves_like_a_dictionary(self) -> None:
        class Model(ProviderModel):
            maker = self

        run_state_machine_as_test(
            Model,
            settings=settings(
                max_examples=int(environ.get("RAIC_MODEL_EXAMPLES", self.examples)),
                stateful_step_count=30,
                deadline=None,
            ),
        )
