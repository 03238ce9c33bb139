"""Shares larger than what the node may hold in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from twisted.trial.unittest import TestCase

from tests.end_to_end.harness import RaicNode, nurl_of
from tests.end_to_end.thin import ThinHTTPClient
from tests.end_to_end.wire import Address

SHARE_BYTES = int(os.environ.get("RAIC_STREAM_BYTES", str(2**29)))
"""512 MiB; the design's figure, 4 GiB, by ``RAIC_STREAM_BYTES=4294967296``."""

PATCH_BYTES = 1_000_000
READ_BYTES = 8 * 1024 * 1024
GROWTH_BYTES = 64 * 1024 * 1024
INDEX = bytes(range(16))


def contents(begin: int, end: int) -> bytes:
    """Bytes of a share in which no two MiB are alike, made without holding the share."""
    step = 4096
    blocks = range(begin // step, (end + step - 1) // step)
    text = b"".join(number.to_bytes(8, "big") * (step // 8) for number in blocks)
    return text[begin % step : begin % step + end - begin]


def ranges(step: int) -> Iterator[tuple[int, int]]:
    """The whole share in pieces."""
    for begin in range(0, SHARE_BYTES, step):
        yield begin, min(begin + step, SHARE_BYTES)


@pytest.mark.service
class StreamingTests(TestCase):
    """One large share in and out."""

    timeout = 600

    def setUp(self) -> None:
        self.node = RaicNode(Path(self.mktemp()))
        self.node.start()
        self.addCleanup(self.node.stop)
        self.process = psutil.Process(self.node.running().pid)
        self.client = ThinHTTPClient(Address.from_nurl(nurl_of(self.node.servers_yaml())))
        self.addCleanup(self.client.close)

    def test_a_large_share_goes_in_and_out_in_little_memory(self) -> None:
        # What any upload needs once (modules, threads, buffers) is not growth.
        self.client.upload(bytes(16), 0, contents(0, 4 * PATCH_BYTES))
        before = peak = self.process.memory_info().rss
        self.client.allocate(INDEX, {0}, SHARE_BYTES)
        complete = False
        for begin, end in ranges(PATCH_BYTES):
            self.assertFalse(complete)
            complete = self.client.write(INDEX, 0, begin, contents(begin, end))
            peak = max(peak, self.process.memory_info().rss)
        self.assertTrue(complete)
        for begin, end in ranges(READ_BYTES):
            data = self.client.read("immutable", INDEX, 0, begin, end - begin)
            expected = contents(begin, end)
            self.assertEqual(hashlib.sha256(data).digest(), hashlib.sha256(expected).digest())
            peak = max(peak, self.process.memory_info().rss)
        grown = peak - before
        self.assertLess(grown, GROWTH_BYTES, f"{SHARE_BYTES} bytes in and out")
