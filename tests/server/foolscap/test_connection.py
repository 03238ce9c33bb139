"""Connections that stay within their bounds, whatever the peer does."""

from __future__ import annotations

from os import urandom
from typing import Any

from foolscap.api import DeadReferenceError, Referenceable, RemoteException, Violation
from foolscap.banana import int2b128
from foolscap.tokens import INT, OPEN, STRING
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from raic.budget import MemoryBudget
from raic.server.foolscap import connection
from raic.server.foolscap.connection import (
    BARE_BYTES,
    IN_FLIGHT_BYTES,
    MAX_CALLS,
    STALL_SECONDS,
    ConnectionLimits,
    answer_bytes,
)
from raic.server.foolscap.tub import make_tub
from tests.server.foolscap.tubs import MIB, NAME, Patient, TubTestCase, pem, raw


def send_token(transport: Any, kind: bytes, number: int) -> None:
    """Send a token as Foolscap encodes it."""
    int2b128(number, transport.write)
    transport.write(kind)


def send_string(transport: Any, text: bytes) -> None:
    """Send a whole string."""
    send_token(transport, STRING, len(text))
    transport.write(text)


class ConnectionTestCase(TubTestCase):
    """Has a :class:`Patient` and its FURL."""

    async def meet(self) -> Any:
        """The patient as a client sees it, over a connection of its own."""
        if not hasattr(self, "furl"):
            self.patient = Patient()
            self.furl = await self.start_server(self.patient)
        return await self.new_client().getReference(self.furl)

    async def assert_dropped(self, call: Deferred[Any]) -> None:
        """The call fails because the connection is gone."""
        with self.assertRaises(DeadReferenceError):
            await call
        await self.until(lambda: not list(self.connections()))
        self.assertEqual(self.budget.taken, 0)

    async def refusal(self, call: Deferred[Any]) -> str:
        """The text with which a call fails."""
        with self.assertRaises(RemoteException) as raised:
            await call
        return str(raised.exception.failure.value)

    async def assert_others_unharmed(self) -> None:
        """Another client is answered."""
        other = await self.meet()
        self.assertEqual(await other.callRemote("fetch", 3), b"\0\0\0")


