"""Requests are counted for the operation whose thread sends them."""

from __future__ import annotations

from threading import Barrier, Thread

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.counting import RequestCounter, count_request


class CountingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counter = RequestCounter()

    def test_a_request_outside_of_any_operation_is_nobodys(self) -> None:
        with self.counter.during("put_object"):
            pass
        count_request()
        self.assertEqual(self.counter.counts(), {})

    def test_an_operation_within_another_has_its_own(self) -> None:
        with self.counter.during("start"):
            count_request()
            with self.counter.during("get_object"):
                count_request()
                count_request()
            count_request()
        self.assertEqual(self.counter.counts(), {"start": 2, "get_object": 2})

    def test_providers_do_not_mix(self) -> None:
        other = RequestCounter()
        with self.counter.during("start"), other.during("start"):
            count_request()
        self.assertEqual((self.counter.counts(), other.counts()), ({}, {"start": 1}))

    def test_an_operation_that_fails_is_over(self) -> None:
        def fail() -> None:
            with self.counter.during("start"):
                raise OSError

        self.assertRaises(OSError, fail)
        count_request()
        self.assertEqual(self.counter.counts(), {})

    def test_threads_neither_mix_nor_lose_any(self) -> None:
        together = Barrier(4)

        def ask(operation: str, times: int) -> None:
            together.wait()
            with self.counter.during(operation):
                for _ in range(times):
                    count_request()

        asked = {"get_object": 5000, "put_object": 7000, "list_objects": 3000, "finish": 1}
        threads = [Thread(target=ask, args=each) for each in asked.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.counter.counts(), asked)
