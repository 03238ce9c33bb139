"""Starting a cloud and claiming its prefix, without making clients wait for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from raic.assembly.awaited import AwaitedProvider
from raic.deferreds import async_to_deferred
from raic.errors import OutcomeUnknown, PrefixOwned, ProviderError, ProviderUnreachable
from raic.shares.ownership import Ownership

PATIENCE_SECONDS = 5.0
"""How long a start waits for a cloud, before it goes on without."""

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
"""Between two attempts to start a cloud; doubled from the first."""

REMINDER_SECONDS = 600.0
"""How often it is said again that a cloud is still away, and why."""


def may_pass(error: BaseException) -> bool:
    """Whether a start need not fail because of this: it may be over without anyone's doing."""
    if isinstance(error, OutcomeUnknown):
        return True
    return isinstance(error, ProviderError) and error.temporary


class Attachment:
    """Starts a provider and claims the prefix, at once or as soon as that can be done.

    :param on_started: called once, when the provider was started; what it returns never fails.
    """

    _log = Logger()

    def __init__(
        self,
        provider: AwaitedProvider,
        ownership: Ownership,
        clock: IReactorTime,
        on_started: Callable[[], Deferred[None]],
    ) -> None:
        self._provider = provider
        self._ownership = ownership
        self._clock = clock
        self._on_started = on_started
        self._asked: Deferred[bool] | None = None
        self._attaching: Deferred[None] | None = None
        self._patience: IDelayedCall | None = None
        self._pause: Deferred[None] | None = None
        self._stopped = False
        self._told: tuple[type[BaseException], float] | None = None

    def begin(self) -> Deferred[bool]:
        """Try, and go on trying in the background.

        :return: fires within a few seconds: with True when the prefix was claimed, with False
            when that is left to the background.  Fails with an error that will not pass by
            itself, if one comes to light by then; nothing goes on then.  What comes to light
            later is logged, again and again while it lasts.
        """
        asked: Deferred[bool] = Deferred()
        self._asked = asked
        self._patience = self._clock.callLater(PATIENCE_SECONDS, self._lose_patience)
        self._attaching = self._attach()
        return asked

    def hurry(self) -> None:
        """Try now to start the provider, if the next attempt is waited for."""
        if self._pause is not None:
            self._pause.cancel()

    def stop(self) -> None:
        """Try no more."""
        self._stopped = True
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if self._attaching is not None:
            self._attaching.cancel()

    @async_to_deferred
    async def _attach(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not await self._succeeds(self._provider.start):
            await self._wait(pause)
            if self._stopped:
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        if self._told is not None:
            self._log.debug("{name} answers now; reads are served", name=self._provider.name)
        started = self._on_started()
        claimed = await self._succeeds(self._ownership.claim)
        if not self._stopped:
            self._ownership.watch()
            await started
            self._answer(claimed)

    async def _succeeds(self, step: Callable[[], Deferred[None]]) -> bool:
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node goes on or says so
            self._note(error)
            return False
        return not self._stopped

    async def _wait(self, seconds: float) -> None:
        """Return after this time, or at once when hurried or stopped."""
        if self._stopped:
            return
        self._pause = deferLater(self._clock, seconds)
        with suppress(CancelledError):
            await self._pause
        self._pause = None

    def _note(self, error: Exception) -> None:
        """Go on without what failed, or end the attempts."""
        if self._stopped:
            return
        if self._asked is not None and not may_pass(error):
            self._stopped = True
            self._answer(error)
            return
        if not isinstance(error, PrefixOwned):  # which the ownership itself will tell
            self._tell(error)
        self._answer(False)

    def _lose_patience(self) -> None:
        detail = f"no answer within {PATIENCE_SECONDS:.0f} s"
        self._note(ProviderUnreachable(self._provider.name, "start", detail))

    def _answer(self, answer: bool | Exception) -> None:
        asked, self._asked = self._asked, None
        if asked is None:
            return
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if isinstance(answer, bool):
            asked.callback(answer)
        else:
            asked.errback(answer)

    def _tell(self, error: Exception) -> None:
        now, kind = self._clock.seconds(), type(error)
        if self._told is not None:
            told, when = self._told
            if told is kind and now - when < REMINDER_SECONDS:
                return
        self._told = (kind, now)
        self._log.warn(
            "{error}; the node takes no shares until this is over, and serves what it can;"
            " {remedy}",
            error=error,
            remedy=getattr(error, "remedy", ""),
        )
