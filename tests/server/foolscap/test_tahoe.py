"""The Foolscap face as Tahoe's own client side sees it, in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor  # noqa: TID251 - real sockets and a real process
from twisted.internet.utils import getProcessOutputAndValue

from raic.budget import MemoryBudget
from raic.server.foolscap.storage import FoolscapStorageServer
from raic.server.operations import OperationMeter
from tests.server.foolscap.tubs import TubTestCase
from tests.server.services import ServiceTestCase

ROOT = Path(__file__).parents[3]


class TahoeTests(ServiceTestCase, TubTestCase):
    timeout = 60

    async def send_client(self, errand: str) -> bytes:
        """Run the client program; what it prints."""
        furl = await self.start_server(
            FoolscapStorageServer(self.service, MemoryBudget(2**28), OperationMeter(self.clock))
        )
        output: Any = await getProcessOutputAndValue(
            sys.executable,
            ["-W", "ignore", "-m", "tests.server.foolscap.tahoe_client", furl, errand],
            path=str(ROOT),
            reactor=reactor,
        )
        out, problems, code = output
        self.assertEqual((problems, code), (b"", 0))
        return bytes(out)

    async def test_every_method_answers_as_tahoes_server_would(self) -> None:
        told = json.loads(await self.send_client("visit"))
        self.assertEqual(told.pop("conflict")[0], "allmydata.interfaces.ConflictingWriteError")
        self.assertEqual(told.pop("too far")[0], "allmydata.interfaces.DataTooLargeError")
        self.assertEqual(
            told,
            {
                "flags": [
                    "delete-mutable-shares-with-zero-length-writev",
                    "fills-holes-with-zero-bytes",
                    "prevents-read-past-end-of-share-data",
                    "tolerates-immutable-read-overrun",
                ],
                "held": [0],
                "readers": [0],
                "read": "xxyy",
                "past": "yy",
                "created": [True, {}],
                "unequal": False,
                "old": {"2": ["abc"]},
                "enabler": [
                    "allmydata.interfaces.BadWriteEnablerError",
                    "The write enabler was recorded by nodeid 'nzxg43tonzxg43tonzxg43tonzxg43to'.",
                ],
                "slot": {"2": ["bc"]},
                "deleted": {},
                "short secret": "foolscap.tokens.Violation",
                "long secret": "foolscap.tokens.Violation",
                "short index": "foolscap.tokens.Violation",
            },
        )
        self.assertEqual(len(self.successResultOf(self.index.get_advisories(9))), 2)

    async def test_an_upload_ends_with_the_client(self) -> None:
        await self.send_client("vanish")
        await self.until(lambda: not len(self.service.uploads))
        self.assertEqual(self.objects("shares/"), {})
