"""Commands as processes: what a signal, a lock and a lost index do."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.listening import make_node_addresses
from raic.cli import main
from raic.cli.pinned import Nurl, PinnedClient, Unexpected, parse_nurl
from raic.config.addresses import write_addresses
from raic.config.files import base32
from raic.config.identity import Identity, load_identity
from raic.config.loading import load_config
from raic.shares.keys import encode_index
from tests.config.nodes import node_directory
from tests.end_to_end.harness import RaicNode
from tests.end_to_end.processes import Program, clean_environment, free_port, installed

SECONDS = 30.0


def raic(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [installed("raic"), *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=clean_environment(),
        check=False,
        cwd=cwd,
    )


def here(*arguments: str | Path) -> Result:
    """A command in this process: quicker, where the process is not the point."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


class QuickNode(RaicNode):
    """A node whose directory was not made by a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = None
        self.port = free_port()
        node_directory(folder)
        hint = f"tcp:127.0.0.1:{self.port}"
        port = f"tcp:{self.port}:interface=127.0.0.1"
        self.configure({"node": {"tub.port": port, "tub.location": hint}})
        _, addresses = make_node_addresses(load_config(folder), load_identity(folder / "private"))
        write_addresses(folder / "private", addresses)


class NodeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = QuickNode(Path(self.mktemp()).absolute())
        self.addCleanup(self.end)

    def end(self) -> None:
        if self.node.program is not None:
            self.node.program.kill()

    def start(self) -> Program:
        self.node.start()
        assert self.node.program is not None
        return self.node.program

    def nurl(self) -> Nurl:
        return parse_nurl((self.node.folder / "private" / "storage.nurl").read_text().strip())

    @contextmanager
    def client(self) -> Iterator[PinnedClient]:
        with closing(PinnedClient(self.nurl(), SECONDS)) as client:
            yield client


class Running(NodeCase):
    def test_it_tells_one_fact_to_a_line_and_ends_well(self) -> None:
        program = self.start()
        self.assertEqual(program.terminate(), 0)
        lines = program.output().splitlines()
        names = [line.partition(":")[0] for line in lines]
        self.assertEqual(
            names[1:],
            [
                "node directory",
                "server id",
                "shares live in",
                "listening on",
                "clients connect to",
                "entry for a client's private/servers.yaml",
                "holding",
                "index",
                "storage node is ready",
                "stopping",
                "stopped",
            ],
        )
        self.assertIn("index: in order", lines)

    def test_an_interrupt_ends_it_well_too(self) -> None:
        program = self.start()
        os.kill(program.pid, signal.SIGINT)
        self.assertEqual(program.wait(SECONDS), 0)

    def test_an_impatient_operator_disturbs_nothing(self) -> None:
        program = self.start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            os.kill(program.pid, number)
        self.assertEqual(program.wait(SECONDS), 0)
        self.assertNotIn("Error", program.output())
        self.assertNotIn("critical", program.output())

    def test_a_kill_is_noticed_at_the_next_start(self) -> None:
        self.start().kill()
        program = self.start()
        self.assertIn("the last run was cut short", program.output())
        self.assertEqual(program.terminate(), 0)
        self.assertIn("index: in order", self.start().output())

    def test_a_second_process_is_kept_out(self) -> None:
        program = self.start()
        for arguments in (("run", self.node.folder), ("restore", "--local", self.node.folder)):
            second = raic(*arguments)
            self.assertEqual(second.returncode, 1)
            self.assertIn(f"in use by process {program.pid}", second.stderr)
            self.assertIn("what to do: stop the other process", second.stderr)

    def test_a_port_that_is_taken_is_explained(self) -> None:
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", self.node.port))
            taken.listen()
            result = raic("run", self.node.folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot listen", result.stderr)
        self.assertIn("what to do", result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        self.assertEqual(self.start().terminate(), 0)

    def test_a_folder_that_cannot_be_used_is_explained(self) -> None:
        (self.node.folder / "storage").write_text("not a folder")
        result = raic("run", self.node.folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("what to do", result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        self.assertFalse((self.node.folder / "index.sqlite").exists())

    def test_all_mistakes_of_the_configuration_are_told(self) -> None:
        self.node.configure({"storage": {"redonly": "true", "reserved_space": "much"}})
        result = raic("run", self.node.folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("did you mean readonly?", result.stderr)
        self.assertIn("reserved_space: write a size", result.stderr)

    def test_the_status_page_is_served_and_others_are_kept_out_without_a_password(self) -> None:
        self.node.configure({"node": {"web.port": str(free_port())}})
        self.start().wait_for_output("status page: http://127.0.0.1:", 30.0)
        self.node.stop()
        self.node.configure({"node": {"web.port": f"tcp:{free_port()}:interface=0.0.0.0"}})
        program = self.start()
        program.wait_for_output("raic credentials set web", 30.0)
        self.assertNotIn("status page: http", program.output())

    def test_without_a_directory_it_makes_one(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        # The default port may be taken on this machine: what counts is said before.
        code = f"import os; os.chdir({str(folder)!r}); from raic.cli import main; main(['run'])"
        program = Program([installed("python"), "-c", code], folder / "log")
        self.addCleanup(program.kill)
        program.wait_for_output("server id: v0-", SECONDS)
        program.terminate()
        self.assertTrue((folder / "raic-node" / "private" / "node.pem").exists())
        self.assertIn("back up", program.output())

    def test_without_a_directory_it_runs_the_one_that_is_there(self) -> None:
        named = self.node.folder.with_name("raic-node")
        self.node.folder.rename(named)
        (named / "private" / "seal.key").unlink()
        result = raic("run", cwd=named.parent)
        self.assertIn(f"{named}/private/seal.key cannot be read", result.stderr)


class Changing(NodeCase):
    def test_a_new_location_reaches_the_addresses_and_leaves_the_names(self) -> None:
        before = load_identity(self.node.folder / "private")
        self.node.configure({"node": {"tub.location": "tcp:new.example:9,AUTO"}})
        program = self.start()
        self.assertIn("tcp:new.example:9, tcp:127.0.0.1:", program.output())
        after = load_identity(self.node.folder / "private")
        self.assertEqual((after.tub_id, after.swissnum), (before.tub_id, before.swissnum))
        (entry,) = self.node.servers_yaml().values()
        self.assertIn("new.example", str(entry))

    def test_foolscap_alone_leaves_no_http(self) -> None:
        self.node.configure({"storage": {"force_foolscap": "true"}})
        nurl = self.nurl()
        self.start()
        self.assertEqual((self.node.folder / "private" / "storage.nurl").read_text(), "")
        # Foolscap waits for the rest of a greeting that is none of its own.
        with closing(PinnedClient(nurl, 1.0)) as client:
            self.assertRaises(Unexpected, client.request, "GET", "version", 200)


class Selftest(NodeCase):
    def test_a_node_that_works_passes_and_keeps_nothing(self) -> None:
        self.start()
        for address in (self.node.folder, self.node.folder / "private" / "storage.nurl"):
            text = address.read_text().strip() if address.is_file() else address
            result = here("selftest", text)
            self.assertEqual(result.exit_code, 0, result.stdout)
            self.assertTrue(result.stdout.endswith("the node works\n"))
            for line in result.stdout.splitlines()[:-1]:
                self.assertRegex(line, r"^ok +[0-9.]+ ms  \w")
        self.end()
        self.assertIn("holding: 0 shares (0 B), 0 slots (0 B), 0 leases", self.start().output())

    def test_a_thorough_one_reads_back_a_whole_share(self) -> None:
        self.start()
        result = here("selftest", "--thorough", self.node.folder)
        self.assertEqual(result.exit_code, 0, result.stdout)
        self.assertIn("complete share: read back", result.stdout)

    def test_a_node_that_takes_nothing_fails(self) -> None:
        self.node.configure({"storage": {"readonly": "true", "readonly_mutable": "true"}})
        self.start()
        result = here("selftest", self.node.folder)
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(result.stdout.count("FAILED"), 3)
        self.assertIn("does not work as it should", result.stderr)

    def test_a_node_that_does_not_run_fails(self) -> None:
        result = here("selftest", self.node.folder)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("no answer", result.stdout)

    def test_a_stranger_is_sent_nothing(self) -> None:
        self.start()
        nurl = (self.node.folder / "private" / "storage.nurl").read_text().strip()
        result = here("selftest", "pb://" + "A" * 43 + nurl[nurl.index("@") :])
        self.assertEqual(result.exit_code, 1)
        self.assertIn("another certificate", result.stdout)


class LosingTheIndex(NodeCase):
    def write_slot(self, client: PinnedClient, storage_index: bytes) -> None:
        secrets = ("write-enabler", "lease-renew-secret", "lease-cancel-secret")
        vectors = {"test": [], "write": [{"offset": 0, "data": b"x" * 100}], "new-length": None}
        client.request(
            "POST",
            f"mutable/{encode_index(storage_index)}/read-test-write",
            200,
            secrets={name: b"s" * 32 for name in secrets},
            message={"test-write-vectors": {0: vectors}, "read-vector": []},
        )

    def test_it_is_rebuilt_from_the_objects(self) -> None:
        program = self.start()
        self.assertEqual(here("selftest", "--thorough", self.node.folder).exit_code, 0)
        with self.client() as client:
            self.write_slot(client, b"i" * 16)
        program.terminate()
        holding = "holding: 1 shares (65.5 kB), 1 slots"
        for damage in (Path.unlink, lambda path: path.write_bytes(b"x" * 4096)):
            damage(self.node.folder / "index.sqlite")
            refused = raic("run", self.node.folder)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("what to do: run 'raic restore --local", refused.stderr)
            output = self.node.restore().decode()
            self.assertIn("found 1 shares (65.5 kB)\nfound 1 slots", output)
            program = self.start()
            self.assertIn(holding, program.output())
            with self.client() as client:
                path = f"mutable/{encode_index(b'i' * 16)}/0"
                self.assertEqual(client.request("GET", path, 200).body, b"x" * 100)
            program.terminate()
        kept = [path.name for path in self.node.index()]
        self.assertEqual(len([name for name in kept if name.startswith("index.sqlite.old-")]), 1)

    def test_a_sound_index_is_kept_beside_its_successor(self) -> None:
        self.start().terminate()
        output = self.node.restore().decode()
        self.assertIn("the old index was kept: ", output)
        self.assertEqual(self.start().terminate(), 0)

    def test_an_index_that_cannot_be_written_ends_the_process_at_once(self) -> None:
        program = self.start()
        # The write-ahead log cannot grow beyond this any more; objects of a hundred bytes can.
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (40_000, 40_000))
        with self.client() as client:
            for number in range(1000):
                try:
                    self.write_slot(client, number.to_bytes(16, "big"))
                except Unexpected:
                    break
        self.assertEqual(program.wait(SECONDS), 1)
        self.assertIn("what to do: check the disk", program.output())
        self.assertNotIn("stopping", program.output())
        self.assertIn("cut short", self.start().output())


class Secrets(NodeCase):
    def test_nothing_that_a_node_prints_or_logs_has_a_secret_in_it(self) -> None:
        program = self.start()
        private = self.node.folder / "private"
        identity = load_identity(private)
        result = here("selftest", "--thorough", self.node.folder)
        storage_index = encode_index(b"hidden storage i")
        secrets = {
            "write-enabler": b"write enabler with thirty-two by",
            "lease-renew-secret": b"renew secret with thirty-two byt",
            "lease-cancel-secret": b"cancel secret with thirty-two by",
        }
        vectors = {"test": [], "write": [{"offset": 0, "data": b"data"}], "new-length": None}
        message = {"test-write-vectors": {0: vectors}, "read-vector": []}
        path = f"mutable/{storage_index}/read-test-write"
        with self.client() as client:
            client.request("POST", path, 200, secrets=secrets, message=message)
            wrong = {**secrets, "write-enabler": b"x" * 32}
            client.request("POST", path, 401, secrets=wrong, message=message)
            client.request("POST", path, 400, secrets=secrets, body=b"\xff")
            client.request("GET", f"immutable/{storage_index}/0", 404)
        program.terminate()
        printed = program.output() + result.stdout + result.stderr
        for secret in (*own_secrets(identity), *secrets.values(), storage_index.encode()):
            for form in (secret, b64encode(secret), base32(secret).encode(), repr(secret).encode()):
                self.assertNotIn(form.decode("latin-1").strip("b'"), printed)


def own_secrets(identity: Identity) -> tuple[bytes, ...]:
    return (
        identity.swissnum.encode(),
        identity.seal_key,
        identity.tag_key,
        identity.array_key or b"",
        identity.signing_key.private_bytes_raw(),
        b"PRIVATE KEY",
    )
