"""What a service manager is told: the messages themselves, and when signs of life go out."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.cli.manager import STATUS_SECONDS, Heartbeat, ServiceManager

PID = 17


class Listener:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def messages(self) -> list[list[str]]:
        """What has come since the last look."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return found


class ManagerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.address = str(Path("notify").absolute())
        self.listener = Listener(self.address)
        self.addCleanup(self.listener.close)

    def manager(self, **variables: str) -> ServiceManager:
        return ServiceManager({"NOTIFY_SOCKET": self.address, **variables}, PID)


class Messages(ManagerCase):
    def test_each_state_has_its_message(self) -> None:
        manager = self.manager()
        manager.wait("starting\nup", 90)
        manager.ready("serves")
        manager.reloading()
        manager.stopping("ends", 1.5)
        manager.alive("well")
        messages = self.listener.messages()
        self.assertRegex(messages[2].pop(1), r"^MONOTONIC_USEC=\d+$")
        self.assertEqual(
            messages,
            [
                ["STATUS=starting up", "EXTEND_TIMEOUT_USEC=90000000"],
                ["READY=1", "STATUS=serves"],
                ["RELOADING=1", "STATUS=reading its settings again"],
                ["STOPPING=1", "STATUS=ends", "EXTEND_TIMEOUT_USEC=1500000"],
                ["WATCHDOG=1", "STATUS=well"],
            ],
        )

    def test_an_abstract_address_is_understood(self) -> None:
        name = f"raic-test-{Path.cwd().name}-{id(self)}"
        listener = Listener(f"\0{name}")
        self.addCleanup(listener.close)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}, PID).status("here")
        self.assertEqual(listener.messages(), [["STATUS=here"]])

    def test_nobody_is_told_where_nobody_listens(self) -> None:
        for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
            manager = ServiceManager(environment, PID)
            self.assertFalse(manager.listens)
            manager.ready("serves")
        gone = ServiceManager({"NOTIFY_SOCKET": str(Path("nowhere").absolute())}, PID)
        gone.ready("serves")

    def test_the_watchdog_is_that_of_this_process(self) -> None:
        for variables, seconds in (
            ({"WATCHDOG_USEC": "30000000"}, 30.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}, 30.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
            ({}, None),
        ):
            self.assertEqual(self.manager(**variables).watchdog, seconds)
        self.assertIsNone(ServiceManager({"WATCHDOG_USEC": "30000000"}, PID).watchdog)


class SignsOfLife(ManagerCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.answers: list[Deferred[str]] = []
        self.looks = 0

    def look(self) -> Deferred[str]:
        self.looks += 1
        return self.answers.pop(0) if self.answers else succeed("well")

    def start(self, manager: ServiceManager) -> Heartbeat:
        heartbeat = Heartbeat(manager, self.clock, self.look)
        heartbeat.start()
        return heartbeat

    def test_three_are_given_in_the_time_of_the_watchdog(self) -> None:
        self.start(self.manager(WATCHDOG_USEC="30000000"))
        self.clock.pump([1.0] * 30)
        self.assertEqual(self.listener.messages(), [["WATCHDOG=1", "STATUS=well"]] * 4)

    def test_without_a_watchdog_the_status_is_told(self) -> None:
        self.start(self.manager())
        self.clock.pump([1.0] * int(STATUS_SECONDS))
        self.assertEqual(len(self.listener.messages()), 2)

    def test_while_there_is_no_answer_no_sign_is_given(self) -> None:
        hangs: Deferred[str] = Deferred()
        self.answers = [succeed("well"), hangs]
        self.start(self.manager(WATCHDOG_USEC="30000000"))
        self.clock.pump([1.0] * 60)
        self.assertEqual(len(self.listener.messages()), 1)
        hangs.callback("slow")
        self.assertEqual(self.listener.messages(), [["WATCHDOG=1", "STATUS=slow"]])

    def test_a_failure_is_an_answer(self) -> None:
        self.answers = [fail(ValueError("the disk is full"))]
        self.start(self.manager())
        self.assertEqual(self.listener.messages(), [["WATCHDOG=1", "STATUS=the disk is full"]])

    def test_none_is_given_once_it_was_stopped_or_to_nobody(self) -> None:
        hangs: Deferred[str] = Deferred()
        self.answers = [hangs]
        heartbeat = self.start(self.manager())
        heartbeat.stop()
        hangs.callback("late")
        self.start(ServiceManager({}, PID)).stop()
        self.clock.advance(1000)
        self.assertEqual(self.listener.messages(), [])
        self.assertEqual(self.looks, 1)
