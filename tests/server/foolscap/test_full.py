"""Clients that were told that there is no room are hung up on once there is."""

from __future__ import annotations

from foolscap.api import Referenceable
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.server.foolscap import full
from raic.server.foolscap.buckets import UploadWatch
from raic.server.foolscap.callers import Callers
from raic.server.foolscap.full import (
    AT_ONCE,
    LASTING_SECONDS,
    LONGEST_SECONDS,
    PATIENCE_SECONDS,
    QUIET_SECONDS,
    SETTLED_SECONDS,
    FullClients,
)
from tests.server.foolscap.canary import Canary
from tests.server.foolscap.tubs import Patient, TubTestCase
from tests.server.services import ServiceTestCase
from tests.shares.stores import SECRETS

SOON = SETTLED_SECONDS + 2 * full.LOOK_SECONDS


class Client:
    """A caller that has been quiet for as long as it says.

    :ivar hung_up: how often it was hung up on.
    """

    def __init__(self, quiet: float = 1000.0) -> None:
        self.quiet = quiet
        self.hung_up = 0
        self.connected = True

    def is_connected(self) -> bool:
        return self.connected

    def quiet_seconds(self) -> float:
        return self.quiet

    def hang_up(self) -> None:
        self.hung_up += 1
        self.connected = False

    def begin_uploads(self, count: int) -> None:
        pass

    def end_upload(self) -> None:
        pass


class FullClientsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.callers = Callers()
        self.room = False
        self.clients = FullClients(self.callers, lambda: self.room, self.clock)

    def connect(self, quiet: float = 1000.0) -> Client:
        """A client that asks, and is told how things are."""
        client = Client(quiet)
        self.ask(client)
        return client

    def ask(self, client: Client) -> None:
        client.connected = True
        self.callers.present = client
        self.clients.note(not self.room)
        self.callers.present = None

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.5] * int(2 * seconds))

    def test_who_was_told_is_hung_up_on_and_nobody_else(self) -> None:
        told = self.connect()
        self.pass_time(60)
        self.assertEqual(told.hung_up, 0)
        self.room = True
        other = self.connect()
        self.pass_time(SOON)
        self.assertEqual((told.hung_up, other.hung_up), (1, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_asked_again_meanwhile_or_has_gone_is_left_alone(self) -> None:
        again, gone = self.connect(), self.connect()
        self.room = True
        self.ask(again)
        gone.connected = False
        self.pass_time(SOON)
        self.assertEqual((again.hung_up, gone.hung_up), (0, 0))

    def test_room_that_is_gone_at_once_means_nothing(self) -> None:
        told = self.connect()
        for _ in range(20):
            self.room = True
            self.pass_time(SETTLED_SECONDS - 2)
            self.room = False
            self.pass_time(2)
        self.assertEqual(told.hung_up, 0)

    def test_a_cloud_that_comes_and_goes_makes_no_storm(self) -> None:
        client = self.connect()
        for _ in range(1000):
            self.room = True
            self.pass_time(30)
            if not client.connected:
                self.ask(client)
            self.room = False
            self.pass_time(30)
            self.ask(client)  # it has lost its connection some other way
        self.assertEqual(client.hung_up, 3)  # after 5, 10 and 20 seconds
        self.room = True
        self.pass_time(100)
        self.assertEqual(client.hung_up, 4)

    def test_room_that_lasted_is_trusted_again(self) -> None:
        client = self.connect()
        for _ in range(12):
            self.room = True
            self.pass_time(LONGEST_SECONDS + SOON)
            self.room = False
            self.ask(client)
        self.room = True
        self.pass_time(100)
        self.assertEqual(client.hung_up, 12)
        self.pass_time(LASTING_SECONDS)
        self.room = False
        self.ask(client)
        self.room = True
        self.pass_time(SOON)
        self.assertEqual(client.hung_up, 14)

    def test_who_is_busy_is_let_finish(self) -> None:
        reads, uploads = self.connect(quiet=QUIET_SECONDS / 2), self.connect(quiet=0.0)
        self.room = True
        self.pass_time(PATIENCE_SECONDS - SOON)
        self.assertEqual((reads.hung_up, uploads.hung_up), (0, 0))
        self.pass_time(2 * SOON)
        self.assertEqual((reads.hung_up, uploads.hung_up), (1, 0))
        uploads.quiet = QUIET_SECONDS
        self.pass_time(2)
        self.assertEqual(uploads.hung_up, 1)

    def test_many_are_hung_up_on_one_after_the_other(self) -> None:
        many = [self.connect() for _ in range(3 * AT_ONCE)]
        self.room = True
        self.pass_time(SETTLED_SECONDS + 1.5)
        self.assertEqual(sum(each.hung_up for each in many), AT_ONCE)
        self.pass_time(3)
        self.assertEqual([each.hung_up for each in many], [1] * len(many))

    def test_nothing_happens_after_stop(self) -> None:
        told = self.connect()
        self.clients.stop()
        self.room = True
        self.pass_time(SOON)
        self.assertEqual(told.hung_up, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class UploadTests(ServiceTestCase):
    def test_uploads_are_counted_until_they_end(self) -> None:
        client = CountingClient()
        _, uploads = self.allocate(b"a" * 16, {0, 1}, 10, None, SECRETS)
        watch = UploadWatch(Canary(), uploads, client)
        self.assertEqual(client.uploads, 2)
        for shnum in (0, 1, 1):
            watch.ended(shnum)
        self.assertEqual(client.uploads, 0)


class CountingClient(Client):
    """Knows what it uploads."""

    uploads = 0

    def begin_uploads(self, count: int) -> None:
        self.uploads += count

    def end_upload(self) -> None:
        self.uploads -= 1


class ConnectionTests(TubTestCase):
    async def test_a_connection_is_quiet_between_calls_and_uploads(self) -> None:
        patient = Patient()
        remote = await self.new_client().getReference(await self.start_server(patient))
        connection = self.connection()
        held = remote.callRemote("hold", b"data")
        await self.until(lambda: patient.held)
        self.server_clock.advance(10)
        self.assertEqual(connection.quiet_seconds(), 0.0)
        patient.answer()
        await held
        self.server_clock.advance(10)
        self.assertEqual(connection.quiet_seconds(), 10.0)
        connection.begin_uploads(1)
        self.assertEqual(connection.quiet_seconds(), 0.0)
        connection.end_upload()
        self.server_clock.advance(5)
        self.assertEqual(connection.quiet_seconds(), 5.0)

    async def test_the_node_knows_who_calls_while_the_call_is_made(self) -> None:
        seen: list[object] = []

        class Curious(Patient):
            def remote_fetch(myself, size: int) -> bytes:
                seen.append(self.connection()._limits.callers.present)
                return b""

        remote = await self.new_client().getReference(await self.start_server(Curious()))
        await remote.callRemote("fetch", 1)
        self.assertEqual(seen, [self.connection()])
        self.assertIsNone(self.connection()._limits.callers.present)

    async def test_a_client_that_is_hung_up_on_comes_back(self) -> None:
        furl = await self.start_server(Patient())
        met: list[Referenceable] = []
        reconnector = self.new_client().connectTo(furl, met.append)
        self.addCleanup(reconnector.stopConnecting)
        await self.until(lambda: met)
        first = self.connection()
        self.assertTrue(first.is_connected())
        first.hang_up()
        self.assertFalse(first.is_connected())
        await self.until(lambda: len(met) == 2)
        self.assertIsNot(self.connection(), first)
