"""Writing objects to all members of an array at once."""

from __future__ import annotations

from functools import partial
from typing import Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from raic.backends.array.acknowledging import Acknowledgement
from raic.backends.array.plan import WritePlan, WriteTools
from raic.backends.array.unwritten import translated
from raic.backends.array.upload import ArrayUpload
from raic.errors import ProviderError
from raic.values import Stored

T = TypeVar("T")


class Write(Protocol):
    """A write that is under way.

    :ivar key: the object's.
    """

    @property
    def key(self) -> str:
        """See above."""


@frozen(eq=False)
class Put:
    """One that is no upload."""

    key: str


class ArrayWriter:
    """Writes; see :class:`raic.interfaces.IStorageProvider` for what its methods promise.

    An object that was acknowledged must not be put again: if that fails, parts of it are deleted.
    """

    def __init__(self, tools: WriteTools) -> None:
        self._tools = tools
        self._uploads: set[ArrayUpload] = set()
        self._puts: set[Put] = set()

    def open_upload(self, key: str, size: int) -> ArrayUpload:
        """Begin an object of exactly ``size`` bytes."""
        upload = ArrayUpload(self._tools, key, size, self._uploads.discard)
        self._uploads.add(upload)
        return upload

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """Store a small object, in one request to each member."""
        cleaning = self._tools.leftovers.gone(key)
        if cleaning is not None:
            return cleaning.addCallback(lambda _: self.put_object(key, data))
        plan = WritePlan(self._tools, key, len(data))
        encoder = plan.encoder()
        cut = encoder.add(data)
        waiting = plan.acknowledgement(lambda: None, plan.late)
        put = Put(key)
        self._puts.add(put)
        for number, home in plan.homes.items():
            refusal = plan.refusal(number, "put_object")
            if refusal is not None:
                waiting.fail(number, refusal)
                continue
            fragment = b"".join(encoder.make(number, cut))
            putting = maybeDeferred(home.provider.put_object, plan.keys[number], fragment)
            putting.addCallbacks(
                lambda _, number=number: waiting.succeed(number),
                partial(_failed, plan, waiting, number),
            )
        waited: Deferred[bool] = waiting.wait().addBoth(self._put_ended, put)
        return waited.addCallback(_outcome, plan, waiting)

    def under_way(self) -> frozenset[Write]:
        """The writes that have not ended."""
        return frozenset({*self._uploads, *self._puts})

    def stop(self) -> list[Deferred[None]]:
        """Abort what is under way; each Deferred fires when one upload is aborted."""
        return [upload.abort() for upload in list(self._uploads)]

    def _put_ended(self, result: T, put: Put) -> T:
        self._puts.discard(put)
        return result


def _failed(plan: WritePlan, waiting: Acknowledgement, number: int, failure: Failure) -> None:
    waiting.fail(number, translated(plan.homes[number].name, "put_object", failure))


def _outcome(enough: bool, plan: WritePlan, waiting: Acknowledgement) -> Stored:
    if enough:
        return plan.stored(waiting)
    error: ProviderError = plan.failure("put_object", waiting)
    raise error
