from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from raic.backends.filesystem import OPEN_FILES, FilesystemProvider
from raic.errors import (
    AccessDenied,
    KeyTaken,
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    StorageUnusable,
)
from raic.interfaces import IMadeUpload, IWorkers
from raic.workers import InlineWorkers
from tests.backends.disks import DiskWithoutProc, OldDisk, ScriptedDisk, ShortDisk
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN

T = TypeVar("T")


@implementer(IWorkers)
class HeldWorkers:
    """Runs a call only when told to, and answers it only when told to."""

    def __init__(self) -> None:
        self.held: list[Callable[[], Callable[[], None]]] = []

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        answer: Deferred[T] = Deferred()

        def work() -> Callable[[], None]:
            done = InlineWorkers().run(function)

            def tell() -> None:
                done.addCallbacks(answer.callback, answer.errback)

            return tell

        self.held.append(work)
        return answer

    def release(self) -> None:
        held, self.held = self.held, []
        for work in held:
            work()()

    def stop(self) -> Deferred[None]:
        return InlineWorkers().stop()


class FilesystemTestCase(SynchronousTestCase):
    """A provider on a disk that can fail."""

    fsync = True

    def setUp(self) -> None:
        self.disk = self.make_disk()
        self.root = Path(self.mktemp()).absolute()
        self.provider = self.make_provider()

    def make_disk(self) -> ScriptedDisk:
        return ScriptedDisk()

    def make_provider(self, **options: Any) -> FilesystemProvider:
        workers = options.pop("workers", InlineWorkers())
        clock = options.pop("clock", Clock())
        options.setdefault("fsync", self.fsync)
        options.setdefault("disk", self.disk)
        return FilesystemProvider("attic", str(self.root), workers, clock, **options)

    def start(self) -> None:
        self.successResultOf(self.provider.start())
        self.addCleanup(self.provider.stop)
        self.disk.calls.clear()

    def files(self) -> list[str]:
        """Every file below the root."""
        return sorted(
            str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()
        )

    def put(self, key: str = KEY, data: bytes = TEN) -> None:
        self.successResultOf(self.provider.put_object(key, data))

    def refused(self, answer: Deferred[Any], kind: type[ProviderError]) -> ProviderError:
        error = self.failureResultOf(answer, kind).value
        assert isinstance(error, ProviderError)
        self.assertEqual(error.provider, "attic")
        return error


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


class OddDiskTests(FilesystemTestCase):
    """What is written can be read, whatever way the disk goes about it."""

    def write_and_read(self, disk: ScriptedDisk) -> None:
        self.disk = disk
        self.provider = self.make_provider(fsync=False)
        self.start()
        data = bytes(range(256)) * 20
        self.put(data=data)
        upload = self.provider.open_upload(KEY + "1", len(data))
        self.successResultOf(upload.write(data))
        self.successResultOf(upload.finish())
        self.put(KEY + "1", data)
        refused = self.provider.put_object(KEY, data[:-1] + b"x")
        self.failureResultOf(refused, KeyTaken)
        for key in (KEY, KEY + "1"):
            read = self.successResultOf(self.provider.get_object(key, 10, 10_000))
            self.assertEqual(read, data[10:])
        self.assertEqual(len(self.files()), 2)

    def test_reads_and_writes_that_do_less_than_was_asked_are_repeated(self) -> None:
        self.write_and_read(ShortDisk())

    def test_pieces_that_are_made_in_the_worker_are_written_in_a_row(self) -> None:
        self.assert_made(ScriptedDisk())
        self.assertEqual(len(self.disk.called("write_pieces")), 2)  # 1,003 are too many for one

    def test_pieces_of_which_the_disk_takes_only_some_are_written_in_a_row(self) -> None:
        self.assert_made(ShortDisk())

    def assert_made(self, disk: ScriptedDisk) -> None:
        self.disk = disk
        self.provider = self.make_provider(fsync=False)
        self.start()
        pieces: list[bytes | bytearray] = [
            b"",
            bytearray(b"a" * 700),
            *(bytes([n % 251]) for n in range(1000)),
            b"z" * 900,
        ]
        whole = b"".join(pieces)
        upload = self.provider.open_upload(KEY, len(whole))
        made = IMadeUpload(upload).write_made(len(whole), lambda: pieces)
        self.successResultOf(made)
        self.successResultOf(upload.finish())
        self.assertEqual(self.successResultOf(self.provider.get_object(KEY, 0, 10_000)), whole)

    def test_files_that_cannot_be_linked_by_descriptor_get_names(self) -> None:
        self.write_and_read(DiskWithoutProc())


