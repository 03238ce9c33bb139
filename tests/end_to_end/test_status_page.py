"""The status page in a real browser, of real nodes on clouds that are taken away and given back.

With ``RAIC_PICTURES`` naming a folder, pictures of every state are left there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from urllib.parse import urlsplit

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.end_to_end.harness import nurl_of
from tests.end_to_end.processes import Program, free_port, installed, run
from tests.end_to_end.thin import ThinHTTPClient
from tests.end_to_end.watched_nodes import NOTICED_SECONDS, CloudsNode, array_storage, s3_section
from tests.end_to_end.wire import Address
from tests.services.chromium import PHONE, WIDE, Browser, running_browser
from tests.services.cuttable import CuttableService
from tests.services.moto import moto_endpoint

REPAIR_RATE = "16KiB"
"""So little that a repair lasts until its picture has been taken."""

PROGRESS = r"[1-9]\d* of 22 objects, \d.* read and written"
"""Of the scrub: 20 shares and those of two self-tests."""


@pytest.mark.service
class StatusPage(SynchronousTestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="raic-page-")))
        self.endpoint = moto_endpoint()

    def node(self, storage: Mapping[str, Mapping[str, str]]) -> CloudsNode:
        """A node that runs."""
        node = CloudsNode(self.folder / f"attic{free_port()}", storage)
        self.stack.callback(node.stop)
        node.start()
        return node

    def check(self, browser: Browser, state: str) -> None:
        """Nothing is in anybody's way, on a large screen or a small one, in light or dark."""
        folder = os.environ.get("RAIC_PICTURES")
        for size, dark in product((WIDE, PHONE), (False, True)):
            browser.look(dark=dark, size=size)
            name = f"{state}-{'wide' if size == WIDE else 'phone'}-{'dark' if dark else 'light'}"
            if folder:
                Path(folder, f"{name}.png").write_bytes(browser.picture())
            if dark is (size == PHONE):  # each width and each scheme once: axe takes its time
                self.assertEqual(browser.barriers(), [], name)
                self.assertFalse(browser.overflows(), name)
        browser.look()
        self.assertEqual(browser.complaints(), [], state)

    def wait(
        self, node: CloudsNode, condition: Callable[[], bool], what: str, seconds: float = 60.0
    ) -> None:
        """Wait until something is so."""
        began = monotonic()
        node.running().wait_for(lambda: condition() or None, what, seconds)
        if os.environ.get("RAIC_PICTURES"):
            print(f"{what}: {monotonic() - began:.1f} s")  # noqa: T201 - asked for

    def test_an_array_that_is_fresh_busy_lacks_a_provider_and_is_repaired(self) -> None:
        target = urlsplit(self.endpoint.url)
        lines = {name: CuttableService(str(target.hostname), target.port or 0) for name in "abc"}
        for line in lines.values():
            self.stack.callback(line.cut)
        ports = {name: line.port for name, line in lines.items()}
        storage = dict(array_storage(self.endpoint, ports, needed=1, happy=2))
        storage["array:clouds"] = {**storage["array:clouds"], "repair_rate": REPAIR_RATE}
        node = self.node(storage)
        browser = self.stack.enter_context(running_browser())
        browser.open(node.url)
        self.wait(node, lambda: "live" in browser.text(), "the page is live")
        self.assertIn("All is well", browser.text())
        self.check(browser, "fresh")

        for _ in range(2):
            node.use()
        self.wait(node, lambda: "read test write" in browser.text(), "the page shows use")
        self.check(browser, "busy")

        lines["b"].cut()
        self.wait(node, lambda: "b is failing" in browser.text(), "the page tells", NOTICED_SECONDS)
        self.assertEqual(node.provider("b")["health"], "failing")
        self.assertTrue(node.provider("b")["remedy"])
        self.assertEqual(node.metric("raic_provider_up", provider="b"), 0)
        self.assertEqual(node.metric("raic_provider_up", provider="a"), 1)
        self.assertEqual(node.get("readyz").status_code, 200)
        with ThinHTTPClient(Address.from_nurl(nurl_of(node.servers_yaml()))) as client:
            for number in range(20):
                client.upload(bytes([number]) * 16, 0, bytes(8192))
        self.wait(
            node,
            lambda: node.metric("raic_array_objects", state="degraded") > 0,
            "objects are degraded",
        )
        self.check(browser, "down")

        lines["b"].mend()
        self.wait(node, lambda: "All is well" in browser.text(), "b is well again", 120.0)
        scrub = Program(
            [installed("raic"), "array", "scrub", "--deep", node.folder], self.folder / "scrub"
        )
        self.stack.callback(scrub.terminate)
        self.wait(node, lambda: "deep scrub" in browser.text(), "a scrub is under way")
        self.wait(node, lambda: re.search(PROGRESS, browser.text()) is not None, "it gets on")
        self.check(browser, "repairing")
        self.assertRegex(browser.text(), r"\d+ fragments to repair · deep scrub, \d+ %")
        self.assertIn("B/s of at most 16.4 kB/s", browser.text())
        self.assertGreater(node.metric("raic_array_repairs_waiting"), 0)
        self.assertGreater(node.metric("raic_array_operation_size", kind="scrub"), 0)
        node.configure({"array:clouds": {"repair_rate": ""}})
        told = run((installed("raic"), "reload", node.folder), environment=node.environment)
        self.assertIn(b"[array:clouds] repair_rate: nothing, was 16KiB", told)
        self.assertEqual(scrub.wait(60.0), 1, scrub.output())
        self.assertIn("fragments were missing, 0 altered", scrub.output())
        self.wait(
            node,
            lambda: node.metric("raic_array_objects", state="degraded") == 0,
            "all is repaired",
            120.0,
        )
        self.assertGreater(node.metric("raic_array_repairs_total"), 0)
        self.check(browser, "repaired")

    def test_a_cloud_that_is_over_its_quota(self) -> None:
        section = s3_section(self.endpoint, self.endpoint.url, quota="1MB")
        storage = {"storage": {"backend": "provider:cloud"}, "provider:cloud": section}
        node = self.node(storage)
        node.use()
        node.stop()
        node.configure({"provider:cloud": {"quota": "50kB"}})
        node.start()
        with running_browser(javascript=False) as browser:
            browser.open(node.url)
            for text in ("cloud is over its quota", "raise its quota", "Clients cannot store"):
                self.assertIn(text, browser.text())
            self.assertIn("as of", browser.text())
        with running_browser() as browser:
            browser.open(node.url)
            self.check(browser, "quota")
        self.assertEqual(node.get("readyz").status_code, 503)
        self.assertIn("no room", node.get("readyz").text)
        self.assertEqual(node.metric("raic_ready"), 0)
