from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from raic.errors import StorageUnusable
from tests.backends.filesystems import FilesystemTestCase, HeldWorkers
from tests.contracts.consumer import Collector, Inspector
from tests.contracts.provider import KEY, TEN


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

    def test_a_stream_is_inspected_where_it_is_read(self) -> None:
        data = b"a" * 700 + b"b" * 700 + b"c" * 700 + b"d" * 5
        self.provider.put_object(KEY + "1", data)
        self.workers.release()
        inspector = Inspector()
        streaming = self.provider.stream_object(KEY + "1", 0, len(data), inspector)
        self.workers.release()
        self.assertEqual((inspector.seen, inspector.pieces), (1, [data[:700]]))
        # The next two are read at once; that they were is still to be told.
        tell = self.workers.held.pop()()
        self.assertEqual((inspector.seen, len(inspector.pieces)), (3, 1))
        tell()
        self.workers.release()
        self.assertEqual(self.successResultOf(streaming), len(data))
        self.assertEqual(inspector.pieces, [data[at : at + 700] for at in (0, 700, 1400, 2100)])
        self.assertEqual((inspector.seen, inspector.inspected), (4, []))

    def test_a_stream_of_several_pieces_at_once_holds_no_more_than_it_says(self) -> None:
        data = bytes(50 * 700)
        self.provider.put_object(KEY + "1", data)
        self.workers.release()
        inspector = Inspector(pausing=True)
        streaming = self.provider.stream_object(KEY + "1", 0, len(data), inspector)
        while inspector.registered:
            self.workers.release()
            self.assertLessEqual(len(inspector.inspected), 2 * inspector.at_once - 1)
            inspector.resume()
        self.assertEqual(self.successResultOf(streaming), len(data))
        self.assertEqual(inspector.data, data)

    def test_a_stream_is_stopped_while_it_reads(self) -> None:
        collector = Collector(stop_after=1)
        data = bytes(3 * 512 * 1024)
        self.provider.put_object(KEY + "1", data)
        self.workers.release()
        streaming = self.provider.stream_object(KEY + "1", 0, len(data), collector)
        self.workers.release()
        self.assertEqual(self.successResultOf(streaming), 512 * 1024)
        self.workers.release()
