"""What checks do when something is in their way that they did not foresee."""

from __future__ import annotations

import os
from threading import Event

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.checks import Finding, Level, folder, index, running
from raic.assembly.checks.deadline import TookTooLong, within
from raic.assembly.checks.indexfile import IndexState
from raic.assembly.checks.opened import OpenProvider
from raic.assembly.checks.service import check_clock, check_space, check_uploads
from raic.assembly.checks.space import judge_quota
from raic.assembly.checks.view import ConfiguredNode, ProviderView, Surroundings
from raic.backends.memory import MemoryProvider
from raic.config.loading import load_config
from raic.workers import InlineWorkers
from tests.checks.world import CheckCase
from tests.contracts.driving import reactor


class Unforeseen(CheckCase):
    async def test_a_check_that_breaks_does_not_hide_the_others(self) -> None:
        async def broken(_: ConfiguredNode) -> list[Finding]:
            raise ZeroDivisionError("who would have thought")

        self.patch(running, "NODE_CHECKS", (("network", broken), *running.NODE_CHECKS))
        await self.assert_found("network", Level.ERROR, "ZeroDivisionError: who", "report")
        await self.assert_found("tub.port", Level.OK, "free")

    async def test_a_disk_that_hangs_is_given_up(self) -> None:
        self.seconds = 0.3
        over = Event()
        self.addCleanup(over.set)

        def hang(*_: object) -> None:
            over.wait(30)

        self.patch(folder, "_look", hang)
        await self.assert_found("rights", Level.ERROR, "no answer within 0.3 s", "check the disk")
        self.patch(running, "look_at_index", lambda *_, **__: hang())
        await self.assert_found("index", Level.ERROR, "hangs", "restore")

    async def test_a_disk_with_little_room_is_a_warning(self) -> None:
        self.patch(index, "SCANT_BYTES", 2**70)
        await self.assert_found("disk", Level.WARNING, "free around the index", "free some space")

    async def test_a_directory_that_cannot_be_written_to_is_an_error(self) -> None:
        self.patch(os, "access", lambda *_: False)
        await self.assert_found("disk", Level.ERROR, "cannot be written to", "chown")


class Services(CheckCase):
    """A provider that says little of itself."""

    def opened(self) -> OpenProvider:
        surroundings = Surroundings(reactor, InlineWorkers(), {}, 5.0)
        self.configure(
            "backend = provider:cloud\n",
            "[provider:cloud]\ntype = s3\ncontainer = c\ncredentials = ambient\n",
        )
        config = load_config(self.path)
        (settings,) = config.backend.members
        assert settings.cloud is not None
        state = IndexState(exists=True)
        node = ConfiguredNode(self.path, surroundings, None, config, self.identity, state)
        leaf = MemoryProvider("cloud", capacity=5_000_000)
        return OpenProvider(ProviderView(node, settings, self.identity), settings.cloud, leaf)

    async def test_without_a_clock_nothing_is_said_of_it(self) -> None:
        self.assertEqual(await check_clock(self.opened()), [])
        self.assertEqual(await check_uploads(self.opened()), [])

    async def test_the_room_that_the_service_knows_counts(self) -> None:
        opened = self.opened()
        await opened.leaf.start()
        (found,) = await check_space(opened)
        self.assertEqual(found.level, Level.WARNING)
        self.assertIn("room for 5.0 MB, 0 B used", found.text)


class Quotas(SynchronousTestCase):
    def test_what_is_stored_may_not_be_known(self) -> None:
        self.assertIs(judge_quota(10, None).level, Level.OK)
        self.assertIs(judge_quota(10, 11).level, Level.ERROR)


class Deadlines(SynchronousTestCase):
    def test_an_answer_is_waited_for_until_the_deadline_and_not_beyond(self) -> None:
        clock, late = Clock(), Deferred[int]()
        waiting = within(late, clock, 5.0)
        clock.advance(4.9)
        self.assertNoResult(waiting)
        clock.advance(0.2)
        self.failureResultOf(waiting, TookTooLong)
        late.callback(1)
        in_time = Deferred[int]()
        waiting = within(in_time, clock, 5.0)
        in_time.callback(2)
        self.assertEqual((self.successResultOf(waiting), clock.getDelayedCalls()), (2, []))
