"""The socket at which a node takes commands."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from raic.cli import node_link
from raic.cli.node_link import CommandFailed, NodeLink, NodeNotRunning, NodeSilent
from raic.errors import ConfigurationError, OperationRefused
from raic.server.control import (
    CLOSING_SECONDS,
    PROGRESS_SECONDS,
    REQUEST_SECONDS,
    ControlFactory,
    ControlSocket,
    Conversation,
    Handler,
    Tell,
)
from raic.server.controlplace import LONGEST_LINE, SOCKET_NAME
from tests.contracts.driving import reactor


class Transport(StringTransport):
    """Hangs up when it is told to, as a socket whose bytes were all fetched."""

    def loseConnection(self) -> None:
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.aborting = True
        self.disconnected = True


class Wire:
    """A conversation, and what its client gets."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.clock = Clock()
        self.factory = ControlFactory(handlers, self.clock)
        self.transport = Transport()
        self.protocol: Conversation = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def ask(self, command: str, **arguments: Any) -> None:
        request = {"command": command, "arguments": arguments}
        self.send(json.dumps(request).encode() + b"\n")

    def said(self) -> list[Any]:
        lines = self.transport.value().split(b"\n")
        assert lines.pop() == b""
        return [json.loads(line) for line in lines]

    def error(self) -> Mapping[str, Any]:
        (message,) = self.said()
        assert message.keys() == {"error"}, message
        assert self.transport.disconnecting
        error: Mapping[str, Any] = message["error"]
        assert error.keys() == {"text", "remedy", "mistaken"}
        return error


class Held:
    """A handler that waits to be told what becomes of it."""

    def __init__(self) -> None:
        self.outcome: Deferred[Any] = Deferred()
        self.tell: Tell = lambda _: None
        self.asked = False

    def __call__(self, arguments: Mapping[str, Any], tell: Tell) -> Deferred[Any]:
        self.asked = True
        self.tell = tell
        return self.outcome


def echo(arguments: Mapping[str, Any], tell: Tell) -> Deferred[Any]:
    return succeed(dict(arguments))


def raises(arguments: Mapping[str, Any], tell: Tell) -> Deferred[Any]:
    raise OSError("disk on fire")


