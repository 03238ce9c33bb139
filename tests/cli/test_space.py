"""``raic space``, of nodes that run and that do not."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.threads import deferToThread

from tests.cli.test_shares import WithIndex, invoke
from tests.test_assembly import AssemblyCase


class OfStoppedNodes(WithIndex):
    def test_its_index_says_it(self) -> None:
        self.fill()
        self.configure("quota = 5000\n")
        path = self.node / "raic.cfg"
        path.write_text(path.read_text().replace("[provider:disk]", "[provider:disk]\nquota = 1MB"))
        told = self.told("space")
        self.assertEqual((told["share_bytes"], told["quota"]), (2060, 5000))
        self.assertEqual((told["available"], told["pending"]), (None, None))
        (disk,) = told["providers"]
        names = ("name", "used", "leased", "garbage", "overhead", "missing", "quota", "moving")
        # An index that is opened without a measure counts objects as they are.
        expected = ("disk", 3090, 1050, 0, 1030, 0, 10**6, False)
        self.assertEqual(tuple(disk[name] for name in names), expected)
        said = self.one("space")
        self.assertIn("shares: 2.1 kB of a quota of 5.0 kB", said)
        self.assertRegex(said, r"disk +3\.1 kB +1\.1 kB +0 B +1\.0 kB +0 B +1\.0 MB")
        self.assertNotIn("available", said)

    def test_without_an_index_there_is_nothing_to_say(self) -> None:
        (self.node / "index.sqlite").unlink()
        self.assertIn("start the node first", self.one("space", code=1))


class OfRunningNodes(AssemblyCase):
    async def test_the_node_says_what_it_announces(self) -> None:
        self.configure("quota = 3MB\n", "[provider:disk]\nquota = 4MB\n")
        (self.path / "raic.cfg").write_text("")
        node = self.make_node()
        await node.start()
        told = await self.told("--json")
        self.assertEqual(json.loads(told)["available"], 3_000_000)
        self.assertEqual(json.loads(told)["pending"], 0)
        self.assertIn("available for new shares: 3.0 MB", await self.told())
        self.assertEqual((await node.get_space()).available, 3_000_000)

    async def told(self, *options: str) -> Any:
        result = await deferToThread(invoke, "space", str(self.path), *options)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.output
