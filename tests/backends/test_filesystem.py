from __future__ import annotations

import errno
import os

from twisted.internet.task import Clock

from raic.backends.filesystem import OPEN_FILES
from raic.errors import AccessDenied, NoSpace, ProviderTimedOut, StorageUnusable
from tests.backends.filesystems import FilesystemTestCase, HeldWorkers
from tests.contracts.provider import KEY, TEN


class StartTests(FilesystemTestCase):
    def test_the_first_start_makes_the_directory_but_not_its_parents(self) -> None:
        self.start()
        self.assertEqual(self.root.stat().st_mode & 0o777, 0o700)
        self.assertEqual(self.files(), [])
        self.root = self.root / "missing" / "missing"
        refused = self.refused(self.make_provider().start(), StorageUnusable)
        self.assertIn(f"mount {self.root} or put it back", refused.remedy)
        self.assertFalse(self.root.parent.exists())

    def test_a_file_in_its_place_is_refused(self) -> None:
        self.root.write_text("not a directory")
        refused = self.refused(self.provider.start(), StorageUnusable)
        self.assertIn("a directory", refused.remedy)

    def test_what_cannot_be_written_is_refused_and_can_be_started_later(self) -> None:
        for name, error, kind in (
            ("open", errno.EACCES, AccessDenied),
            ("mkdir", errno.EROFS, StorageUnusable),
            ("write", errno.ENOSPC, NoSpace),
            ("fsync", errno.EIO, StorageUnusable),
            ("link", errno.EPERM, AccessDenied),
            ("unlink", errno.EACCES, AccessDenied),
            ("names", errno.EIO, StorageUnusable),
        ):
            self.disk.fail(name, error)
            self.refused(self.provider.start(), kind)
            self.disk.heal()
            self.refused(self.provider.put_object(KEY, TEN), StorageUnusable)
        self.start()
        self.assertEqual(self.successResultOf(self.provider.list_objects("", None)).objects, ())
        self.put()

    def test_what_a_failed_start_left_is_cleared(self) -> None:
        self.disk.fail("unlink", errno.EIO)
        self.refused(self.provider.start(), StorageUnusable)
        self.disk.heal()
        self.assertEqual(len(self.files()), 1)
        self.provider = self.make_provider()
        self.start()
        clearing = self.provider.clear_interrupted_uploads("shares/")
        self.assertEqual(self.successResultOf(clearing), 1)
        self.assertEqual(self.files(), [])

    def test_a_folder_without_permissions_is_refused(self) -> None:
        if os.geteuid() == 0:
            return  # root may do anything; the scripted errors stand for it
        self.root.mkdir(mode=0o500)
        refused = self.refused(self.provider.start(), AccessDenied)
        self.assertIn(str(self.root), refused.remedy)

    def test_starting_again_changes_nothing(self) -> None:
        self.start()
        self.put()
        self.disk.calls.clear()
        self.successResultOf(self.provider.start())
        self.assertEqual(self.disk.calls, [])
        self.assertEqual(self.successResultOf(self.provider.get_object(KEY, 0, 10)), TEN)


class SpaceTests(FilesystemTestCase):
    def test_what_is_reserved_is_not_available(self) -> None:
        found = os.statvfs(".")
        free = found.f_bavail * found.f_frsize
        self.provider = self.make_provider(reserved_space=free // 2)
        self.start()
        space = self.successResultOf(self.provider.get_space())
        self.assertIsNone(space.used)
        self.assertTrue(0 < space.available < free * 3 // 4)

    def test_it_is_never_less_than_nothing(self) -> None:
        self.provider = self.make_provider(reserved_space=2**60)
        self.start()
        self.assertEqual(self.successResultOf(self.provider.get_space()).available, 0)

    def test_a_disk_that_hangs_times_out_and_costs_one_worker(self) -> None:
        workers, clock = HeldWorkers(), Clock()
        self.provider = self.make_provider(workers=workers, clock=clock)
        starting = self.provider.start()
        workers.release()
        self.successResultOf(starting)
        first = self.provider.get_space()
        clock.advance(15)
        second = self.provider.get_space()
        self.assertEqual(len(workers.held), 1)
        clock.advance(10)
        self.refused(first, ProviderTimedOut)
        workers.release()
        self.successResultOf(second)
        third = self.provider.get_space()
        self.disk.fail("statvfs", errno.EIO)
        workers.release()
        self.refused(third, StorageUnusable)
        self.assertEqual(clock.getDelayedCalls(), [])


class ImmediateReadTests(FilesystemTestCase):
    fsync = False

    def setUp(self) -> None:
        super().setUp()
        self.start()

    def read_now(self, key: str = KEY, offset: int = 0, length: int = 10) -> bytes | None:
        return self.provider.read_now(key, offset, length)

    def test_what_was_read_before_is_read_at_once(self) -> None:
        self.put()
        self.assertIsNone(self.read_now())
        self.successResultOf(self.provider.get_object(KEY, 0, 1))
        immediate = self.read_now()
        if immediate is None:
            return  # a file system that cannot tell what is in the page cache: tmpfs
        self.assertEqual(immediate, TEN)
        self.assertEqual(self.read_now(offset=8, length=5), TEN[8:])
        self.assertEqual(self.read_now(offset=12, length=5), b"")
        self.assertEqual(self.read_now(length=2**20), TEN)
        self.assertIsNone(self.read_now(length=2**20 + 1))

    def test_what_is_not_in_the_page_cache_is_not(self) -> None:
        self.put()
        self.successResultOf(self.provider.get_object(KEY, 0, 1))
        self.disk.fail("read_into", errno.EAGAIN)
        self.assertIsNone(self.read_now())

    def test_files_are_kept_open_but_not_too_many(self) -> None:
        def opened() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = opened()
        for number in range(OPEN_FILES + 10):
            self.put(f"{KEY}{number}")
            self.successResultOf(self.provider.get_object(f"{KEY}{number}", 0, 1))
        self.assertEqual(opened(), before + OPEN_FILES)
        self.assertIsNone(self.read_now(KEY + "0"))
        self.successResultOf(self.provider.get_object(KEY + "0", 0, 1))
        self.assertEqual(opened(), before + OPEN_FILES)
        self.successResultOf(self.provider.stop())
        self.assertEqual(opened(), before - 1)

    def test_a_file_is_closed_when_it_is_deleted(self) -> None:
        self.put()
        before = len(os.listdir("/proc/self/fd"))
        self.successResultOf(self.provider.get_object(KEY, 0, 1))
        self.successResultOf(self.provider.delete_objects([KEY]))
        self.assertIsNone(self.read_now())
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
