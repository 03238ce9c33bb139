"""The driver and the types: what needs no provider."""

from __future__ import annotations

import socket
from threading import Thread
from time import sleep
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.registry import ProviderType, provider_type
from raic.backends.swift.driver import Access, SwiftDriver
from raic.backends.swift.segments import RECENT, LargeKeys, LargeUpload, parsed
from raic.backends.swift.settings import SwiftSettings
from raic.errors import ConfigurationError

PUT = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ThinLine:
    """Takes one request, 64 KiB every hundredth of a second."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(1)
        self._socket.settimeout(20)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(4096)
            left = self._size - len(received.partition(b"\r\n\r\n")[2])
            while left > 0 and (piece := connection.recv(65_536)):
                left -= len(piece)
                sleep(0.01)  # the thin line itself: nothing is waited for
            connection.sendall(PUT)

    def close(self) -> None:
        self._thread.join()
        self._socket.close()


class DriverTests(SynchronousTestCase):
    def test_a_part_passes_a_line_that_is_slower_than_the_timeout(self) -> None:
        # A socket's timeout holds for all that is handed to it at once, and while a body is sent
        # it is the one for connecting.
        size = 8 * 1024 * 1024
        for kind in (bytes, bytearray):
            line = ThinLine(size)
            self.addCleanup(line.close)
            settings = SwiftSettings("c", line.url, project="p", connect_timeout=0.3)
            driver = SwiftDriver(settings, "user", "key")
            answer = driver.ex_request(
                Access("token", line.url, 100.0),
                "PUT",
                "/c/a",
                params={},
                headers={},
                data=kind(size),
            )
            self.assertEqual(answer.status_code, 201)
            answer.close()
            driver.ex_close()

    def test_neither_token_nor_key_is_shown(self) -> None:
        access = Access("a-token", "http://a", 1.0)
        self.assertNotIn("a-token", repr(access))


class SegmentTests(SynchronousTestCase):
    def test_a_name_says_what_it_is_of(self) -> None:
        upload = LargeUpload("a/b", 10)
        found = parsed(upload.segment(7))
        assert found is not None
        self.assertEqual((found.key, found.upload), ("a/b", upload.id))

    def test_other_names_are_no_segments(self) -> None:
        for name in ("a/b", "~segments/a", "~segments/a~b", "~other/a~b/0"):
            self.assertIsNone(parsed(name))

    def test_not_more_than_some_are_remembered(self) -> None:
        keys = LargeKeys()
        for number in range(RECENT + 1):
            keys.add(str(number))
        self.assertNotIn("0", keys)
        self.assertIn("1", keys)
        keys.discard("1")
        self.assertNotIn("1", keys)


class TypeTests(SynchronousTestCase):
    """What an operator may write."""

    def made(self, kind: ProviderType, **texts: str) -> Any:
        return kind.make("cloud", kind.parsed({"container": "c", **texts}), dict, Clock())

    def test_swift(self) -> None:
        provider = self.made(
            provider_type("swift"), auth_url="https://a/v3", project="p", part_size="1MiB"
        )
        self.assertEqual(provider.name, "cloud")
        self.assertEqual(provider.buffer_size(2**27), 4 * 2**20)

    def test_cloudfiles_needs_no_address(self) -> None:
        self.made(provider_type("cloudfiles"), region="ord")

    def test_what_does_not_go_together_is_refused(self) -> None:
        swift = provider_type("swift")
        for texts in ({"auth_version": "v3"}, {"auth_version": "cloudfiles"}, {"interface": "x"}):
            with self.assertRaises(ConfigurationError):
                self.made(swift, auth_url="https://a", **texts)
        with self.assertRaises(ConfigurationError):
            self.made(provider_type("cloudfiles"))
        for wrong in ({"auth_version": "v9"}, {"auth_version": "cloudfiles"}):
            self.assertRaises(ValueError, SwiftSettings, "c", "https://a", **wrong)
