from __future__ import annotations

import errno
import os
from tempfile import TemporaryFile

from raic.backends.disk import Disk
from raic.errors import KeyTaken
from raic.interfaces import IMadeUpload
from tests.backends.disks import DiskWithoutProc, ScriptedDisk, ShortDisk
from tests.backends.filesystems import FilesystemTestCase
from tests.contracts.provider import KEY, TEN

MIB = 1024 * 1024


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


class EarlyWritingTests(FilesystemTestCase):
    """What is received goes to the disk while more is being received."""

    size = 5_500_000

    def upload(self) -> None:
        """Store an object in pieces of a million bytes."""
        upload = self.provider.open_upload(KEY, self.size)
        for offset in range(0, self.size, 1_000_000):
            data = bytes(min(1_000_000, self.size - offset))
            self.successResultOf(upload.write(data))
        self.successResultOf(upload.finish())

    def test_each_two_mebibytes_go_to_the_disk_when_they_are_there(self) -> None:
        self.start()
        self.disk.calls.clear()
        self.upload()
        self.assertEqual(self.disk.early, [(0, 2 * MIB), (2 * MIB, 2 * MIB)])
        names = [name for name, _ in self.disk.called("write", "start_writing", "fsync")]
        begun = 3 * ["write"] + ["start_writing"] + 2 * ["write"] + ["start_writing"]
        self.assertEqual(names[:9], [*begun, "write", "fsync"])

    def test_without_fsync_the_system_is_left_alone(self) -> None:
        self.provider = self.make_provider(fsync=False)
        self.start()
        self.upload()
        self.assertEqual(self.disk.early, [])

    def test_a_system_that_refuses_does_no_harm(self) -> None:
        self.start()
        self.disk.fail("start_writing", errno.EIO)
        self.upload()
        self.assertEqual(len(self.disk.early), 2)
        self.assertEqual(len(self.files()), 1)

    def test_the_system_is_asked_for_the_range(self) -> None:
        with TemporaryFile() as file:
            file.write(bytes(3 * MIB))
            file.flush()
            Disk.start_writing(file.fileno(), MIB, MIB)
            Disk.start_writing(file.fileno(), 2**40, MIB)
            for wrong in (-MIB, MIB), (MIB, -MIB):
                with self.assertRaises(OSError) as raised:
                    Disk.start_writing(file.fileno(), *wrong)
                self.assertEqual(raised.exception.errno, errno.EINVAL)


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
