from __future__ import annotations

import errno
import os
import resource
import shutil

from raic.errors import (
    AccessDenied,
    NoSpace,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    StorageUnusable,
)
from tests.backends.disks import OldDisk, ScriptedDisk
from tests.backends.filesystems import FilesystemTestCase
from tests.contracts.consumer import Collector
from tests.contracts.provider import KEY, TEN


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
