"""One node for each directory of shares."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.folderlock import LOCK_NAME, FolderLock, HeldFolder
from raic.errors import StorageUnusable
from raic.workers import InlineWorkers


class Locking(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def lock(self) -> FolderLock:
        lock = FolderLock("disk", self.folder)
        self.addCleanup(lock.release)
        return lock

    def test_a_second_one_is_told_who_has_it_and_what_to_do(self) -> None:
        self.lock()
        error = self.assertRaises(StorageUnusable, FolderLock, "disk", self.folder)
        assert isinstance(error, StorageUnusable)
        self.assertIn(f"{self.folder} is in use by another node, process {os.getpid()}", str(error))
        self.assertIn("a path of its own", error.remedy)

    def test_another_path_to_the_same_directory_is_the_same_directory(self) -> None:
        self.lock()
        link = self.folder.with_name("link")
        link.symlink_to(self.folder)
        self.assertRaises(StorageUnusable, FolderLock, "disk", link)

    def test_it_can_be_had_again_once_it_was_let_go(self) -> None:
        FolderLock("disk", self.folder).release()
        self.lock()

    def test_a_directory_that_cannot_be_written_to_says_so(self) -> None:
        (self.folder / LOCK_NAME).mkdir()
        self.assertRaises(StorageUnusable, FolderLock, "disk", self.folder)

    def test_a_file_system_without_locks_is_used_with_a_warning(self) -> None:
        def refuse(descriptor: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        self.patch(fcntl, "flock", refuse)
        with capturedLogs() as events:
            self.lock()
            self.lock()
        self.assertIn("cannot be locked (No locks available)", formatEvent(events[0]))


class Used(SynchronousTestCase):
    """A folder that has been used is not made anew."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    def held(self, *, used: bool) -> HeldFolder:
        return HeldFolder("disk", str(self.folder), InlineWorkers(), Clock(), used=used)

    def test_a_new_one_is_made(self) -> None:
        folder = self.held(used=False)
        self.successResultOf(folder.start())
        self.successResultOf(folder.stop())
        self.successResultOf(folder.start())
        self.successResultOf(folder.stop())
        again = self.held(used=True)
        self.successResultOf(again.start())
        self.successResultOf(again.stop())

    def test_a_disk_that_is_not_mounted_is_not_taken_for_an_empty_one(self) -> None:
        for make in (lambda: None, self.folder.mkdir):
            make()
            failure = self.failureResultOf(self.held(used=True).start(), StorageUnusable)
            self.assertIn("mount the disk", failure.value.remedy)
            self.assertFalse(self.folder.exists() and any(self.folder.iterdir()))

    def test_what_the_remedy_says_makes_it_begin_anew(self) -> None:
        (self.folder / "shares").mkdir(parents=True)
        folder = self.held(used=True)
        self.successResultOf(folder.start())
        self.successResultOf(folder.stop())
