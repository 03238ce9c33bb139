"""Who may work at an upload's fragments, and when."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.turns import LONGEST_SECONDS, Turns
from raic.backends.filesystem import FilesystemProvider
from raic.interfaces import IStorageProvider
from raic.workers import InlineWorkers
from tests.backends.array.arrays import Rig
from tests.backends.filesystems import HeldWorkers

KEY = "shares/aa/one"
DATA = bytes(range(250)) * 400


class Worker:
    """Takes a turn whenever it may, until nothing is left to do."""

    def __init__(self, turns: Turns, waiting_bytes: int) -> None:
        self.waiting_bytes = waiting_bytes
        self.held: list[object] = []
        self._turns = turns

    def go_on(self) -> None:
        while self.waiting_bytes and (turn := self._turns.take(self)) is not None:
            self.waiting_bytes -= 1
            self.held.append(turn)

    def end(self) -> None:
        self._turns.give_back(self.held.pop(), self)


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self.clock, 2)

    def workers(self, *amounts: int) -> list[Worker]:
        return [Worker(self.turns, amount) for amount in amounts]

    def held(self, workers: list[Worker]) -> list[int]:
        return [len(worker.held) for worker in workers]

    def test_who_has_most_to_do_comes_first(self) -> None:
        workers = self.workers(3, 3, 1, 5)
        for worker in workers:
            worker.go_on()
        self.assertEqual(self.held(workers), [2, 0, 0, 0])
        workers[0].end()
        self.assertEqual(self.held(workers), [1, 0, 0, 1])
        workers[0].end()
        self.assertEqual(self.held(workers), [0, 0, 0, 2])

    def test_who_gives_a_turn_back_may_have_it_again(self) -> None:
        (worker,) = self.workers(2)
        worker.go_on()
        worker.end()
        worker.end()
        self.assertEqual(worker.held, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_waits_for_a_turn_that_lasts(self) -> None:
        workers = self.workers(2, 1)
        for worker in workers:
            worker.go_on()
        self.clock.advance(LONGEST_SECONDS / 2)
        self.assertEqual(self.held(workers), [2, 0])
        self.clock.advance(LONGEST_SECONDS / 2)
        self.assertEqual(self.held(workers), [2, 1])
        workers[1].waiting_bytes = 3
        # What ends at last makes no room a second time.
        workers[0].end()
        workers[1].go_on()
        self.assertEqual(self.held(workers), [1, 2])
        self.clock.advance(LONGEST_SECONDS)
        self.assertEqual(self.held(workers), [1, 4])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HungFolderTests(SynchronousTestCase):
    """An array of folders, some of which hang."""

    def test_others_are_written_while_one_hangs(self) -> None:
        hung = HeldWorkers()

        def folder(name: str) -> IStorageProvider:
            workers = hung if name == "b2" else InlineWorkers()
            return FilesystemProvider(name, self.mktemp(), workers, Clock(), fsync=False)

        rig = Rig(happy=2, make=folder)
        for member in rig.members:
            member.provider = rig.inner[member.name]
        starting = rig.array.start()
        hung.release()
        self.successResultOf(starting)
        rig.ledger.reserve([KEY])
        upload = rig.array.open_upload(KEY, len(DATA))
        for at in range(0, len(DATA), 1000):
            self.successResultOf(upload.write(DATA[at : at + 1000]))
        finishing = upload.finish()
        rig.clock.pump([0.05] * 10)
        stored = self.successResultOf(finishing)
        self.assertEqual(len(stored.missing), 1)
        read = rig.array.get_object(KEY, 0, len(DATA))
        self.assertEqual(self.successResultOf(read), DATA)
        while hung.held:
            hung.release()
        self.assertEqual(rig.inner["b2"].read_now(stored.missing[0], 0, 8), None)