class Conversations(SynchronousTestCase):
    def setUp(self) -> None:
        self.held = Held()
        self.wire = Wire({"echo": echo, "wait": self.held, "raise": raises})

    def test_a_command_is_answered_and_the_connection_ended(self) -> None:
        self.wire.ask("echo", name="aws", number=3)
        self.assertEqual(self.wire.said(), [{"result": {"name": "aws", "number": 3}}])
        self.assertTrue(self.wire.transport.disconnecting)

    def test_a_command_may_come_in_pieces(self) -> None:
        for byte in b'{"command": "echo", "arguments": {}}\n':
            self.assertEqual(self.wire.said(), [])
            self.wire.send(bytes([byte]))
        self.assertEqual(self.wire.said(), [{"result": {}}])

    def test_what_follows_the_command_means_nothing(self) -> None:
        self.wire.send(b'{"command": "echo", "arguments": {}}\n{"command": "raise"}\n')
        self.wire.ask("raise")
        self.assertEqual(self.wire.said(), [{"result": {}}])

    def test_the_progress_comes_before_the_result(self) -> None:
        self.wire.ask("wait")
        self.held.tell({"done": 1})
        self.held.outcome.callback("over")
        self.assertEqual(self.wire.said(), [{"progress": {"done": 1}}, {"result": "over"}])

    def test_of_much_progress_the_latest_is_told_now_and_then(self) -> None:
        self.wire.ask("wait")
        for done in range(100):
            self.held.tell({"done": done})
        self.assertEqual(self.wire.said(), [{"progress": {"done": 0}}])
        self.wire.clock.advance(PROGRESS_SECONDS)
        self.wire.clock.advance(PROGRESS_SECONDS)
        self.assertEqual(self.wire.said()[1:], [{"progress": {"done": 99}}])

    def test_a_client_that_does_not_listen_is_told_nothing_until_it_does(self) -> None:
        self.wire.ask("wait")
        self.wire.protocol.pauseProducing()
        for done in range(1000):
            self.held.tell({"done": done})
            self.wire.clock.advance(PROGRESS_SECONDS)
        self.assertEqual(self.wire.said(), [])
        self.wire.protocol.resumeProducing()
        self.assertEqual(self.wire.said(), [{"progress": {"done": 999}}])

    def test_one_that_never_fetches_the_answer_is_cut_off(self) -> None:
        self.wire.ask("echo")
        self.wire.clock.advance(CLOSING_SECONDS - 1)
        self.assertFalse(self.wire.transport.disconnected)
        self.wire.clock.advance(1)
        self.assertTrue(self.wire.transport.disconnected)

    def test_a_client_that_is_gone_stops_nothing(self) -> None:
        self.wire.ask("wait")
        self.held.tell({"done": 1})
        self.held.tell({"done": 2})
        self.wire.protocol.connectionLost()
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])
        self.held.tell({"done": 3})
        self.assertFalse(self.held.outcome.called)
        self.held.outcome.callback("over")
        self.assertEqual(self.wire.said(), [{"progress": {"done": 1}}])
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_an_error_says_what_to_do(self) -> None:
        self.wire.ask("wait")
        self.held.outcome.errback(OperationRefused("aws is the last one", "add another"))
        expected = {"text": "aws is the last one", "remedy": "add another", "mistaken": False}
        self.assertEqual(self.wire.error(), expected)

    def test_a_mistake_of_the_operator_is_told_as_one(self) -> None:
        self.wire.ask("wait")
        self.held.outcome.errback(ConfigurationError(["no provider aws", "no provider ovh"]))
        self.assertEqual(self.wire.error()["text"], "no provider aws\nno provider ovh")
        self.assertTrue(self.wire.error()["mistaken"])

    def test_an_error_of_the_nodes_own_is_logged_and_not_shown(self) -> None:
        with capturedLogs() as events:
            self.wire.ask("raise")
        self.assertIn("OSError", self.wire.error()["text"])
        self.assertNotIn("fire", self.wire.error()["text"])
        self.assertIn("while doing what raise says", formatEvent(events[0]))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_a_result_that_is_no_json_is_an_error_of_the_nodes_own(self) -> None:
        self.wire.ask("wait")
        self.held.outcome.callback(object())
        self.assertIn("TypeError", self.wire.error()["text"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_an_unknown_command_is_refused(self) -> None:
        self.wire.ask("fly")
        self.assertEqual(self.wire.error()["text"], "this node knows no command 'fly'")

    def test_what_is_no_command_is_refused(self) -> None:
        for line in (
            b"",
            b"status",
            b"\xff\xfe",
            b"[" * LONGEST_LINE,
            b"3",
            b"[]",
            b"{}",
            b'{"command": "echo"}',
            b'{"command": "echo", "arguments": {}, "more": 1}',
            b'{"command": 3, "arguments": {}}',
            b'{"command": "echo", "arguments": []}',
            b'{"command": "echo", "arguments": {"n": NaN}}',
            b'{"command": "echo", "arguments": {"n": ' + b"9" * 5000 + b"}}",
        ):
            wire = Wire({"echo": echo})
            wire.send(line + b"\n")
            self.assertTrue(wire.error()["mistaken"], line[:80])

    @given(st.binary(max_size=200))
    def test_whatever_comes_is_answered_in_one_line(self, line: bytes) -> None:
        wire = Wire({"echo": echo})
        wire.send(line + b"\n")
        wire.error()

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda x: (
                st.lists(x)
                | st.dictionaries(st.sampled_from(["command", "arguments"]) | st.text(), x)
            ),
        )
    )
    def test_whatever_json_comes_is_answered_in_one_line(self, value: Any) -> None:
        wire = Wire({})
        wire.send(json.dumps(value).encode() + b"\n")
        wire.error()

    def test_a_line_may_have_so_many_bytes_and_no_more(self) -> None:
        request = b'{"command": "echo", "arguments": {}}'
        self.wire.send(request + b" " * (LONGEST_LINE - len(request)) + b"\n")
        self.assertEqual(self.wire.said(), [{"result": {}}])
        wire = Wire({"echo": echo})
        wire.send(request + b" " * (LONGEST_LINE - len(request)) + b" \n")
        self.assertIn("at most", wire.error()["text"])

    def test_no_more_is_kept_of_an_endless_line(self) -> None:
        for _ in range(100):
            self.wire.send(b"x" * 10_000)
        self.assertIn("at most", self.wire.error()["text"])

    def test_a_client_that_wants_nothing_is_sent_away(self) -> None:
        self.wire.send(b'{"command"')
        self.wire.clock.advance(REQUEST_SECONDS)
        self.assertIn("no command came", self.wire.error()["text"])

    def test_one_that_waits_for_an_answer_is_not(self) -> None:
        self.wire.ask("wait")
        self.wire.clock.advance(1_000_000)
        self.assertEqual(self.wire.said(), [])
        self.assertFalse(self.wire.transport.disconnecting)

    def test_who_waits_is_told_that_the_node_stops(self) -> None:
        self.wire.ask("wait")
        self.wire.factory.stop()
        self.assertEqual(self.wire.error()["text"], "the node stops")
        self.held.outcome.errback(OperationRefused("too late", ""))
        self.assertEqual(len(self.wire.said()), 1)