class DurabilityTests(FilesystemTestCase):
    folder = "shares/aa"
    file = "shares/aa/aaaaaaaaaaaaaaaaaaaaaaaaaa,0.txn.5.10"

    def synced(self) -> list[tuple[str, str]]:
        """What was made and what was synced, below the root, in order."""
        root = os.path.relpath(self.root)
        calls = self.disk.called("mkdir", "write", "fsync", "link")
        return [(name, os.path.relpath(path, root) if name == "fsync" and "nameless" not in path
                 else path) for name, path in calls]  # fmt: skip

    def test_an_object_and_new_folders_are_synced_in_order(self) -> None:
        self.start()
        self.put()
        self.assertEqual(
            self.synced(),
            [
                ("write", "a nameless file"),
                ("fsync", "a nameless file"),
                ("mkdir", "shares"),
                ("fsync", "."),
                ("mkdir", "shares/aa"),
                ("fsync", "shares"),
                ("link", self.file),
                ("fsync", self.folder),
            ],
        )

    def test_folders_made_at_the_start_need_nothing_later(self) -> None:
        wanted = ["shares/aa", "shares/bb", "slots/aa", "top"]
        self.provider = self.make_provider(folders=wanted)
        self.successResultOf(self.provider.start())
        self.addCleanup(self.provider.stop)
        self.assertEqual(sorted(os.listdir(self.root / "shares")), ["aa", "bb"])
        self.assertIn("top", os.listdir(self.root))
        synced = self.synced()
        for parent in (".", "shares", "slots"):
            last = len(synced) - synced[::-1].index(("fsync", parent))
            made = [path for call, path in synced[last:] if call == "mkdir"]
            self.assertNotIn(parent, [os.path.dirname(path) or "." for path in made])
        self.disk.calls.clear()
        self.put()
        self.assertEqual(
            self.synced(),
            [
                ("write", "a nameless file"),
                ("fsync", "a nameless file"),
                ("link", self.file),
                ("fsync", self.folder),
            ],
        )

    def test_known_folders_are_not_synced_again(self) -> None:
        self.start()
        self.put(KEY + "0")
        self.disk.calls.clear()
        upload = self.provider.open_upload(KEY, 10)
        self.successResultOf(upload.write(TEN))
        self.assertEqual(self.synced(), [("write", "a nameless file")])
        self.successResultOf(upload.finish())
        self.assertEqual(
            self.synced()[1:],
            [("fsync", "a nameless file"), ("link", self.file), ("fsync", self.folder)],
        )

    def test_folders_of_an_earlier_process_are_synced(self) -> None:
        self.start()
        self.put(KEY + "0")
        self.successResultOf(self.provider.stop())
        self.provider = self.make_provider()
        self.start()
        self.put()
        self.assertIn(("fsync", "shares"), self.synced())

    def test_repeating_a_write_syncs_again(self) -> None:
        self.start()
        self.put()
        self.disk.calls.clear()
        self.put()
        self.assertEqual(self.synced()[-2:], [("fsync", self.file), ("fsync", self.folder)])

    def test_a_deletion_is_synced_once_per_folder(self) -> None:
        self.start()
        self.put()
        self.put(KEY + "0")
        self.disk.calls.clear()
        self.successResultOf(self.provider.delete_objects([KEY, KEY + "0"]))
        self.assertEqual(self.synced(), [("fsync", self.folder)])

    def test_nothing_is_synced_where_that_is_not_wanted(self) -> None:
        self.provider = self.make_provider(fsync=False)
        self.start()
        self.put()
        self.put()
        self.successResultOf(self.provider.delete_objects([KEY]))
        self.assertEqual(self.disk.called("fsync"), [])


