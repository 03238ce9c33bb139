"""A node's end as its clients and its service manager see it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.cli.test_manager import Listener
from tests.cli.test_processes import SECONDS, NodeCase
from tests.end_to_end.harness import TahoeClient, nurl_of
from tests.end_to_end.processes import Program, installed
from tests.end_to_end.thin import ThinHTTPClient
from tests.end_to_end.wire import Address

INDEX = bytes(range(16))
SIZE = 2_000_000
FILE_BYTES = 150 * 10**6
SEEN_BYTES = 10 * 10**6


class StoppingCase(NodeCase):
    def thin_client(self) -> ThinHTTPClient:
        client = ThinHTTPClient(Address.from_nurl(nurl_of(self.node.servers_yaml())))
        self.addCleanup(client.close)
        return client

    def upload_half(self) -> ThinHTTPClient:
        client = self.thin_client()
        self.assertEqual(client.allocate(INDEX, {0}, SIZE), {0})
        client.write(INDEX, 0, 0, b"x" * (SIZE // 2))
        return client

    def signal(self, program: Program) -> None:
        os.kill(program.pid, signal.SIGTERM)

    def start_with(self, environment: Mapping[str, str]) -> Program:
        command: list[str | Path] = [installed("raic"), "run", self.node.folder]
        program = Program(command, self.node.log(), environment)
        self.node.program = program
        program.wait_for_output("storage node is ready", SECONDS)
        return program


class Uploading(StoppingCase):
    def test_an_upload_under_way_is_finished_and_no_other_begins(self) -> None:
        program = self.start()
        client = self.upload_half()
        self.signal(program)
        program.wait_for_output("stopping: 1 shares may still end, within 60 s", SECONDS)
        self.assertEqual(client.allocate(b"o" * 16, {0}, SIZE), set())
        self.assertTrue(client.write(INDEX, 0, SIZE // 2, b"x" * (SIZE // 2)))
        client.close()
        self.assertEqual(program.wait(SECONDS), 0)
        self.start()
        self.assertEqual(self.thin_client().read("immutable", INDEX, 0), b"x" * SIZE)

    def test_a_second_signal_ends_it_at_once(self) -> None:
        program = self.start()
        client = self.upload_half()
        self.signal(program)
        program.wait_for_output("stopping: 1 shares", SECONDS)
        client.close()  # a node waits some seconds for clients that do not hang up
        self.signal(program)
        self.assertEqual(program.wait(SECONDS), 0)
        output = self.start().output()
        self.assertIn("holding: 0 shares", output)
        self.assertIn("index: in order", output)

    def test_the_limit_ends_it(self) -> None:
        self.node.configure({"node": {"stop_seconds": "1"}})
        program = self.start()
        self.upload_half().close()
        self.signal(program)
        self.assertEqual(program.wait(SECONDS), 0)
        self.assertIn("within 1 s", program.output())


@pytest.mark.service
class RealClient(StoppingCase):
    def test_a_file_on_its_way_arrives_whole(self) -> None:
        program = self.start()
        client = TahoeClient(Path(self.mktemp()).absolute(), self.node.servers_yaml())
        self.addCleanup(client.stop)
        client.start()
        big = Path("big.bin").absolute()
        piece = bytes(range(256)) * 4096
        with big.open("wb") as output:
            for _ in range(FILE_BYTES // len(piece)):
                output.write(piece)
        node = psutil.Process(program.pid)
        put = Program(
            [installed("tahoe"), "-d", client.folder, "put", big], Path("put.log").absolute()
        )
        self.addCleanup(put.kill)
        written = node.io_counters().write_chars
        put.wait_for(
            lambda: node.io_counters().write_chars > written + SEEN_BYTES, "uploading", SECONDS
        )
        self.signal(program)
        program.wait_for_output("stopping: 1 shares may still end", SECONDS)
        self.assertEqual(put.wait(2 * SECONDS), 0, put.output())
        self.assertEqual(program.wait(SECONDS), 0, program.output())
        (capability,) = [line for line in put.output().splitlines() if line.startswith("URI:")]
        self.assertIn("holding: 1 shares", self.start().output())
        client.wait_until_connected()
        client.command("get", capability, "copy.bin")
        self.assertEqual(Path("copy.bin").read_bytes(), big.read_bytes())


class Managed(StoppingCase):
    def test_it_is_told_of_each_state_and_of_life(self) -> None:
        address = Path("notify").absolute()
        listener = Listener(str(address))
        self.addCleanup(listener.close)
        variables = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "300000"}
        program = self.start_with(variables)
        told: list[list[str]] = []

        def has(field: str) -> bool:
            told.extend(listener.messages())
            return any(field in message for message in told)

        program.wait_for(lambda: has("WATCHDOG=1"), "giving a sign of life", SECONDS)
        kinds = [message[0] for message in told]
        self.assertLess(kinds.index("STATUS=starting"), kinds.index("READY=1"))
        self.assertLess(kinds.index("READY=1"), kinds.index("WATCHDOG=1"))
        self.assertIn(["WATCHDOG=1", "STATUS=0 shares, 0 slots"], told)
        told.clear()
        os.kill(program.pid, signal.SIGHUP)
        program.wait_for(lambda: has("READY=1"), "having reloaded", SECONDS)
        kinds = [message[0] for message in told]
        self.assertLess(kinds.index("RELOADING=1"), kinds.index("READY=1"))
        self.assertEqual(program.terminate(), 0)
        self.assertTrue(has("STOPPING=1"))

    def test_a_node_that_cannot_start_is_never_ready(self) -> None:
        address = Path("notify").absolute()
        listener = Listener(str(address))
        self.addCleanup(listener.close)
        (self.node.folder / "storage").write_text("not a folder")
        command: list[str | Path] = [installed("raic"), "run", self.node.folder]
        program = Program(command, self.node.log(), {"NOTIFY_SOCKET": str(address)})
        self.addCleanup(program.kill)
        self.assertEqual(program.wait(SECONDS), 1)
        self.assertNotIn("READY=1", [message[0] for message in listener.messages()])

    def test_with_json_every_line_is_an_object(self) -> None:
        self.node.configure({"node": {"log_format": "json", "log_level": "debug"}})
        program = self.start()
        os.kill(program.pid, signal.SIGHUP)
        self.assertEqual(program.terminate(), 0)
        events = [json.loads(line) for line in program.output().splitlines()]
        self.assertIn("storage node is ready", [event["message"] for event in events])
        self.assertGreater(len({event["source"] for event in events}), 1)