def long(arguments: Mapping[str, Any], tell: Tell) -> Deferred[Any]:
    """Answers more than any buffer of the kernel holds."""
    tell({"number": 0})
    return succeed("x" * 10_000_000)


def refuse(arguments: Mapping[str, Any], tell: Tell) -> Deferred[Any]:
    if arguments["mistaken"]:
        return fail(ConfigurationError(["one", "two"]))
    return fail(OperationRefused("not now", "wait"))


class Sockets(TestCase):
    """With real sockets, and the client that commands use."""

    timeout = 20

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(mode=0o700)
        self.held = Held()

    def listen(self) -> ControlSocket:
        handlers: dict[str, Handler] = {
            "echo": echo,
            "long": long,
            "wait": self.held,
            "refuse": refuse,
        }
        control = ControlSocket(self.directory / SOCKET_NAME, handlers, reactor)
        self.addCleanup(control.stop)
        self.assertTrue(control.start())
        return control

    def ask(self, command: str, **arguments: Any) -> Deferred[Any]:
        return deferToThread(NodeLink(self.directory).ask, command, arguments)

    def plain(self) -> socket.socket:
        """A connection of a client that need not be as the specification says."""
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        folder = os.open(self.directory, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        connection.connect(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
        return connection

    async def test_a_command_is_done(self) -> None:
        self.listen()
        self.assertEqual(await self.ask("echo", name="aws"), {"name": "aws"})

    async def test_nobody_else_may_connect(self) -> None:
        self.listen()
        mode = (self.directory / SOCKET_NAME).lstat().st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    async def test_errors_arrive_as_what_they_are(self) -> None:
        self.listen()
        failed = await self.assertFailure(self.ask("refuse", mistaken=False), CommandFailed)
        self.assertEqual((str(failed), failed.remedy), ("not now", "wait"))
        mistaken = await self.assertFailure(self.ask("refuse", mistaken=True), ConfigurationError)
        self.assertEqual(mistaken.problems, ("one", "two"))

    async def test_progress_arrives(self) -> None:
        self.listen()
        seen: list[int] = []
        link = NodeLink(self.directory)
        result = await deferToThread(
            link.follow, "long", {}, lambda told: seen.append(told["number"])
        )
        self.assertEqual((len(result), seen), (10_000_000, [0]))

    async def test_a_path_of_any_length_will_do(self) -> None:
        self.directory = self.directory / ("x" * 100) / ("y" * 100)
        self.directory.mkdir(parents=True)
        control = self.listen()
        self.assertEqual(await self.ask("echo"), {})
        await control.stop()
        self.assertEqual(list(self.directory.iterdir()), [])

    async def test_the_socket_of_a_killed_node_is_replaced(self) -> None:
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(os.fspath((self.directory / SOCKET_NAME).relative_to(Path.cwd())))
        await self.assertFailure(self.ask("echo"), NodeNotRunning)
        self.listen()
        self.assertEqual(await self.ask("echo"), {})

    async def test_what_is_no_socket_is_left_alone_and_said(self) -> None:
        (self.directory / SOCKET_NAME).write_text("notes")
        control = ControlSocket(self.directory / SOCKET_NAME, {}, reactor)
        with capturedLogs() as events:
            self.assertFalse(control.start())
        (warning,) = [formatEvent(one) for one in events if one["log_level"] is LogLevel.warn]
        self.assertIn("commands cannot reach this node", warning)
        self.assertEqual((self.directory / SOCKET_NAME).read_text(), "notes")
        await control.stop()

    async def test_it_is_gone_when_the_node_is(self) -> None:
        control = self.listen()
        await control.stop()
        self.assertEqual(list(self.directory.iterdir()), [])
        error = await self.assertFailure(self.ask("echo"), NodeNotRunning)
        self.assertEqual(error.remedy, f"start it: raic run {self.directory}")

    async def test_it_ends_though_somebody_removed_it(self) -> None:
        control = self.listen()
        (self.directory / SOCKET_NAME).unlink()
        await control.stop()
        self.assertEqual(list(self.directory.iterdir()), [])

    async def test_who_waits_is_told_that_the_node_stops(self) -> None:
        control = self.listen()
        asked = self.ask("wait")
        await self.until_asked()
        await control.stop()
        error = await self.assertFailure(asked, CommandFailed)
        self.assertEqual(str(error), "the node stops")

    async def until_asked(self) -> None:
        while not self.held.asked:
            await deferLater(reactor, 0.001)

    async def test_a_hundred_idle_clients_are_in_nobodys_way(self) -> None:
        self.listen()
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(self.plain())
                await deferLater(reactor, 0)
            self.assertEqual(await self.ask("echo"), {})

    async def test_a_client_that_is_killed_midway_ends_nothing(self) -> None:
        self.listen()
        connection = self.plain()
        connection.sendall(b'{"command": "wait", "arguments": {}}\n')
        await self.until_asked()
        connection.close()
        for done in range(100):
            self.held.tell({"done": done})
            await deferLater(reactor, 0)
        self.assertFalse(self.held.outcome.called)
        self.held.outcome.callback(None)
        self.assertEqual(await self.ask("echo"), {})

    async def test_a_client_that_never_reads_holds_up_nothing(self) -> None:
        self.listen()
        connection = self.plain()
        connection.sendall(b'{"command": "long", "arguments": {}}\n')
        self.assertEqual(await self.ask("echo"), {})

    async def test_a_node_that_hangs_is_not_waited_for_where_it_should_answer_at_once(self) -> None:
        self.listen()
        self.patch(node_link, "ANSWER_SECONDS", 0.05)
        error = await self.assertFailure(self.ask("wait"), NodeSilent)
        self.assertIn("took longer than", str(error))

    async def test_a_command_that_is_too_long_is_not_sent(self) -> None:
        self.listen()
        await self.assertFailure(self.ask("echo", name="x" * LONGEST_LINE), ConfigurationError)

    async def test_a_directory_that_is_none_is_no_node(self) -> None:
        self.directory = self.directory / "notes"
        self.directory.write_text("")
        error = await self.assertFailure(self.ask("echo"), NodeNotRunning)
        self.assertIn("cannot be reached", str(error))

    async def test_a_node_that_ends_is_noticed(self) -> None:
        path = self.directory / SOCKET_NAME
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fspath(path.relative_to(Path.cwd())))
            server.listen()
            asked = self.ask("echo")
            connection, _ = await deferToThread(server.accept)
            connection.recv(100)
            connection.sendall(b'{"progress": {}}\n{"resu')
            connection.close()
            error = await self.assertFailure(asked, NodeSilent)
        self.assertIn("ended before it had answered", str(error))
