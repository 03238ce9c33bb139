"""Reading objects from an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure

from raic.backends.array.health import HealthBook
from raic.backends.array.lengths import Lengths, Shape
from raic.backends.array.members import Placement
from raic.backends.array.rangeread import RangeRead
from raic.backends.array.reports import Reports
from raic.backends.array.settings import ArraySettings
from raic.backends.array.streaming import FragmentStream
from raic.backends.array.target import Target, Tools
from raic.backends.layers.forwarding import has_succeeded
from raic.errors import ObjectNotFound, ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT
from raic.ledger import IFragmentLedger
from raic.values import FragmentState

T = TypeVar("T")


class FragmentReader:
    """Reads from the best members of an array; what it delivers was verified.

    :param name: the array's.
    :param placement: asked for the present one.
    :param array_key: 32 secret bytes, with which the fragments' tags were made.
    :ivar health: what is known of the members.
    """

    def __init__(
        self,
        name: str,
        placement: Callable[[], Placement],
        lengths: Lengths,
        array_key: bytes,
        ledger: IFragmentLedger,
        clock: IReactorTime,
        settings: ArraySettings,
    ) -> None:
        self.health = HealthBook(clock, settings.patience)
        self._lengths = lengths
        self._ledger = ledger
        self._tools = Tools(
            name,
            placement,
            array_key,
            clock,
            settings,
            self.health,
            Reports(name, ledger, clock),
        )

    @property
    def tools(self) -> Tools:
        """What all readers of the array share."""
        return self._tools

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""

        def read(target: Target) -> Deferred[bytes]:
            begin, end = _clipped(target, offset, length)
            return RangeRead(self._tools, target, begin, end).start()

        return self._with(key, "get_object", read)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""

        def stream(target: Target) -> Deferred[int]:
            begin, end = _clipped(target, offset, length)
            return FragmentStream(self._tools, target, begin, end, consumer).start()

        return self._with(key, "stream_object", stream)

    def stop(self) -> None:
        """Let go of probes under way."""
        probes = list(self._tools.probes)
        self._tools.probes.clear()
        for fetch in probes:
            fetch.cancel()

    def _with(self, key: str, operation: str, use: Callable[[Target], Deferred[T]]) -> Deferred[T]:
        """Find out what is known of an object, and do something with it."""
        shape = self._lengths.known(key)
        if shape is None:
            finding = self._lengths.find(key, operation)
            return finding.addCallback(self._use, key, use)

        is_assumed = not self._lengths.is_sure(key)
        targets: list[Target] = []

        def noted(target: Target) -> Deferred[T]:
            targets.append(target)
            return use(target)

        def perhaps_another(failure: Failure) -> Deferred[T]:
            # Where no block came that is right, what else was said says nothing of the object.
            unproved = all(target.is_assumed for target in targets)
            if failure.check(ProviderError if unproved else ObjectNotFound) is None:
                return fail(failure)
            return self._perhaps_another(failure, shape, key, operation, use)

        return self._use(shape, key, noted, is_assumed=is_assumed).addErrback(perhaps_another)

    def _use(
        self,
        shape: Shape,
        key: str,
        use: Callable[[Target], Deferred[T]],
        *,
        is_assumed: bool = False,
    ) -> Deferred[T]:
        fragment = shape.key(key, 0, FIRST_ATTEMPT)

        def known(state: FragmentState) -> Deferred[T]:
            return use(Target(self._tools, fragment, state, is_assumed=is_assumed))

        looking = self._ledger.lookup(key)
        if has_succeeded(looking):
            return known(cast(FragmentState, looking.result))
        # Without the exceptions most objects can be read all the same.
        looking.addErrback(lambda _: FragmentState())
        return looking.addCallback(known)

    def _perhaps_another(
        self,
        failure: Failure,
        shape: Shape,
        key: str,
        operation: str,
        use: Callable[[Target], Deferred[T]],
    ) -> Deferred[T]:
        """Nothing was found where it was thought to be: it may have been coded otherwise."""
        self._lengths.forget(key)

        def again(found: Shape) -> Deferred[T]:
            return fail(failure) if found == shape else self._use(found, key, use)

        return self._lengths.find(key, operation).addCallback(again)


def _clipped(target: Target, offset: int, length: int) -> tuple[int, int]:
    """Where the part of the range that the object has begins and ends."""
    begin = min(offset, target.length)
    return begin, min(target.length, offset + length)
