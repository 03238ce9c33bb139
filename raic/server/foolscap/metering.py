"""Counting the calls of Foolscap clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from foolscap.api import Referenceable
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from raic.server.foolscap.connection import answer_bytes
from raic.server.foolscap.failures import REFUSALS
from raic.server.operations import FOOLSCAP, OperationMeter
from raic.tally import Tally


class MeteredReferenceable(Referenceable):
    """An object for Foolscap clients whose methods are counted.

    :ivar operations: what they are counted as, where that is not their name.
    """

    operations: ClassVar[Mapping[str, str]] = {}

    def __init__(self, meter: OperationMeter) -> None:
        self.meter = meter

    def doRemoteCall(
        self, methodname: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call a method as Foolscap asks for it, and note how that ends."""
        meter = self.meter
        tally = meter.tally(FOOLSCAP, self.operations.get(methodname, methodname))
        began = meter.seconds()
        tally.begun += 1
        try:
            result = super().doRemoteCall(methodname, args, kwargs)  # type: ignore[no-untyped-call]
        except BaseException as error:
            _ended(tally, meter.seconds() - began, error)
            raise
        tally.bytes_up += answer_bytes(args) + answer_bytes(tuple(kwargs.values()))
        if isinstance(result, Deferred):
            return result.addBoth(self._ended, tally, began)
        return self._ended(result, tally, began)

    def _ended(self, result: Any, tally: Tally, began: float) -> Any:
        seconds = self.meter.seconds() - began
        if isinstance(result, Failure):
            _ended(tally, seconds, result.value)
        else:
            tally.took(seconds)
            tally.bytes_down += answer_bytes(result)
        return result


def _ended(tally: Tally, seconds: float, error: BaseException | None) -> None:
    tally.took(seconds)
    if not isinstance(error, REFUSALS):
        tally.errors[type(error).__name__] += 1
