"""The layers around providers, alone and in arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from raic.assembly.members import MemberStack, make_member, no_secrets
from raic.backends.tagging import TaggingProvider
from raic.errors import CircuitOpen, ProviderTimedOut
from raic.interfaces import ILocalListing, IWorkers
from tests.config.nodes import node_directory

T = TypeVar("T")


@implementer(IWorkers)
class Disk:
    """Calls of a disk.

    :ivar hangs: whether it does not answer.
    """

    def __init__(self) -> None:
        self.hangs = False

    def run(self, function: Callable[[], T]) -> Deferred[T]:
        return Deferred() if self.hangs else execute(function)

    def stop(self) -> Deferred[None]:
        return succeed(None)


class Folders(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def member(self, *, in_array: bool) -> MemberStack:
        config, identity = node_directory(Path(self.mktemp()).absolute())
        disk = Disk()
        member = make_member(
            config,
            config.provider,
            identity,
            disk,
            no_secrets,
            self.clock,
            None if in_array else partial(TaggingProvider, key=identity.tag_key),
            cached=not in_array,
            used=lambda _: succeed(0),
        )
        self.successResultOf(member.provider.start())
        disk.hangs = True
        return member

    def test_one_in_an_array_that_hangs_is_given_up_and_then_left_alone(self) -> None:
        member = self.member(in_array=True)
        for provider in (member.provider, member.untagged) * 3:
            listing = provider.list_objects("", None)
            self.clock.advance(45)
            last = self.failureResultOf(listing, ProviderTimedOut, CircuitOpen)
        self.assertIs(last.type, CircuitOpen)

    def test_one_in_an_array_still_lists_at_once_what_is_there(self) -> None:
        self.assertTrue(ILocalListing.providedBy(self.member(in_array=True).provider))

    def test_one_alone_is_waited_for(self) -> None:
        listing = self.member(in_array=False).provider.list_objects("", None)
        self.clock.advance(3600)
        self.assertNoResult(listing)
