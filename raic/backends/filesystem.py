"""Objects as files in a directory of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredList, execute, fail, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.backends.disk import Disk, translated
from raic.backends.filestore import FileStore, OpenFile
from raic.backends.fileupload import FileUpload
from raic.backends.keys import check_key, check_range
from raic.backends.openfiles import OpenFiles
from raic.backends.putprocess import CrowdedPuts, Spawn
from raic.backends.streams import Looks, PieceStream
from raic.deferreds import Shared, apart
from raic.errors import ProviderTimedOut, StorageUnusable
from raic.interfaces import (
    IImmediateReads,
    IInterruptedUploads,
    ILocalListing,
    IObjectUpload,
    IShortPages,
    IStorageProvider,
    IWorkers,
)
from raic.promptness import Promptness
from raic.values import ObjectPage, Space, Stored

T = TypeVar("T")

OPEN_FILES = 256
IMMEDIATE_BYTES = 1024 * 1024
SMALL_BYTES = 64 * 1024
SPACE_SECONDS = 20.0


@implementer(IStorageProvider, IImmediateReads, ILocalListing, IInterruptedUploads, IShortPages)
class FilesystemProvider:
    """Keeps every object as a file below one directory.

    The directory is made at the first start if its parent exists, and kept open until the stop.

    :param path: the directory.
    :param workers: where blocking calls run; whoever made them stops them, after this provider.
    :param clock: times out the question how much space there is.
    :param fsync: whether an acknowledged object survives a power cut.
    :param reserved_space: bytes of the file system that are left to others.
    :param folders: pairs of first components that many keys will have, as in ``shares/aa``: their
        folders are made at the start, so that no write has to wait for its own.
    :param beside: a file that the caller's thread uses anyway.  While objects lie on the same file
        system, and nothing is synced, small ones are written by that thread as well: a disk that
        hangs would make it wait in any case.
    :param spawn: starts a process that stores small objects durably when many are to be stored at
        once.
    """

    def __init__(
        self,
        name: str,
        path: str,
        workers: IWorkers,
        clock: IReactorTime,
        *,
        fsync: bool = True,
        reserved_space: int = 0,
        folders: Collection[str] = (),
        beside: str | None = None,
        spawn: Spawn | None = None,
        disk: Disk | None = None,
    ) -> None:
        self.name = name
        self._path = path
        self._workers = workers
        self._clock = clock
        self._reserved_space = reserved_space
        self._disk = disk or Disk()
        self._store = FileStore(name, path, self._disk, fsync, folders)
        self._files = OpenFiles(self._store, OPEN_FILES)
        self._scratch = memoryview(bytearray(IMMEDIATE_BYTES))
        self._beside = None if fsync else beside
        self._prompt: Promptness | None = None
        self._crowded: CrowdedPuts | None = None
        if spawn is not None and fsync:
            self._crowded = CrowdedPuts(spawn, self._store)
        self._started = False
        self._starting: Shared[None] = Shared()
        self._uploads: set[FileUpload] = set()
        self._busy = 0
        self._idle: Deferred[None] | None = None
        self._asking_space: list[Deferred[Space]] = []
        self._measuring = False

    def reserve(self, size: int) -> None:
        """Leave so many bytes of the file system to others from now on."""
        self._reserved_space = size

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return succeed(None) if self._started else self._starting.ask(self._start)

    def _start(self) -> Deferred[None]:
        def opened(is_beside: bool) -> None:
            self._prompt = Promptness(self._clock) if is_beside else None
            if not self._store.makes_nameless():
                self._crowded = None  # what another process leaves half made would stay
            self._started = True

        return self._begin("start", self._open, stopping=True).addCallback(opened)

    def _open(self) -> bool:
        """Open the directory; whether small objects may be written by the caller's thread."""
        self._store.open()
        return self._beside is not None and self._store.is_beside(self._beside)

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._started = False
        aborted = DeferredList([upload.abort() for upload in self._uploads.copy()])
        return aborted.addCallback(lambda _: self._until_idle()).addCallback(self._close)

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`: bytes go straight to the kernel."""
        return 0

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(0, size)
        ended = self._uploads.discard
        upload = FileUpload(self.name, self._store, self._begin, ended, key, size)
        self._uploads.add(upload)
        return upload

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        put = partial(self._store.put, key, data)
        if self._started and len(data) <= SMALL_BYTES:
            if self._crowded is not None:
                return apart(self._put_in_crowd(self._crowded, key, data, put))
            if self._prompt is not None and self._prompt.is_expected():
                return execute(self._prompt.call, partial(self._guarded, "put_object", put))
        return self._run("put_object", put)

    def _put_in_crowd(
        self, crowded: CrowdedPuts, key: str, data: bytes, put: Callable[[], Stored]
    ) -> Deferred[Stored]:
        self._busy += 1
        putting = crowded.put(key, data, partial(self._begin, "put_object", put))
        return putting.addBoth(self._ended)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)

        def read(file: OpenFile) -> bytes:
            return self._store.read(file, offset, length)

        return self._read("get_object", key, read)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        check_key(key)
        check_range(offset, length)
        looks = Looks.of(consumer)

        def read(position: int, size: int) -> Deferred[Sequence[bytes]]:
            def read_pieces(file: OpenFile) -> Sequence[bytes]:
                return looks.read(partial(self._store.read, file), position, size)

            return self._read("stream_object", key, read_pieces)

        stream = PieceStream(consumer, read, offset, length, looks.piece_bytes, looks.at_once)
        return stream.start()

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return self._run("list_objects", partial(self._store.list_page, prefix, token))

    def list_some(self, prefix: str, token: str | None, limit: int) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IShortPages`."""
        return self._run("list_objects", partial(self._store.list_page, prefix, token, limit))

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        for key in keys:
            check_key(key)

        def deleted(failed: frozenset[str]) -> frozenset[str]:
            # Once more: a read may have opened one of them just before it went.
            self._files.forget(keys)
            return failed

        self._files.forget(keys)
        deleting = self._begin("delete_objects", partial(self._store.delete, keys))
        return apart(deleting.addCallback(deleted))

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`.

        A disk that hangs costs one worker, however often it is asked.
        """
        answer: Deferred[Space] = Deferred()

        def timed_out(_: object, seconds: float) -> None:
            self._asking_space.remove(answer)
            detail = f"{self._path} did not answer within {seconds:.0f} s"
            raise ProviderTimedOut(self.name, "get_space", detail)

        answer.addTimeout(SPACE_SECONDS, self._clock, timed_out)
        self._asking_space.append(answer)
        if not self._measuring:
            self._measuring = True
            measure = partial(self._store.space, self._reserved_space)
            self._begin("get_space", measure).addBoth(self._measured)
        return answer

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        """See :class:`raic.interfaces.IInterruptedUploads`.

        There are none where the file system knows nameless files, as the usual ones do.
        """
        return self._run(
            "clear_interrupted_uploads", partial(self._store.clear_interrupted, prefix)
        )

    def read_now(self, key: str, offset: int, length: int) -> bytes | None:
        """See :class:`raic.interfaces.IImmediateReads`: from the page cache, or not at all."""
        file = self._files.get(key)
        if file is None or length > IMMEDIATE_BYTES:
            return None
        length = min(length, file.size - offset)
        if length <= 0:
            return b""
        into = self._scratch[:length]
        try:
            found = self._disk.read_into(file.fd, (into,), offset, os.RWF_NOWAIT)
        except OSError:
            # Not in the page cache, or a file system that cannot tell.
            return None
        if found < length:
            return None
        self._files.touch(key)
        return into.tobytes()

    def _run(
        self, operation: str, function: Callable[[], T], *, stopping: bool = False
    ) -> Deferred[T]:
        """Call in a worker; whoever waits for the answer may cancel it."""
        return apart(self._begin(operation, function, stopping=stopping))

    def _begin(
        self, operation: str, function: Callable[[], T], *, stopping: bool = False
    ) -> Deferred[T]:
        """Call in a worker, which nobody can call back: what this returns is not to be cancelled.

        What holds files open or counts what is under way must know when the call has ended.
        """
        if not (self._started or stopping):
            return fail(StorageUnusable(self.name, operation, "the provider is not started"))
        self._busy += 1
        return self._workers.run(partial(self._guarded, operation, function)).addBoth(self._ended)

    def _guarded(self, operation: str, function: Callable[[], T]) -> T:
        try:
            return function()
        except OSError as error:
            raise translated(self.name, operation, self._path, error) from error

    def _ended(self, result: T) -> T:
        self._busy -= 1
        if self._idle is not None and not self._busy:
            idle, self._idle = self._idle, None
            idle.callback(None)
        return result

    def _until_idle(self) -> Deferred[None]:
        if not self._busy:
            return succeed(None)
        self._idle = Deferred()
        return self._idle

    def _close(self, _: None) -> None:
        self._started = False  # a start may have been under way
        self._files.clear()
        if self._crowded is not None:
            self._crowded.stop()
        self._store.close()

    def _read(self, operation: str, key: str, read: Callable[[OpenFile], T]) -> Deferred[T]:
        """Read an object that is open, or is opened for it."""
        file = self._files.use(key)
        if file is None:
            opened = self._begin(operation, partial(self._open_and_read, operation, key, read))
            return apart(opened.addCallback(self._opened, key, self._files.generation()))
        reading = self._begin(operation, partial(read, file))
        return apart(reading.addBoth(self._released, file))

    def _open_and_read(
        self, operation: str, key: str, read: Callable[[OpenFile], T]
    ) -> tuple[OpenFile, T]:
        file = self._store.open_file(operation, key)
        try:
            return file, read(file)
        except BaseException:
            self._store.close_file(file)
            raise

    def _opened(self, found: tuple[OpenFile, T], key: str, generation: int) -> T:
        file, data = found
        self._files.keep(key, file, generation)
        self._files.release(file)
        return data

    def _released(self, result: T, file: OpenFile) -> T:
        self._files.release(file)
        return result

    def _measured(self, result: Space | Failure) -> None:
        self._measuring = False
        asking, self._asking_space = self._asking_space, []
        for answer in asking:
            if isinstance(result, Failure):
                answer.errback(result)
            else:
                answer.callback(result)
