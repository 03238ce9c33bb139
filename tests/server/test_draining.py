"""A node that is being stopped, and uploads under way."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from raic.server.draining import IDLE_SECONDS, LOOK_SECONDS
from tests.server.services import ServiceTestCase
from tests.shares.stores import INDEX_A, INDEX_B

LIMIT = 300.0


class DrainingTests(ServiceTestCase):
    def pass_time(self, seconds: float) -> None:
        self.clock.pump([LOOK_SECONDS] * int(seconds / LOOK_SECONDS))

    def test_without_uploads_there_is_nothing_to_wait_for(self) -> None:
        self.successResultOf(self.service.finish_uploads(LIMIT))

    def test_an_upload_that_goes_on_is_finished_and_then_waited_for_no_longer(self) -> None:
        upload = self.allocate(INDEX_A, {0}, 10)[1][0]
        waiting = self.service.finish_uploads(LIMIT)
        for offset in range(5):
            self.pass_time(IDLE_SECONDS / 2)
            self.successResultOf(upload.write(offset, b"x"))
            self.assertNoResult(waiting)
        self.successResultOf(upload.write(5, b"x" * 5))
        self.successResultOf(upload.close())
        self.assertNoResult(waiting)  # the answer to the last write goes out meanwhile
        self.pass_time(3 * LOOK_SECONDS)
        self.successResultOf(waiting)
        self.assertIn(0, self.successResultOf(self.service.list_shares(INDEX_A)))

    def test_no_upload_begins_but_one_that_has_begun_can_be_asked_for_again(self) -> None:
        self.allocate(INDEX_A, {0}, 10)
        self.service.finish_uploads(LIMIT).addErrback(lambda _: None)
        self.assertEqual(self.service.get_sizes().maximum_immutable_share_size, 0)
        for size in (0, 10):
            self.assertEqual(self.allocate(INDEX_B, {0}, size)[1], {})
        self.assertEqual(set(self.allocate(INDEX_A, {0, 1}, 10)[1]), {0})

    def test_the_limit_ends_the_wait(self) -> None:
        self.allocate(INDEX_A, {0}, 10)
        waiting = self.service.finish_uploads(5)
        self.pass_time(4)
        self.assertNoResult(waiting)
        self.pass_time(1 + LOOK_SECONDS)
        self.successResultOf(waiting)

    def test_a_limit_of_nothing_waits_for_nothing(self) -> None:
        self.allocate(INDEX_A, {0}, 10)
        self.successResultOf(self.service.finish_uploads(0))

    def test_a_client_that_is_gone_is_not_waited_for(self) -> None:
        self.allocate(INDEX_A, {0}, 10)
        waiting = self.service.finish_uploads(LIMIT)
        self.pass_time(IDLE_SECONDS - 1)
        self.assertNoResult(waiting)
        self.pass_time(2)
        self.successResultOf(waiting)

    def test_the_wait_can_be_cut_short(self) -> None:
        self.allocate(INDEX_A, {0}, 10)
        waiting = self.service.finish_uploads(LIMIT)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
