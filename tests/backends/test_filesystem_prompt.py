"""Small objects are written by whoever asks for it, and workers wait for the disk."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from raic.backends.filesystem import PROMPT_BYTES
from raic.errors import NoSpace, StorageUnusable
from raic.promptness import SLOW_SECONDS
from raic.values import Stored
from tests.backends.disks import ScriptedDisk
from tests.backends.filesystems import FilesystemTestCase, HeldWorkers
from tests.contracts.provider import KEY, TEN

OTHER = "shares/ab/another.10"


class SlowDisk(ScriptedDisk):
    """Takes its time over a write."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = 0.0

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "write":
            self.clock.advance(self.seconds)
        return super()._call(name, *args, **kwargs)


class PromptTests(FilesystemTestCase):
    """The workers do nothing before they are told to."""

    fsync = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.workers = HeldWorkers()
        self.slow = SlowDisk(self.clock)
        super().setUp()

    def make_disk(self) -> SlowDisk:
        return self.slow

    def started(self, **options: Any) -> None:
        options.setdefault("beside", str(self.root.parent))
        self.provider = self.make_provider(workers=self.workers, clock=self.clock, **options)
        starting = self.provider.start()
        self.workers.release()
        self.successResultOf(starting)

    def objects(self) -> list[str]:
        """Every file that has a key."""
        return [name for name in self.files() if not name.startswith(",,")]

    def left_open(self) -> int:
        """How many nameless files this process has open below the directory."""
        links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
        paths = [os.readlink(link) for link in links if os.path.islink(link)]
        return sum(path.startswith(str(self.root / ",,incoming/")) for path in paths)

    def is_put_at_once(self, key: str = KEY, data: bytes = TEN) -> bool:
        putting = self.provider.put_object(key, data)
        at_once = putting.called
        self.workers.release()
        self.assertEqual(self.successResultOf(putting), Stored(key, len(data)))
        return at_once

    def test_a_small_object_is_written_at_once(self) -> None:
        self.started()
        self.assertTrue(self.is_put_at_once())
        getting = self.provider.get_object(KEY, 0, 10)
        self.workers.release()
        self.assertEqual(self.successResultOf(getting), TEN)

    def test_a_large_one_is_not(self) -> None:
        self.started()
        self.assertTrue(self.is_put_at_once(KEY, bytes(PROMPT_BYTES)))
        self.assertFalse(self.is_put_at_once(OTHER, bytes(PROMPT_BYTES + 1)))

    def test_after_a_slow_write_workers_do_it_for_a_while(self) -> None:
        self.started()
        self.slow.seconds = SLOW_SECONDS * 2
        self.assertTrue(self.is_put_at_once())
        self.slow.seconds = 0.0
        self.assertFalse(self.is_put_at_once(OTHER))

    def test_what_is_synced_waits_for_the_disk_elsewhere(self) -> None:
        self.started(fsync=True)
        self.is_put_at_once("shares/aa/before.10")  # which makes the folder
        self.disk.calls.clear()
        putting = self.provider.put_object(KEY, TEN)
        names = [name for name, _ in self.disk.calls]
        self.assertEqual(names, ["open", "write"])
        self.assertNoResult(putting)
        self.workers.release()
        self.assertEqual(self.successResultOf(putting), Stored(KEY, 10))
        names = [name for name, _ in self.disk.calls]
        self.assertEqual(names[2:], ["fsync", "link", "open", "fsync", "close", "close"])

    def test_what_cannot_be_made_durable_is_not_there(self) -> None:
        self.started(fsync=True)
        for name in ("write", "fsync", "link"):
            self.disk.fail(name, errno.ENOSPC)
            putting = self.provider.put_object(KEY, TEN)
            self.workers.release()
            self.refused(putting, NoSpace)
            self.disk.heal()
        self.assertEqual(self.objects(), [])
        self.assertEqual(self.left_open(), 0)

    def test_nobody_needs_to_wait_for_it(self) -> None:
        self.started(fsync=True)
        putting = self.provider.put_object(KEY, TEN)
        putting.cancel()
        self.failureResultOf(putting, CancelledError)
        self.workers.release()
        self.assertEqual(len(self.objects()), 1)
        self.assertEqual(self.left_open(), 0)

    def test_a_disk_of_its_own_may_hang_and_nothing_else_does(self) -> None:
        for number, beside in enumerate((None, "/proc", "/not/there")):
            self.started(beside=beside)
            self.assertFalse(self.is_put_at_once(f"shares/ab/{number}.10"))

    def test_errors_mean_what_they_mean_elsewhere(self) -> None:
        self.started()
        self.disk.fail("write", errno.ENOSPC)
        self.refused(self.provider.put_object(KEY, TEN), NoSpace)
        stopping = self.provider.stop()
        self.workers.release()
        self.successResultOf(stopping)
        self.refused(self.provider.put_object(OTHER, TEN), StorageUnusable)
