"""Small objects that need not be synced are written by whoever asks for it."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.task import Clock

from raic.backends.filesystem import SMALL_BYTES
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
        self.assertTrue(self.is_put_at_once(KEY, bytes(SMALL_BYTES)))
        self.assertFalse(self.is_put_at_once(OTHER, bytes(SMALL_BYTES + 1)))

    def test_after_a_slow_write_workers_do_it_for_a_while(self) -> None:
        self.started()
        self.slow.seconds = SLOW_SECONDS * 2
        self.assertTrue(self.is_put_at_once())
        self.slow.seconds = 0.0
        self.assertFalse(self.is_put_at_once(OTHER))

    def test_what_is_synced_waits_for_the_disk_elsewhere(self) -> None:
        self.started(fsync=True)
        self.assertFalse(self.is_put_at_once())

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
