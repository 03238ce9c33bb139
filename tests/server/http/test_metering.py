"""What is counted of the requests of HTTP clients."""

from __future__ import annotations

import cbor2
from twisted.internet.defer import Deferred, fail

from raic.backends.memory import MemoryProvider
from raic.errors import ProviderUnreachable
from raic.interfaces import IStorageProvider
from raic.tally import OperationFigures
from raic.values import Stored
from tests.server.http.harness import CHANGE, SI, FaceTestCase, raw_request

VECTORS = {"test": [], "write": [{"offset": 0, "data": b"x"}], "new-length": None}
MESSAGE = {"test-write-vectors": {0: VECTORS}, "read-vector": []}


class Away(MemoryProvider):
    """A provider that fails, or does not answer, when something is stored in it."""

    hangs = False

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        if self.hangs:
            return Deferred()
        return fail(ProviderUnreachable("attic", "put_object", "no route"))


class Metering(FaceTestCase):
    def make_provider(self) -> IStorageProvider:
        self.attic = Away("attic")
        return self.attic

    def figures(self, operation: str) -> OperationFigures:
        return self.meter.figures()["http", operation]

    def test_answers_and_refusals_are_no_errors(self) -> None:
        self.ask("GET", "version")
        self.assertEqual(self.ask("GET", f"immutable/{SI}/3").status, 404)
        self.assertEqual((self.figures("version").calls, self.figures("read").calls), (1, 1))
        self.assertEqual(self.figures("read").errors, {})
        self.assertGreater(self.figures("version").bytes_down, 50)

    def test_what_the_node_cannot_do_is_one(self) -> None:
        self.assertEqual(self.change(MESSAGE).status, 503)
        figures = self.figures("read_test_write")
        self.assertEqual((figures.calls, figures.in_flight), (1, 0))
        self.assertEqual(figures.errors, {"ProviderUnreachable": 1})
        self.assertGreater(figures.bytes_up, 10)

    def test_a_client_that_hangs_up_is_no_longer_waited_for(self) -> None:
        self.attic.hangs = True
        self.change_without_answer()
        figures = self.figures("read_test_write")
        self.assertEqual((figures.calls, figures.in_flight), (0, 0))

    def change_without_answer(self) -> None:
        """Send a change, see that it is under way, and hang up."""
        connection = self.connect()
        connection.send(
            raw_request("POST", f"mutable/{SI}/read-test-write", CHANGE, cbor2.dumps(MESSAGE))
        )
        self.assertEqual(self.figures("read_test_write").in_flight, 1)
        connection.lose()
