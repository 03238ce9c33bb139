from __future__ import annotations

import threading
from functools import partial

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from raic.errors import ServiceStopping
from raic.interfaces import IWorkers
from raic.workers import InlineWorkers, ThreadWorkers
from tests.contracts.driving import reactor


def broken() -> int:
    raise OSError("broken")


class InlineWorkersTests(SynchronousTestCase):
    def test_provides_the_interface(self) -> None:
        verifyObject(IWorkers, InlineWorkers())

    def test_a_call_is_answered_at_once(self) -> None:
        thread = self.successResultOf(InlineWorkers().run(threading.get_ident))
        self.assertEqual(thread, threading.get_ident())

    def test_an_exception_becomes_a_failure(self) -> None:
        self.failureResultOf(InlineWorkers().run(broken), OSError)

    def test_stopping_is_done_at_once(self) -> None:
        self.successResultOf(InlineWorkers().stop())


class ThreadWorkersTests(TestCase):
    def setUp(self) -> None:
        self.workers = ThreadWorkers(reactor, 2, "tested")
        self.addCleanup(self.workers.stop)

    def test_provides_the_interface(self) -> None:
        verifyObject(IWorkers, self.workers)

    async def test_a_call_runs_in_another_thread_and_is_answered_in_this_one(self) -> None:
        thread = await self.workers.run(threading.get_ident)
        self.assertNotEqual(thread, threading.get_ident())

    async def test_an_exception_becomes_a_failure(self) -> None:
        await self.assertFailure(self.workers.run(broken), OSError)

    async def test_no_more_threads_than_asked_for(self) -> None:
        both_run = threading.Barrier(2, timeout=10)

        def meet() -> int:
            both_run.wait()
            return threading.get_ident()

        threads = await gatherResults([self.workers.run(meet) for _ in range(6)])
        self.assertEqual(len(set(threads)), 2)

    async def test_stopping_waits_for_the_calls_under_way_and_may_be_repeated(self) -> None:
        begun = threading.Event()
        ended = []

        def work() -> None:
            begun.set()
            ended.append(True)

        running = self.workers.run(work)
        begun.wait(10)
        await self.workers.stop()
        self.assertEqual(ended, [True])
        await self.workers.stop()
        await running

    async def test_a_call_after_the_stop_fails(self) -> None:
        await self.workers.stop()
        await self.assertFailure(self.workers.run(threading.get_ident), ServiceStopping)

    async def test_results_that_are_ready_together_all_arrive(self) -> None:
        answers = await gatherResults([self.workers.run(partial(int, n)) for n in range(500)])
        self.assertEqual(answers, list(range(500)))