class FailureTests(FilesystemTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.put(KEY + "0")

    def assert_only_the_first(self) -> None:
        self.disk.heal()
        self.assertEqual(len(self.files()), 1)
        self.failureResultOf(self.provider.get_object(KEY, 0, 10), ObjectNotFound)
        opened = len(os.listdir("/proc/self/fd"))
        self.put(KEY)
        self.successResultOf(self.provider.delete_objects([KEY]))
        self.assertEqual(len(os.listdir("/proc/self/fd")), opened)

    def test_a_failed_put_says_why_and_leaves_nothing(self) -> None:
        for name, error, kind, remedy in (
            ("write", errno.ENOSPC, NoSpace, "free some space"),
            ("write", errno.EDQUOT, NoSpace, "quota"),
            ("write", errno.EFBIG, NoSpace, "ulimit -f"),
            ("write", errno.EIO, StorageUnusable, "kernel's log"),
            ("open", errno.EROFS, StorageUnusable, "reading and writing"),
            ("open", errno.EMFILE, ProviderBusy, "ulimit -n"),
            ("open", errno.EACCES, AccessDenied, "let the node's user"),
            ("fsync", errno.EIO, StorageUnusable, "kernel's log"),
            ("fsync", errno.ENOSPC, NoSpace, "free some space"),
            ("link", errno.ENOSPC, NoSpace, "free some space"),
            ("link", 9999, StorageUnusable, "kernel's log"),
        ):
            self.disk.fail(name, error)
            refused = self.refused(self.provider.put_object(KEY, TEN), kind)
            self.assertEqual(refused.operation, "put_object")
            self.assertIn(remedy, refused.remedy)
            self.assert_only_the_first()

    def test_a_failed_upload_says_why_and_leaves_nothing(self) -> None:
        for name in ("open", "write", "fsync", "link"):
            upload = self.provider.open_upload(KEY, 10)
            answer = upload.write(TEN[:5])
            self.successResultOf(answer)
            self.disk.fail(name, errno.ENOSPC)
            answer = upload.write(TEN[5:])
            if name == "write":
                self.refused(answer, NoSpace)
                self.assertEqual(len(self.files()), 1)
                self.refused(upload.finish(), StorageUnusable)
            elif name in ("fsync", "link"):
                self.refused(upload.finish(), NoSpace)
            self.successResultOf(upload.abort())
            self.assert_only_the_first()

    def test_a_disk_that_is_really_full_leaves_nothing(self) -> None:
        """The limit on file sizes is the one that any user can lower."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        upload = self.provider.open_upload(KEY, 200_000)
        self.successResultOf(upload.write(bytes(90_000)))
        answer = upload.write(bytes(110_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.refused(answer, NoSpace)
        self.successResultOf(upload.abort())
        self.assert_only_the_first()

    def test_an_object_whose_name_may_not_be_durable_has_an_unknown_outcome(self) -> None:
        self.disk.fail("fsync", errno.EIO, after=1)
        self.refused(self.provider.put_object(KEY, TEN), OutcomeUnknown)
        self.assert_only_the_first()
        upload = self.provider.open_upload(KEY, 10)
        self.successResultOf(upload.write(TEN))
        self.disk.fail("fsync", errno.EIO, after=1)
        self.refused(upload.finish(), OutcomeUnknown)
        self.successResultOf(upload.abort())
        self.assert_only_the_first()

    def test_a_failed_repetition_leaves_the_object(self) -> None:
        self.disk.fail("fsync", errno.EIO, after=1)
        self.refused(self.provider.put_object(KEY + "0", TEN), StorageUnusable)
        self.disk.heal()
        self.assertEqual(len(self.files()), 1)

    def test_a_read_that_fails_says_why(self) -> None:
        self.disk.fail("read", errno.EIO)
        self.refused(self.provider.get_object(KEY + "0", 0, 10), StorageUnusable)
        collector = Collector()
        streaming = self.provider.stream_object(KEY + "0", 0, 10, collector)
        self.refused(streaming, StorageUnusable)
        self.assertFalse(collector.registered)
        self.disk.heal()
        self.disk.fail("open", errno.EACCES)
        self.refused(self.provider.get_object(KEY + "0", 0, 10), AccessDenied)

    def test_a_listing_that_fails_says_why(self) -> None:
        self.disk.fail("names", errno.EIO)
        self.refused(self.provider.list_objects("", None), StorageUnusable)

    def test_what_could_not_be_deleted_is_named(self) -> None:
        self.put(KEY)
        self.disk.fail("unlink", errno.EACCES, after=1)
        failed = self.successResultOf(self.provider.delete_objects([KEY + "0", KEY]))
        self.assertEqual(failed, {KEY})
        self.refused(self.provider.delete_objects([KEY]), AccessDenied)

    def test_a_file_that_was_cut_short_is_read_as_far_as_it_goes(self) -> None:
        self.successResultOf(self.provider.get_object(KEY + "0", 0, 10))
        os.truncate(self.root / self.files()[0], 4)
        self.assertIsNone(self.provider.read_now(KEY + "0", 0, 10))
        reading = self.provider.get_object(KEY + "0", 0, 10)
        self.assertEqual(self.successResultOf(reading), TEN[:4])


class NamedFailureTests(FailureTests):
    """The same where unfinished files have names."""

    def make_disk(self) -> ScriptedDisk:
        return OldDisk()


class VanishedTests(FilesystemTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.put()

    def assert_everything_fails(self) -> None:
        for answer in (
            self.provider.put_object(KEY + "1", TEN),
            self.provider.put_object("new/folder/x", TEN),
            self.provider.open_upload(KEY + "1", 10).write(TEN),
            self.provider.get_object(KEY + "1", 0, 10),
            self.provider.list_objects("", None),
            self.provider.delete_objects([KEY]),
            self.provider.get_space(),
        ):
            refused = self.refused(answer, StorageUnusable)
            self.assertIn(f"mount {self.root} or put it back", refused.remedy)

    def test_a_directory_that_was_removed_is_not_made_again(self) -> None:
        shutil.rmtree(self.root)
        self.assert_everything_fails()
        self.assertFalse(self.root.exists())

    def test_another_directory_in_its_place_is_left_alone(self) -> None:
        shutil.rmtree(self.root)
        self.root.mkdir()
        self.assert_everything_fails()
        self.assertEqual(list(self.root.iterdir()), [])

    def test_a_folder_within_may_be_removed(self) -> None:
        shutil.rmtree(self.root / "shares")
        self.put(KEY + "1")
        self.assertEqual(len(self.files()), 1)


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


class ConcurrencyTests(FilesystemTestCase):
    """Calls that wait for their workers while others are made."""

    fsync = False

    def setUp(self) -> None:
        super().setUp()
        self.workers = HeldWorkers()
        self.provider = self.make_provider(workers=self.workers)
        self.provider.start()
        self.workers.release()
        self.provider.put_object(KEY, TEN)
        self.workers.release()

    def get(self) -> Deferred[bytes]:
        return self.provider.get_object(KEY, 0, 10)

    def test_a_file_that_was_opened_while_it_was_deleted_is_not_kept(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        deleting = self.provider.delete_objects([KEY])
        delete = self.workers.held.pop()
        early = self.get()
        self.workers.release()
        self.assertEqual(self.successResultOf(early), TEN)
        delete()()
        self.successResultOf(deleting)
        self.assertIsNone(self.provider.read_now(KEY, 0, 10))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_a_file_opened_twice_at_once_is_kept_once(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        readings = [self.get(), self.get()]
        self.workers.release()
        self.assertEqual([self.successResultOf(found) for found in readings], [TEN, TEN])
        self.assertEqual(len(os.listdir("/proc/self/fd")), before + 1)

    def test_a_file_whose_opening_is_told_after_its_deletion_is_not_kept(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        deleting = self.provider.delete_objects([KEY])
        delete = self.workers.held.pop()
        reading = self.get()
        told = self.workers.held.pop()()
        delete()()
        self.successResultOf(deleting)
        told()
        self.assertEqual(self.successResultOf(reading), TEN)
        self.assertIsNone(self.provider.read_now(KEY, 0, 10))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_starts_at_once_open_the_directory_once(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        self.successResultOf(self.provider.stop())
        starts = [self.provider.start(), self.provider.start()]
        self.workers.release()
        for start in starts:
            self.successResultOf(start)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_a_read_that_nobody_waits_for_keeps_no_file_but_the_one_it_opened(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            reading = self.get()
            reading.cancel()
            self.failureResultOf(reading, CancelledError)
            self.workers.release()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before + 1)
        self.assertEqual(self.provider.read_now(KEY, 0, 10), TEN)

    def test_a_file_stays_open_under_a_read_that_nobody_waits_for(self) -> None:
        self.get()
        self.workers.release()
        before = len(os.listdir("/proc/self/fd"))
        reading = self.get()
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        deleting = self.provider.delete_objects([KEY])
        read, delete = self.workers.held
        self.workers.held = []
        delete()()
        self.successResultOf(deleting)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        read()()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before - 1)

    def test_stopping_waits_for_calls_that_nobody_waits_for(self) -> None:
        upload = self.provider.open_upload(KEY + "2", 10)
        calls: list[Deferred[Any]] = [
            self.get(),
            self.provider.put_object(KEY + "1", TEN),
            self.provider.list_objects("", None),
            self.provider.delete_objects([KEY]),
            upload.write(TEN),
        ]
        for call in calls:
            call.cancel()
            self.failureResultOf(call, CancelledError)
        stopping = self.provider.stop()
        for _ in range(2):  # what was begun, and then the end of the upload
            self.assertNoResult(stopping)
            self.workers.release()
        self.successResultOf(stopping)
        self.assertEqual(len(self.files()), 1)

    def test_stopping_waits_for_a_read(self) -> None:
        reading = self.get()
        stopping = self.provider.stop()
        self.assertNoResult(stopping)
        self.workers.release()
        self.assertEqual(self.successResultOf(reading), TEN)
        self.successResultOf(stopping)

    def test_stopping_waits_for_what_is_under_way(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        reading = self.get()
        upload = self.provider.open_upload(KEY + "1", 10)
        writing = upload.write(TEN)
        stopping = self.provider.stop()
        self.assertNoResult(stopping)
        self.workers.release()
        self.assertEqual(self.successResultOf(reading), TEN)
        self.successResultOf(writing)
        self.assertNoResult(stopping)
        self.workers.release()
        self.successResultOf(stopping)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before - 1)
        self.assertEqual(len(self.files()), 1)

    def test_an_upload_aborted_while_it_finishes_does_not_appear(self) -> None:
        upload = self.provider.open_upload(KEY + "1", 10)
        upload.write(TEN)
        self.workers.release()
        finishing = upload.finish()
        aborting = upload.abort()
        self.workers.release()
        self.assertNoResult(finishing)
        self.assertNoResult(aborting)
        self.workers.release()
        self.successResultOf(aborting)
        self.refused(finishing, StorageUnusable)
        self.assertEqual(len(self.files()), 1)

    def test_an_upload_aborted_while_it_finishes_leaves_what_was_there_before(self) -> None:
        upload = self.provider.open_upload(KEY, 10)
        upload.write(TEN)
        self.workers.release()
        finishing = upload.finish()
        aborting = upload.abort()
        self.workers.release()
        self.successResultOf(aborting)
        self.refused(finishing, StorageUnusable)
        self.assertEqual(len(self.files()), 1)

    def test_a_stream_reads_one_piece_ahead(self) -> None:
        data = bytes(3 * 512 * 1024)
        self.provider.put_object(KEY + "1", data)
        self.workers.release()
        collector = Collector(pausing=True)
        streaming = self.provider.stream_object(KEY + "1", 0, len(data), collector)
        self.workers.release()
        collector.resume()
        self.assertEqual(len(collector.pieces), 1)
        self.assertEqual(len(self.workers.held), 1)
        self.workers.release()
        self.assertEqual(self.workers.held, [])
        for _ in range(3):
            collector.resume()
            self.workers.release()
        self.assertEqual(self.successResultOf(streaming), len(data))

    def test_a_stream_is_stopped_while_it_reads(self) -> None:
        collector = Collector(stop_after=1)
        data = bytes(3 * 512 * 1024)
        self.provider.put_object(KEY + "1", data)
        self.workers.release()
        streaming = self.provider.stream_object(KEY + "1", 0, len(data), collector)
        self.workers.release()
        self.assertEqual(self.successResultOf(streaming), 512 * 1024)
        self.workers.release()


KILLED = """
import sys
from twisted.internet.task import Clock
from raic.backends.filesystem import FilesystemProvider
from raic.workers import InlineWorkers
from tests.backends.disks import DiskWithoutProc, OldDisk, ScriptedDisk, ShortDisk
disk = OldDisk() if sys.argv[2] == "named" else ScriptedDisk()
provider = FilesystemProvider("attic", sys.argv[1], InlineWorkers(), Clock(), disk=disk)
provider.start()
provider.put_object("a/b/stored", b"stored")
provider.open_upload("a/b/begun", 10).write(b"begun")
provider.open_upload("c/d/begun", 10).write(b"begun")
print("ready", flush=True)
sys.stdin.read()
"""


class KilledTests(FilesystemTestCase):
    """The process is killed in the middle of two uploads."""

    def kill(self, kind: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(self.root), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        # If it never says so the test must end all the same.
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        with process:
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.send_signal(signal.SIGKILL)
        watchdog.cancel()
        self.start()
        page = self.successResultOf(self.provider.list_objects("", None))
        self.assertEqual([found.key for found in page.objects], ["a/b/stored"])

    def clear(self, prefix: str) -> int:
        return self.successResultOf(self.provider.clear_interrupted_uploads(prefix))

    def test_nothing_remains(self) -> None:
        self.kill("nameless")
        self.assertEqual(len(self.files()), 1)
        self.assertEqual(self.clear(""), 0)

    def test_what_has_a_name_is_cleared_by_the_owner_of_its_prefix(self) -> None:
        self.kill("named")
        self.assertEqual(len(self.files()), 3)
        self.assertEqual(self.clear("a/b/x"), 0)
        self.assertEqual(self.clear("a/"), 1)
        self.assertEqual(self.clear(""), 1)
        self.assertEqual(len(self.files()), 1)