class MessageTests(ConnectionTestCase):
    async def test_large_messages_within_the_limit_are_taken(self) -> None:
        remote = await self.meet()
        calls = [remote.callRemote("hold", bytes(self.max_message)) for _ in range(2)]
        await self.until(lambda: len(self.patient.held) == 2)
        self.assertGreater(self.budget.taken, self.max_message)
        self.patient.answer()
        await gatherResults(calls)
        self.assertEqual(self.budget.taken, 0)

    async def test_messages_may_arrive_in_pieces_of_any_size(self) -> None:
        remote = await self.meet()
        broker = remote.tracker.broker
        texts = [urandom(size) for size in (0, 1, 62, 70_000, 64, 65, 20_000, 127, 128)]
        for size in (1, 2, 63, 64, 65, 66, 1_000, 16_384, 200_000):
            real, broker.transport = broker.transport, StringTransport()
            calls = [remote.callRemote("hold", text) for text in texts]
            await self.until(lambda: texts[-1] in broker.transport.value())
            sent, broker.transport = broker.transport.value(), real
            for begin in range(0, len(sent), size):
                self.connection().dataReceived(sent[begin : begin + size])
            await self.until(lambda: len(self.patient.held) == len(texts))
            self.assertEqual(self.patient.data, texts)
            self.patient.answer()
            self.patient.data.clear()
            await gatherResults(calls)

    async def test_a_message_over_the_limit_ends_the_connection(self) -> None:
        remote = await self.meet()
        too_large = bytes(self.max_message + BARE_BYTES + 100_000)
        await self.assert_dropped(remote.callRemote("hold", too_large))
        self.assertEqual(self.patient.held, [])
        await self.assert_others_unharmed()

    async def test_a_string_that_announces_an_absurd_length_ends_the_connection(self) -> None:
        remote = await self.meet()
        call = remote.callRemote("hold", b"")
        await self.until(lambda: self.patient.held)
        transport = raw(remote)
        send_token(transport, OPEN, 1)
        send_string(transport, b"call")
        send_token(transport, INT, 77)
        send_token(transport, INT, remote.tracker.clid)
        send_string(transport, b"hold")
        send_token(transport, OPEN, 2)
        send_string(transport, b"arguments")
        send_token(transport, INT, 0)
        send_string(transport, b"data")
        send_token(transport, STRING, 2**60)
        transport.write(bytes(self.max_message + 2 * BARE_BYTES))
        await self.assert_dropped(call)
        await self.assert_others_unharmed()

    async def test_garbage_ends_the_connection(self) -> None:
        remote = await self.meet()
        call = remote.callRemote("hold", b"")
        await self.until(lambda: self.patient.held)
        raw(remote).write(bytes(200))
        await self.assert_dropped(call)
        await self.assert_others_unharmed()

    async def test_a_message_of_too_many_parts_ends_the_connection(self) -> None:
        self.patch(connection, "MAX_PARTS", 3_000)
        remote = await self.meet()
        for _ in range(3):
            await remote.callRemote("take", [[] for _ in range(2_500)])
        await self.assert_dropped(remote.callRemote("take", [[] for _ in range(12_000)]))
        await self.assert_others_unharmed()

    async def test_a_large_message_when_memory_is_short_ends_the_connection(self) -> None:
        remote = await self.meet()
        self.budget.take(self.memory_limit)
        with self.assertRaises(DeadReferenceError):
            await remote.callRemote("hold", bytes(4 * MIB))
        self.assertEqual(self.budget.taken, self.memory_limit)

    async def test_a_peer_that_has_named_nothing_may_not_say_much(self) -> None:
        await self.meet()
        broker = await self.new_client().getBrokerForTubRef(self.stranger_ref())
        name = b"n" * (connection.STRANGER_BYTES + 10_000)
        with self.assertRaises(DeadReferenceError):
            await broker.remote_broker.callRemote("getReferenceByName", name=name)
        await self.assert_others_unharmed()

    async def test_a_wrong_name_leads_nowhere(self) -> None:
        await self.meet()
        broker = await self.new_client().getBrokerForTubRef(self.stranger_ref())
        told = await self.refusal(broker.getYourReferenceByName("wrong"))
        self.assertNotIn(NAME, told)

    def stranger_ref(self) -> Any:
        """What a client needs to connect without naming an object."""
        from foolscap.referenceable import SturdyRef  # noqa: PLC0415

        return SturdyRef(self.furl).getTubRef()

    async def test_a_refused_message_is_read_to_its_end_and_the_next_is_answered(self) -> None:
        remote = await self.meet()
        too_much = [bytes(1000)] * ((self.max_message + 2 * BARE_BYTES) // 1000)
        await self.refusal(remote.callRemote("hold", too_much, _useSchema=False))
        await self.assert_others_unharmed()
        self.assertEqual(await remote.callRemote("fetch", 2), b"\0\0")


class FloodTests(ConnectionTestCase):
    memory_limit = 256 * MIB

    async def test_a_peer_that_does_not_wait_is_read_no_further(self) -> None:
        remote = await self.meet()
        calls = [remote.callRemote("hold", bytes(MIB)) for _ in range(40)]
        broker = self.connection()
        await self.until(lambda: not broker._reading)
        self.assertLessEqual(broker._in_flight, IN_FLIGHT_BYTES + 2 * MIB)
        self.assertLess(len(self.patient.held), 20)
        await self.assert_others_unharmed()
        while any(not call.called for call in calls):
            await self.until(lambda: self.patient.held or all(call.called for call in calls))
            self.patient.answer()
        await gatherResults(calls)
        self.assertEqual(broker._in_flight, 0)

    async def test_calls_are_begun_a_few_at_a_time_and_in_order(self) -> None:
        remote = await self.meet()
        calls = [remote.callRemote("hold", b"") for _ in range(5 * MAX_CALLS)]
        await self.until(lambda: len(self.patient.held) == MAX_CALLS)
        await self.assert_others_unharmed()
        self.assertEqual(len(self.patient.held), MAX_CALLS)
        self.patient.held.pop().callback(None)
        await self.until(lambda: len(self.patient.held) == MAX_CALLS)
        await calls[MAX_CALLS - 1]
        self.assertFalse(calls[0].called)
        while any(not call.called for call in calls):
            await self.until(lambda: self.patient.held or all(call.called for call in calls))
            self.patient.answer()
        await gatherResults(calls)

    async def test_what_was_never_begun_is_forgotten_with_the_connection(self) -> None:
        remote = await self.meet()
        calls = [remote.callRemote("hold", bytes(100_000)) for _ in range(2 * MAX_CALLS)]
        await self.until(lambda: len(self.patient.held) == MAX_CALLS)
        broker = self.connection()
        raw(remote).abortConnection()
        await DeferredList(calls, consumeErrors=True)
        await self.until(lambda: broker.disconnected)
        self.patient.answer()
        self.assertEqual((broker._in_flight, self.budget.taken), (0, 0))


class StallTests(ConnectionTestCase):
    async def stall(self) -> tuple[Any, list[Deferred[bytes]]]:
        """A client that asks for much and reads nothing."""
        remote = await self.meet()
        raw(remote).pauseProducing()
        calls = [remote.callRemote("fetch", 2 * MIB) for _ in range(30)]
        broker = self.connection()
        await self.until(lambda: broker._stall is not None)
        return remote, calls

    async def test_no_more_is_begun_for_a_peer_that_reads_nothing(self) -> None:
        remote, calls = await self.stall()
        await self.assert_others_unharmed()
        self.assertLess(self.patient.fetched, 5)
        self.assertLess(self.budget.taken, 8 * MIB)
        raw(remote).resumeProducing()
        answers = await gatherResults(calls)
        self.assertEqual({len(answer) for answer in answers}, {2 * MIB})
        await self.until(lambda: self.budget.taken == 0)

    async def test_a_peer_that_reads_nothing_for_long_is_dropped(self) -> None:
        _, calls = await self.stall()
        self.server_clock.advance(STALL_SECONDS)
        await self.until(lambda: not list(self.connections()))
        self.assertEqual(self.budget.taken, 0)
        await self.assert_others_unharmed()
        for call in calls:
            call.addErrback(lambda failure: failure.trap(DeadReferenceError))

    async def test_an_answer_for_which_there_is_no_memory_fails(self) -> None:
        remote = await self.meet()
        self.budget.take(self.memory_limit - MIB)
        told = await self.refusal(remote.callRemote("fetch", 2 * MIB))
        self.assertIn("bytes of memory", told)
        self.assertEqual(len(await remote.callRemote("fetch", MIB)), MIB)

    async def test_stopping_does_not_wait_for_a_peer_that_is_gone(self) -> None:
        _, calls = await self.stall()
        stopped = self.stop_server()
        assert stopped is not None
        await stopped
        for call in calls:
            call.addErrback(lambda failure: failure.trap(DeadReferenceError))

    async def test_stopping_does_not_wait_for_a_peer_that_is_silent(self) -> None:
        remote = await self.meet()
        raw(remote).pauseProducing()
        stopped = self.server.stopService()
        self.assertFalse(stopped.called)
        self.server_clock.advance(connection.HANG_UP_SECONDS)
        await stopped


class ReferenceTests(ConnectionTestCase):
    async def test_what_was_not_registered_has_no_address(self) -> None:
        remote = await self.meet()
        self.assertEqual(remote.tracker.url, self.furl)
        self.assertIsNone(self.connection().getTrackerForMyReference(1, Patient()).getURL())

    async def test_references_with_endless_addresses_are_refused(self) -> None:
        remote = await self.meet()
        broker = self.connection()
        self.assertRaises(Violation, broker.getTrackerForYourReference, 7, "x" * 5000, None)
        self.assertRaises(Violation, broker.getTrackerForYourReference, 7, None, "x" * 5000)
        await remote.callRemote("meet", Referenceable())
        self.assertEqual(len(self.patient.met), 1)

    async def test_too_many_references_are_refused(self) -> None:
        self.patch(connection, "MAX_REFERENCES", 3)
        remote = await self.meet()
        kept = [Referenceable() for _ in range(4)]
        for each in kept[:3]:
            await remote.callRemote("meet", each)
        told = await self.refusal(remote.callRemote("meet", kept[3]))
        self.assertIn("too many references", told)

    async def test_failures_come_without_traceback(self) -> None:
        remote = await self.meet()
        with self.assertRaises(RemoteException) as raised:
            await remote.callRemote("fail")
        told = raised.exception.failure
        self.assertEqual(told.value, "a text for the client")
        self.assertEqual(told.traceback, "Traceback unavailable\n")


class TubTests(TubTestCase):
    def test_the_operators_timeouts_are_kept(self) -> None:
        limits = ConnectionLimits(MemoryBudget(0), Clock(), 0)
        tub = make_tub(pem(), limits, keepalive=77, disconnect=1800)
        self.assertEqual((tub.keepaliveTimeout, tub.disconnectTimeout), (77, 1800))
        plain = make_tub(pem(), limits)
        self.assertEqual((plain.keepaliveTimeout, plain.disconnectTimeout), (240, None))

    def test_strangers_introductions_are_not_followed(self) -> None:
        tub = make_tub(pem(), ConnectionLimits(MemoryBudget(0), Clock(), 0))
        self.assertFalse(tub.accept_gifts)

    async def test_an_error_that_the_peer_tells_of_ends_the_connection(self) -> None:
        remote = await self.new_client().getReference(await self.start_server(Patient()))
        remote.tracker.broker.sendError("you are wrong")
        await self.until(lambda: not list(self.connections()))


class AnswerSizeTests(TubTestCase):
    def test_share_data_is_counted_wherever_it_is(self) -> None:
        self.assertEqual(answer_bytes((True, {0: [b"abc", b"de"], 1: [b""]})), 5)
        self.assertEqual(answer_bytes(None), 0)
