"""The service's clock against this machine's."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from raic.backends.certify import Result, Row
from raic.backends.layers.forwarding import ForwardingProvider
from raic.interfaces import IServiceClock, IStorageProvider
from tests.backends.certify.world import NOW, CertifyCase


@implementer(IServiceClock)
class _Tells(ForwardingProvider):
    def __init__(self, inner: IStorageProvider, time: float | None) -> None:
        super().__init__(inner)
        self._time = time

    def service_time(self) -> Deferred[float | None]:
        return succeed(self._time)


class Drift(CertifyCase):
    def clock_row(self, ahead: float | None) -> Row:
        """What is found when this machine's clock is that much ahead."""
        time = None if ahead is None else NOW - ahead - 0.5
        self.found = self.certify(leaf=_Tells(self.memory, time))
        return self.row(self.found, "clock")

    def test_clocks_that_agree(self) -> None:
        for ahead in (0.0, 59.0, -59.0):
            row = self.clock_row(ahead)
            self.assertIs(row.result, Result.PASS)
            self.assertEqual(self.found.figures["clock_drift_seconds"], ahead)
            self.clock = type(self.clock)()
            self.clock.advance(NOW)

    def test_more_than_a_minute_is_a_warning(self) -> None:
        row = self.clock_row(61.0)
        self.assertIs(row.result, Result.WARNING)
        self.assertEqual(row.detail, "this machine's is 1 min 1 s ahead")
        self.assertIn("time server", row.remedy)
        self.assertTrue(self.found.passed)

    def test_more_than_a_quarter_of_an_hour_is_a_failure(self) -> None:
        row = self.clock_row(-901.0)
        self.assertIs(row.result, Result.FAIL)
        self.assertEqual(row.detail, "this machine's is 15 min 1 s behind")
        self.assertIn("time server", row.remedy)
        self.assertFalse(self.found.passed)

    def test_a_service_that_does_not_say(self) -> None:
        self.assertIs(self.clock_row(None).result, Result.NOT_OFFERED)
