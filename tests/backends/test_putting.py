"""Many small objects are stored by a process of their own, and by this one whenever that fails."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.process import Process
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from raic.backends.filesystem import SMALL_BYTES, FilesystemProvider
from raic.backends.putframes import Answers, Orders, answer, order
from raic.backends.putprocess import CROWD, CROWDED_PUTS, PutProcess, spawner
from raic.deferreds import async_to_deferred
from raic.errors import NoSpace, StorageUnusable
from raic.values import Stored
from raic.workers import ThreadWorkers
from tests.backends.disks import OldDisk, ScriptedDisk
from tests.backends.filesystems import FilesystemTestCase, HeldWorkers
from tests.backends.putting import GAVE_UP, KILLED, FakePutProcess
from tests.contracts.driving import reactor

TEN = b"0123456789"
orders = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1),
        st.text("abc/.-", max_size=20),
        st.binary(max_size=50),
    )
)


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


class FrameTests(SynchronousTestCase):
    """However a pipe cuts them."""

    @given(orders, st.integers(1, 40))
    def test_orders_arrive_as_they_were_given(
        self, given: list[tuple[int, str, bytes]], size: int
    ) -> None:
        stream, reader = b"".join(order(*each) for each in given), Orders()
        self.assertEqual(
            [each for piece in cut(stream, size) for each in reader.feed(piece)], given
        )

    @given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans())), st.integers(1, 12))
    def test_answers_too(self, given: list[tuple[int, bool]], size: int) -> None:
        stream, reader = b"".join(answer(*each) for each in given), Answers()
        self.assertEqual(
            [each for piece in cut(stream, size) for each in reader.feed(piece)], given
        )


def key(number: int) -> str:
    return f"shares/aa/{number}.10"


class CrowdTests(FilesystemTestCase):
    """The workers of this process do nothing before they are told to."""

    def setUp(self) -> None:
        super().setUp()
        self.workers = HeldWorkers()
        self.childs_disk = ScriptedDisk()
        self.process = FakePutProcess(str(self.root), self.childs_disk)
        self.number = 0
        self.started()

    def started(self, **options: Any) -> None:
        self.provider = self.make_provider(
            workers=self.workers, spawn=self.process.spawn, **options
        )
        starting = self.provider.start()
        self.workers.release()
        self.successResultOf(starting)

    def put(self, size: int = 10) -> Deferred[Stored]:  # type: ignore[override]
        self.number += 1
        return self.provider.put_object(key(self.number), bytes(size))

    def crowd(self) -> list[Deferred[Stored]]:
        """As many at once as the process is started for."""
        return [self.put() for _ in range(CROWD - 1 + CROWDED_PUTS)]

    def finish(self, *putting: Deferred[Stored]) -> None:
        self.workers.release()
        for each in putting:
            self.successResultOf(each)

    def test_it_is_started_for_a_crowd_and_not_before(self) -> None:
        for _ in range(CROWDED_PUTS):
            self.finish(*[self.put() for _ in range(CROWD - 1)])
        crowd = self.crowd()
        self.assertEqual(self.process.started, 1)
        # The last one is its first.
        self.assertEqual([each.called for each in crowd], [False] * (len(crowd) - 1) + [True])
        self.successResultOf(self.put())
        self.finish(*crowd)
        self.assertEqual(len([name for name in self.files() if name[0] != ","]), self.number)

    def test_one_alone_and_a_large_one_are_stored_here(self) -> None:
        self.finish(*self.crowd())
        alone = self.put()
        self.assertNoResult(alone)
        large = self.put(SMALL_BYTES + 1)
        self.assertNoResult(large)
        self.successResultOf(self.put(SMALL_BYTES))
        self.finish(alone, large)

    def test_what_it_cannot_do_is_tried_here_which_says_why(self) -> None:
        self.finish(*self.crowd())
        alone = self.put()
        self.childs_disk.fail("fsync", errno.EIO)
        well = self.put()
        self.assertNoResult(well)
        self.workers.release()
        self.assertEqual(self.successResultOf(well), Stored(key(self.number), 10))
        self.successResultOf(alone)
        alone = self.put()
        self.disk.fail("fsync", errno.ENOSPC)
        ill = self.put()
        self.workers.release()
        self.refused(ill, NoSpace)
        self.refused(alone, NoSpace)

    def test_when_it_dies_everything_is_done_here_and_later_it_is_started_again(self) -> None:
        self.finish(*self.crowd())
        alone = self.put()
        self.process.holds = True
        held = [self.put() for _ in range(5)]
        self.process.die(KILLED)
        self.finish(alone, *held)
        self.process.holds = False
        self.finish(*self.crowd())
        self.assertEqual(self.process.started, 2)

    def test_one_that_cannot_come_up_is_not_tried_again(self) -> None:
        self.process.holds = True
        for reason in (KILLED, GAVE_UP, KILLED):
            self.finish(*self.crowd())
            self.process.die(reason)
        self.assertEqual(self.process.started, 2)

    def test_where_none_can_be_started_everything_is_done_here(self) -> None:
        def no_more(root: int, process: PutProcess) -> None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        self.patch(self.process, "spawn", no_more)
        self.started()
        self.finish(*self.crowd())
        self.finish(*self.crowd())
        stopping = self.provider.stop()
        self.workers.release()
        self.successResultOf(stopping)

    def test_there_is_none_where_it_would_leave_files_behind(self) -> None:
        self.started(disk=OldDisk())
        self.finish(*self.crowd())
        self.assertEqual(self.process.started, 0)

    def test_stopping_waits_for_it(self) -> None:
        self.finish(*self.crowd())
        alone = self.put()
        self.process.holds = True
        held = self.put()
        stopping = self.provider.stop()
        self.workers.release()
        self.successResultOf(alone)
        self.assertNoResult(stopping)
        self.process.release()
        self.successResultOf(held)
        self.successResultOf(stopping)
        self.refused(self.put(), StorageUnusable)


class ProcessTests(TestCase):
    """With a real one."""

    timeout = 60

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.spawned: list[PutProcess] = []
        self.over: list[Deferred[None]] = []
        self.provider = FilesystemProvider(
            "attic", self.path, ThreadWorkers(reactor, 8, "test"), reactor, spawn=self.spawn
        )
        self.start = spawner(reactor, "attic", self.path)
        self.number = 0

    def spawn(self, root: int, process: PutProcess) -> None:
        over: Deferred[None] = Deferred()
        ended = process.processEnded

        def tell(reason: Failure) -> None:
            ended(reason)
            over.callback(None)

        self.patch(process, "processEnded", tell)
        self.spawned.append(process)
        self.over.append(over)
        self.start(root, process)

    def put(self) -> Deferred[Stored]:
        self.number += 1
        return self.provider.put_object(key(self.number), TEN)

    @async_to_deferred
    async def _ready(self) -> None:
        while not (self.spawned and self.spawned[-1].ready):
            await gatherResults([self.put() for _ in range(CROWD)])

    def _kill(self) -> None:
        transport: Any = self.spawned[-1].transport
        assert isinstance(transport, Process)
        assert transport.pid is not None
        os.kill(transport.pid, signal.SIGKILL)

    @async_to_deferred
    async def test_objects_are_stored_whatever_becomes_of_it(self) -> None:
        await self.provider.start()
        await self._ready()
        await gatherResults([self.put() for _ in range(300)])
        putting = [self.put() for _ in range(300)]
        self._kill()
        await gatherResults(putting)
        await self._ready()
        self.assertEqual(len(self.spawned), 2)
        await gatherResults([self.put() for _ in range(10)])
        page = await self.provider.list_objects("shares/", None)
        listed = {each.key for each in page.objects}
        while page.next_token is not None:
            page = await self.provider.list_objects("shares/", page.next_token)
            listed |= {each.key for each in page.objects}
        self.assertEqual(listed, {key(number + 1) for number in range(self.number)})
        await self.provider.stop()
        await gatherResults(self.over)
