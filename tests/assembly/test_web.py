"""The status page at its port: where it is served, and with which password."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from raic.assembly.status import NodeStatusGatherer, WarningBook
from raic.assembly.web import WebFace, find_password, make_web_face
from raic.config.identity import load_identity
from raic.config.loading import parse_config
from raic.config.model import NodeSettings
from raic.config.webport import WebPort, parse_web_port
from raic.errors import ConfigurationError
from tests.contracts.driving import reactor
from tests.end_to_end.processes import free_port
from tests.test_assembly import AssemblyCase


class Ports(SynchronousTestCase):
    def test_loopback_unless_something_else_is_said(self) -> None:
        for text, port, interface in (
            ("3456", 3456, "127.0.0.1"),
            ("tcp:3456", 3456, "127.0.0.1"),
            ("tcp6:3456", 3456, "::1"),
            ("tcp:3456:interface=127.0.0.2", 3456, "127.0.0.2"),
            (r"tcp6:3456:interface=\:\:1", 3456, "::1"),
        ):
            place = parse_web_port(text)
            self.assertEqual(place, WebPort(port, interface))
            self.assertTrue(place.is_local)
        for text in (
            "tcp:1:interface=0.0.0.0",
            r"tcp6:1:interface=\:\:",
            "tcp:1:interface=10.0.0.1",
        ):
            self.assertFalse(parse_web_port(text).is_local)


class Serving(AssemblyCase, TestCase):
    def face(self, web_port: str, password: Callable[[], str | None]) -> WebFace:
        """A page of a process whose servers have not started."""
        node: NodeSettings = parse_config(self.path, f"[node]\nweb.port = {web_port}\n").node
        gatherer = NodeStatusGatherer(list, WarningBook(), reactor)
        face = WebFace(node, gatherer, password, reactor)
        self.addCleanup(face.stop)
        return face

    async def status(self, url: str, password: str | None = None) -> int:
        """The status of an answer."""
        import requests  # noqa: PLC0415 - it is slow to import

        def get() -> int:
            auth = None if password is None else ("me", password)
            with requests.Session() as session:
                session.trust_env = False
                return session.get(url, auth=auth, timeout=10).status_code

        status: int = await deferToThread(get)
        return status

    async def test_without_an_interface_only_this_machine_reaches_it(self) -> None:
        line = await self.face("0", lambda: None).start()
        self.assertTrue(line.startswith("status page: http://127.0.0.1:"))
        self.assertEqual(await self.status(line.removeprefix("status page: ")), 200)

    async def test_another_interface_needs_a_password(self) -> None:
        port = free_port()
        everywhere = f"tcp:{port}:interface=0.0.0.0"
        with self.assertRaises(ConfigurationError) as caught:
            await self.face(everywhere, lambda: None).start()
        self.assertIn("raic credentials set web", caught.exception.remedy)
        face = self.face(everywhere, lambda: "correct horse")
        await face.start()
        url = f"http://127.0.0.1:{port}/"
        self.assertEqual(await self.status(url), 401)
        self.assertEqual(await self.status(url, "correct horse"), 200)

    async def test_a_keychain_in_trouble_opens_nothing_to_others(self) -> None:
        def locked() -> Any:
            raise ConfigurationError(["the keychain is locked"])

        with self.assertRaises(ConfigurationError):
            await self.face(f"tcp:{free_port()}:interface=0.0.0.0", locked).start()
        with capturedLogs() as logs:
            await self.face("0", locked).start()
        self.assertIn("asks for no password", str([each["log_format"] for each in logs]))

    async def test_the_password_can_change_while_it_runs(self) -> None:
        passwords: list[str | None] = ["first"]
        face = self.face(f"tcp:{free_port()}:interface=0.0.0.0", lambda: passwords[0])
        url = (await face.start()).removeprefix("status page: ").replace("0.0.0.0", "127.0.0.1")
        for now, then in (("second", "second"), (None, "second")):
            passwords[0] = now
            await face.reload()
            self.assertEqual(await self.status(url, "first"), 401)
            self.assertEqual(await self.status(url, then), 200)

    async def test_a_port_in_use_is_said(self) -> None:
        port = free_port()
        await self.face(str(port), lambda: None).start()
        with self.assertRaises(CannotListenError):
            await self.face(str(port), lambda: None).start()

    def test_no_port_no_page(self) -> None:
        config, identity = self.config, self.identity
        self.assertIsNone(make_web_face([config], [identity], list, WarningBook(), Clock()))

    def test_where_the_password_is_looked_for(self) -> None:
        identity = load_identity(self.path / "private")
        self.patch(os, "environ", {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})
        self.assertIsNone(find_password(self.path, identity))
        os.environ["RAIC_WEB_PASSWORD"] = "correct horse"
        self.assertEqual(find_password(self.path, identity), "correct horse")
