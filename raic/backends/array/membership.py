"""Who an array is made of: its members, which of them have started, and who has which fragments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from raic.backends.array.clearing import clear_members
from raic.backends.array.members import Member, Placement
from raic.backends.array.placing import placement_noted
from raic.backends.array.settings import ArraySettings
from raic.backends.array.starting import Starter
from raic.deferreds import async_to_deferred
from raic.errors import ProviderError
from raic.interfaces import IFragmentLedger

_LOOK_SECONDS = 0.1

MakeMember = Callable[[str], Member]
"""Makes a member, not started, of a provider by its name; raises ``LookupError`` or
``ConfigurationError`` when there is no such provider.
"""


class Membership:
    """Starts and stops members, lets them come and go, and knows which fragments each has.

    :param members: in the order in which fragments are numbered when the array is new.
    :param happy: how many members a write needs.
    :param make_member: for those that have fragments, as the ledger says, and are not among
        ``members``.
    :param forget: called with the name of a member of which nothing is to be believed any more.
    """

    def __init__(
        self,
        name: str,
        members: Sequence[Member],
        happy: int,
        ledger: IFragmentLedger,
        clock: IReactorTime,
        settings: ArraySettings,
        make_member: MakeMember | None,
        forget: Callable[[str], None],
    ) -> None:
        self._name = name
        self._members = tuple(members)
        self._happy = happy
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._make_member = make_member
        self._forget = forget
        self._placement = Placement.initial(members)
        self._starter: Starter | None = None
        self._running = False

    # Who they are

    def members(self) -> tuple[Member, ...]:
        """Those that were started, or are to be."""
        return self._members

    def placement(self) -> Placement:
        """Which members have which fragments."""
        return self._placement

    def place(self, placement: Placement) -> Deferred[None]:
        """Have new fragments go, and all be looked for, where this says.

        :return: fires when it is durable and in force.
        """

        def placed(_: None) -> None:
            self._placement = placement

        return self._ledger.set_placement(placement.rows()).addCallback(placed)

    @async_to_deferred
    async def add(self, member: Member) -> None:
        """Start a provider, and have it be a member from now on; it has no number yet.

        :return: fails as its start does; then it is none.
        """
        if member.name in {each.name for each in self._members}:
            raise ValueError(f"{member.name} is a member already")
        await member.provider.start()
        self._members = (*self._members, member)

    @async_to_deferred
    async def remove(self, name: str) -> None:
        """Stop a member that has no fragments.

        :return: fires when it has stopped; never fails.
        """
        gone = [member for member in self._members if member.name == name]
        self._members = tuple(member for member in self._members if member.name != name)
        self._forget(name)
        if self._starter is not None:
            self._starter.forget(name)
        for member in gone:
            await maybeDeferred(member.provider.stop).addErrback(_ignored)

    # Whether they have started

    @async_to_deferred
    async def start(self, needed: int) -> None:
        """Start them all, those that the ledger names.

        :param needed: how many must stand.
        :return: fires when all have started or failed to, or a little after enough have; those
            that did not are started again in the background.  Fails with a ``ProviderError`` when
            too few did, or an ``IndexFailure``.
        """
        rows = await self._ledger.get_placement()
        if rows:
            self._placement = placement_noted(
                self._name, rows, self._members, self._happy, self._make_member
            )
        else:
            await self._ledger.set_placement(self._placement.rows())
        self._members = self._placement.members()
        starter = Starter(self._name, self._members, needed, self._clock, self._settings)
        self._starter = starter
        await starter.start()
        for member in self._members:
            # What was thought of it while it could not be started says nothing of it now.
            starter.when_it_stands(member.name, partial(self._forget, member.name))
        self._running = True

    def start_no_more(self) -> None:
        """Leave those alone that did not start yet."""
        self._running = False
        if self._starter is not None:
            self._starter.stop()

    def stop(self) -> Deferred[None]:
        """Stop them all; never fails."""
        stopping = [
            maybeDeferred(member.provider.stop).addErrback(_ignored) for member in self._members
        ]
        return gatherResults(stopping).addCallback(lambda _: None)

    def why_not(self, name: str) -> ProviderError | None:
        """Why a member cannot be asked anything yet; None if it can."""
        return None if self._starter is None else self._starter.why_not(name)

    def missing(self) -> dict[str, ProviderError]:
        """Why members could not be started yet, by name."""
        return {} if self._starter is None else self._starter.errors

    @async_to_deferred
    async def wait(self, seconds: float) -> None:
        """Wait until as many stand as a write needs, or can no longer soon.

        For who cannot do with the number that :meth:`start` waits for.

        :param seconds: how long at most; those that failed to start are not waited for.
        :return: never fails.
        """
        until = self._clock.seconds() + seconds
        while self._running and self._clock.seconds() < until:
            missing = self.missing()
            pending = [m for m in self._members if not self._stands(m) and m.name not in missing]
            if not pending or sum(map(self._stands, self._members)) >= self._happy:
                return
            await deferLater(self._clock, _LOOK_SECONDS)

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        """Have all discard what uploads left; those that have not started, when they have.

        To be called once :meth:`start` has fired; see
        :class:`raic.interfaces.IInterruptedUploads`.
        """
        assert self._starter is not None
        return clear_members(self._name, self._members, prefix, self._starter)

    def _stands(self, member: Member) -> bool:
        return self._starter is not None and self._starter.stands(member.name)


def _ignored(_: Failure) -> None:
    """Stopping never fails."""
