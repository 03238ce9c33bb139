"""``raic leases``, ``raic shares`` and ``raic advisories``, at a node that does not run and at one
that does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from raic.assembly.share_control import ShareKeeper
from raic.backends.memory import MemoryProvider
from raic.cli import main
from raic.config.loading import parse_config
from raic.config.lock import NodeLock
from raic.server.control import ControlSocket
from raic.server.controlplace import SOCKET_NAME
from raic.shares.index import SQLiteIndex, create_index, open_index
from raic.shares.keys import encode_index
from raic.shares.pins import Pins
from raic.values import Advisory, Lease
from tests.contracts.driving import reactor
from tests.contracts.index_values import (
    INDEX_A,
    INDEX_B,
    chunk,
    chunked,
    inline,
    make_share,
    make_version,
)

A, B = encode_index(INDEX_A), encode_index(INDEX_B)
NOTHING = encode_index(b"\x7f" * 16)
DAY = 24 * 60 * 60
S3 = """
[provider:aws]
type = s3
container = shares
region = eu-west-1
"""


def invoke(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def lease(days: float, number: int = 0) -> Lease:
    """A lease that ends in some days."""
    return Lease(bytes([number]) * 32, bytes(32), int(reactor.seconds() + days * DAY))


class WithIndex(SynchronousTestCase):
    def setUp(self) -> None:
        self.assertEqual(invoke("create-node", "attic").exit_code, 0)
        self.node = Path("attic").absolute()
        create_index(self.node / "index.sqlite", 1)

    def opened(self) -> SQLiteIndex:
        return open_index(
            self.node / "index.sqlite",
            Clock(),
            None,
            sync=False,
            local_listing=True,
            on_fatal=self.fail,
        )

    def fill(self) -> None:
        """Two shares whose leases are over in A, with a slot in B that is leased for a day."""
        index = self.opened()
        for number in range(2):
            share = make_share(INDEX_A, number, 1000)
            self.successResultOf(index.commit_share(share, lease(-1 - number, number)))
        slot = make_version(
            index.next_version(), [inline(), chunked(chunk(1, INDEX_B), shnum=1)], INDEX_B
        )
        self.successResultOf(index.commit_slot(slot, None, lease(1), 0))
        self.successResultOf(index.close())

    def configure(self, text: str, more: str = "") -> None:
        path = self.node / "raic.cfg"
        path.write_text(path.read_text().replace("[storage]", f"[storage]\n{text}") + more)

    def one(self, *arguments: str, code: int = 0, answer: str = "") -> str:
        result = invoke(*arguments, "attic", answer=answer)
        self.assertEqual(result.exit_code, code, result.output)
        return str(result.output)

    def told(self, *arguments: str) -> Any:
        return json.loads(self.one(*arguments, "--json"))


class Stopped(WithIndex):
    def test_a_new_node_has_nothing(self) -> None:
        for arguments, words in (
            (("advisories",), "no client has said"),
            (("leases", "show", A), "there are no leases"),
            (("leases", "history"), "nothing was expired yet"),
            (("leases", "expire", "--dry-run"), "would be dropped: 0 shares"),
            (("shares", "list"), "there are none"),
            (("shares", "history"), "nothing was taken down"),
        ):
            self.assertIn(words, self.one(*arguments))
        self.assertIn("nothing is stored", self.one("shares", "show", A, code=1))

    def test_nothing_is_changed_by_looking(self) -> None:
        self.fill()
        before = sorted(self.node.iterdir())
        self.one("shares", "list")
        self.assertEqual(sorted(self.node.iterdir()), before)

    def test_shares_are_listed_in_pages(self) -> None:
        self.fill()
        listed = self.told("shares", "list")["shares"]
        self.assertAlmostEqual(listed[0].pop("expires"), lease(-1).expires, delta=60)
        self.assertEqual(listed, [
            {
                "storage_index": A,
                "immutable": [0, 1],
                "mutable": [],
                "bytes": 2000,
                "leases": 2,
            },
            self.told("shares", "list", "--prefix", B)["shares"][0],
        ])  # fmt: skip
        first = self.told("shares", "list", "--limit", "1")
        self.assertEqual(first["after"], A)
        self.assertIn(f"--after {A}", self.one("shares", "list", "--limit", "1"))
        second = self.told("shares", "list", "--after", A)
        self.assertEqual([each["storage_index"] for each in second["shares"]], [B])
        self.assertIn("mutable 0, 1  60 B, 1 leases", self.one("shares", "list", "--after", A))
        self.assertEqual(self.told("shares", "list", "--prefix", "zz")["shares"], [])
        self.one("shares", "list", "--prefix", "A", code=2)
        self.one("shares", "list", "--after", "A", code=2)

    def test_a_storage_index_is_shown(self) -> None:
        self.fill()
        output = self.one("shares", "show", A)
        self.assertIn("immutable share 1, 1.0 kB", output)
        self.assertIn(make_share(INDEX_A, 1, 1000).key, output)
        output = self.one("shares", "show", B)
        self.assertIn("slot, version 1.1", output)
        self.assertIn("mutable share 1, 50 B", output)
        self.assertEqual(len(self.told("shares", "show", B)["objects"]), 2)

    def test_it_shows_when_a_deep_scrub_has_verified_each_object(self) -> None:
        self.fill()
        self.assertNotIn("verified", self.one("shares", "show", A))
        keys = [*self.told("shares", "show", B)["objects"]]
        keys += self.told("shares", "show", A)["immutable"][1]["objects"]
        index = self.opened()
        self.successResultOf(index.ledger.note_verified(keys, 1_900_000_000))
        self.successResultOf(index.close())
        self.assertEqual(self.one("shares", "show", A).count("verified 2030-03-17 17:46:40"), 1)
        self.assertEqual(self.one("shares", "show", B).count("verified 2030-03-17 17:46:40"), 2)
        self.assertEqual(len(self.told("shares", "show", B)["verified"]), 2)

    def test_leases_are_shown(self) -> None:
        self.fill()
        self.assertEqual(self.one("leases", "show", A).count(": over"), 2)
        (one,) = self.told("leases", "show", B)["leases"]
        self.assertFalse(one["over"])
        self.assertEqual(one["expires"] - one["renewed"], 31 * DAY)

    def test_a_dry_run_says_what_would_go(self) -> None:
        self.fill()
        output = self.one("leases", "expire", "--dry-run")
        self.assertIn("2 shares (2.0 kB), 0 slots (0 B)", output)
        self.assertIn("expire.enabled is false", output)
        self.configure("expire.enabled = true\nexpire.mode = age\nexpire.immutable = false")
        output = self.one("leases", "expire", "--dry-run")
        self.assertIn("0 shares", output)
        self.assertNotIn("expire.enabled", output)

    def test_it_counts_requests_to_clouds(self) -> None:
        self.fill()
        path = self.node / "raic.cfg"
        path.write_text(path.read_text().replace("provider:disk", "provider:aws") + S3)
        text = path.read_text().replace(
            "[provider:aws]\ntype = filesystem", "[provider:disk]\ntype = filesystem"
        )
        path.write_text(text)
        self.configure("expire.mode = cutoff-date\nexpire.cutoff_date = 2100-01-01")
        told = self.told("leases", "expire", "--dry-run")
        self.assertEqual((told["shares"], told["slots"], told["objects"]), (2, 1, 4))
        self.assertEqual(told["requests"], {"aws": 1})
        output = self.one("leases", "expire", "--dry-run")
        self.assertIn("aws: 4 deletions, in about 1 requests", output)

    def test_advisories_are_shown_with_what_was_found(self) -> None:
        index = self.opened()
        for number, reason in enumerate(("bad\x1b[2J hash", "worse")):
            advisory = Advisory("mutable", INDEX_A, number, reason, 1000)
            self.successResultOf(index.advise(advisory))
        self.successResultOf(index.settle_advisory(advisory, 2000, "verified"))
        self.successResultOf(index.close())
        output = self.one("advisories")
        self.assertIn("bad [2J hash", output)
        self.assertIn("not read yet", output)
        self.assertIn("verified", output)
        newest, oldest = self.told("advisories")["advisories"]
        self.assertEqual((newest["checked"], oldest["checked"]), (2000, None))

    def test_what_needs_the_node_says_so(self) -> None:
        self.fill()
        self.assertIn("no node runs", self.one("leases", "expire", code=1))

    def test_an_index_that_cannot_be_read_says_why(self) -> None:
        (self.node / "index.sqlite").write_bytes(b"nothing of the kind")
        self.assertIn("not an index", self.one("shares", "list", code=1))
        (self.node / "index.sqlite").unlink()
        self.assertIn("no index", self.one("shares", "list", code=1))


class ByItself(WithIndex):
    """What the command does in the place of a node."""

    def command(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "raic", *arguments, str(self.node)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_it_verifies_and_expunges(self) -> None:
        self.fill()
        (self.node / "storage" / "shares").mkdir(parents=True)
        output = self.command("shares", "verify", A, code=1)
        self.assertIn(f"damaged: {make_share(INDEX_A, 0, 1000).key}: it is not there", output)
        self.command("shares", "expunge", A, "--reason", "court order 7", "--yes")
        self.assertIn("court order 7", self.one("shares", "history"))
        self.assertEqual(self.told("shares", "history")["expunged"][0]["shares"], 2)
        self.assertIn("nothing is stored", self.command("shares", "verify", A, code=1))
        self.assertEqual(len(list(self.node.glob("storage/expunged/*/*"))), 1)
        self.assertIn(B, self.one("shares", "list"))

    def test_it_leaves_an_index_alone_that_was_cut_short(self) -> None:
        index = self.opened()
        self.addCleanup(index.close)
        self.successResultOf(index.commit_share(make_share(), lease(1)))
        self.assertIn("cut short", self.command("shares", "verify", A, code=1))


class Running(TestCase):
    timeout = 20

    async def set_up(self) -> None:
        self.assertEqual(invoke("create-node", "attic").exit_code, 0)
        self.node = Path("attic").absolute()
        lock = NodeLock(self.node)
        self.addCleanup(lock.release)
        create_index(self.node / "index.sqlite", 1)
        self.index = open_index(
            self.node / "index.sqlite", reactor, reactor, local_listing=True, on_fatal=self.fail
        )
        self.addCleanup(self.index.close)
        self.provider = MemoryProvider("memory")
        await self.provider.start()
        storage = parse_config(
            self.node, "[storage]\nexpire.enabled = true\nexpire.mode = age\n"
        ).storage
        keeper = ShareKeeper(self.provider, self.index, Pins(), reactor, storage)
        control = ControlSocket(self.node / SOCKET_NAME, keeper.handlers(), reactor)
        self.assertTrue(control.start())
        self.addCleanup(control.stop)
        for number in range(2):
            share = make_share(INDEX_A, number, 1000)
            await self.provider.put_object(share.key, bytes(1020))
            await self.index.commit_share(share, lease(1 - 2 * number, number))

    def start(self, *arguments: str, answer: str = "") -> Deferred[Result]:
        return deferToThread(invoke, *arguments, str(self.node), answer=answer)

    async def one(self, *arguments: str, answer: str = "", code: int = 0) -> str:
        result = await self.start(*arguments, answer=answer)
        self.assertEqual(result.exit_code, code, result.output)
        return str(result.output)

    async def test_the_node_verifies(self) -> None:
        await self.set_up()
        output = await self.one("shares", "verify", A)
        self.assertIn("2 objects (2.0 kB) were read", output)
        self.assertIn("all bytes are those that were written", output)
        await self.provider.delete_objects([make_share(INDEX_A, 1, 1000).key])
        output = await self.one("shares", "verify", A, "--json", code=1)
        self.assertIn("it is not there", output)
        self.assertIn("nothing is stored", await self.one("shares", "verify", NOTHING, code=1))

    async def test_the_node_takes_down_what_the_operator_confirms(self) -> None:
        await self.set_up()
        expunge = ("shares", "expunge", A, "--reason", "complaint")
        output = await self.one(*expunge, answer="n\n", code=1)
        self.assertIn("immutable share 0", output)
        self.assertEqual(len(await self.index.get_bucket(INDEX_A)), 2)
        await self.one(*expunge, "--json", code=2)
        output = await self.one(*expunge, answer="y\n")
        self.assertIn("taken down: 2 shares, 0 slots (2.0 kB)", output)
        self.assertIn("complaint", await self.one("shares", "history"))
        nothing = ("shares", "expunge", NOTHING, "--reason", "complaint", "--yes")
        self.assertIn("nothing is stored", await self.one(*nothing, code=1))
        long = ("shares", "expunge", A, "--yes", "--reason", "x" * 1001)
        await self.one(*long, code=2)

    async def test_the_node_expires_now(self) -> None:
        await self.set_up()
        share = make_share(INDEX_B, 0, 500)
        await self.index.commit_share(share, lease(-1))
        self.assertIn("dropped: 1 shares (500 B)", await self.one("leases", "expire"))
        self.assertIn("1 shares (500 B)", await self.one("leases", "history"))
        told = json.loads(await self.one("leases", "history", "--json"))
        self.assertEqual(told["runs"][0]["leases"], 2)
        self.assertEqual(len(await self.index.get_bucket(INDEX_A)), 2)
