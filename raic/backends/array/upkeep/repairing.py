"""Making fragments anew that are missing or altered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import Logger

from raic.backends.array.members import Member
from raic.backends.array.upkeep.handling import Handler, trouble
from raic.backends.array.upkeep.pacing import Backoff, sleep
from raic.deferreds import async_to_deferred
from raic.errors import IndexStopped, ObjectCorrupt, ObjectNotFound, OutcomeUnknown, ProviderError
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, new_attempt, parse_fragment_key
from raic.values import ArrayEvent, FragmentState, Garbage

PAGE = 200
"""How many repairs are looked at together."""

WIDTH = 2
"""How many fragments are made at a time."""

_IDLE_SECONDS = 2.0
_MEMBER_SECONDS = (1.0, 10.0)
_REFUSAL_SECONDS = (30.0, 900.0)
_OBJECT_SECONDS = (5.0, 3600.0)
_REMEMBERED = 10_000

Tell = Callable[[], None]


async def in_parallel(
    do: Callable[[str], Awaitable[None]], items: Sequence[str], width: int = WIDTH
) -> None:
    """Do something with all items, a few at a time; ``do`` must not fail but at the very end."""
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await do(item)

    working = [Deferred.fromCoroutine(work()) for _ in range(min(width, len(items)))]
    await gatherResults(working, consumeErrors=True).addErrback(_first)


def _first(failure: object) -> object:
    """The first error itself, not how ``gatherResults`` wraps it."""
    inner = getattr(getattr(failure, "value", None), "subFailure", None)
    return failure if inner is None else inner


class Repairer:
    """Works off the repairs that the ledger notes.

    :ivar done: how many fragments were repaired.
    :ivar lost: objects, at most some, of which fewer than the needed fragments can be read.
    """

    _log = Logger()

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._array = handler.array
        self._ledger = handler.ledger
        self._members = Backoff(handler.clock, handler.random, *_MEMBER_SECONDS)
        self._refusals = Backoff(handler.clock, handler.random, *_REFUSAL_SECONDS)
        self._objects = Backoff(handler.clock, handler.random, *_OBJECT_SECONDS)
        self._seen: dict[str, float] = {}
        self._busy: dict[str, list[Deferred[None]]] = {}
        self._running: Deferred[None] | None = None
        self._told = 0
        self.done = 0
        self.lost: set[str] = set()

    def start(self) -> None:
        """Repair from now on."""
        self._running = self._run()

    def stop(self) -> None:
        """Repair no more; what was begun is found again."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    @async_to_deferred
    async def _run(self) -> None:
        after = ""
        try:
            while True:
                try:
                    tried, after = await self._round(after)
                except CancelledError:
                    raise
                except IndexStopped:
                    return
                except Exception:  # noqa: BLE001 - repairs must go on whatever happens
                    self._log.failure("repairs pause for a moment")
                    tried = False
                if not tried:
                    await sleep(self._handler.clock, _IDLE_SECONDS)
        except CancelledError:
            return

    async def _round(self, after: str) -> tuple[bool, str]:
        """Look at some repairs.

        :return: whether any was tried, and after which to go on.
        """
        page = await self._ledger.next_repairs(PAGE, after)
        if not page:
            if not after:
                await self._tell_end()
            return False, ""
        ready = [text for text in page if self._is_ready(text)]
        before = self.done
        await in_parallel(self._try_in_turn, ready)
        return self.done > before, page[-1]

    async def repair_all(self, told: Tell) -> tuple[int, int]:
        """Try all that is noted now, whatever failed before.

        :return: how many were repaired, and how many could not be.
        """
        after, done, left = "", 0, 0
        while True:
            page = await self._ledger.next_repairs(PAGE, after)
            if not page:
                return done, left

            async def one(text: str) -> None:
                nonlocal done, left
                if await self.attempt(text):
                    done += 1
                else:
                    left += 1
                told()

            await in_parallel(one, page)
            after = page[-1]

    async def _tell_end(self) -> None:
        if self.done > self._told:
            count, self._told = self.done - self._told, self.done
            now = self._handler.now()
            await self._ledger.add_event(
                ArrayEvent(now, "repair", f"{count} fragments were repaired; none is left to be")
            )

    def _is_ready(self, text: str) -> bool:
        key = parse_fragment_key(text)
        if key is None or key.number not in self._array.placement().lasting():
            return True  # has to be dropped
        home = self._array.placement().home(key.number)
        return (
            self._members.is_ready(home.name)
            and self._refusals.is_ready(home.name)
            and self._objects.is_ready(key.object_key)
            and not self._is_coming(text, home)
        )

    def _is_coming(self, text: str, home: Member) -> bool:
        """Whether a fragment may still be on its way from when its object was written."""
        now = self._handler.clock.seconds()
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        waited = now - self._seen.setdefault(text, now)
        return self._array.is_awaited(home.name) and waited < self._array.settings.settle_seconds

    async def _try_in_turn(self, text: str) -> None:
        if self._is_ready(text):
            clock = self._handler.clock
            began = clock.seconds()
            await self.attempt(text)
            turn = self._handler.pace.turn(clock.seconds() - began)
            if turn is not None:
                await turn

    async def attempt(self, text: str) -> bool:
        """Repair one fragment; waits for who does so already.

        :return: whether it needs no repair any more.
        """
        while text in self._busy:
            ended: Deferred[None] = Deferred()
            self._busy[text].append(ended)
            await ended
        try:
            await self.make_good(text)
        except ProviderError:
            return False
        return True

    async def make_good(self, text: str) -> None:
        """Repair one fragment, unless that is being done already.

        Raises what is in the way, having noted it.
        """
        key = parse_fragment_key(text)
        if key is None or text in self._busy:
            return
        self._busy[text] = []
        try:
            await self._repair(text, key)
        except ProviderError as error:
            self._note_trouble(key, error)
            raise
        finally:
            for ended in self._busy.pop(text):
                ended.callback(None)
        self._seen.pop(text, None)
        self._objects.succeeded(key.object_key)
        self.lost.discard(key.object_key)

    async def _repair(self, text: str, key: FragmentKey) -> None:
        placement = self._array.placement()
        if key.number not in placement.lasting():
            await self._ledger.settle(text)
            return
        state = await self._ledger.lookup(key.object_key)
        counting = state.attempts.get(key.number, FIRST_ATTEMPT)
        if key.number not in state.missing or key.attempt != counting:
            return
        home = placement.home(key.number)
        if await self._is_there(key, home) or await self._was_there(key):
            await self.settle(text)
        else:
            await self._replace(key, home, state)
        self._members.succeeded(home.name)
        self._refusals.succeeded(home.name)
        self.done += 1

    async def _is_there(self, key: FragmentKey, member: Member) -> bool:
        """Whether a member has a fragment, every block of which is right.

        Its ends alone would not do: it may have been noted because something between is altered.
        """
        try:
            if not await self._handler.look(key, member):
                return False
            await self._handler.verify(key, member)
        except (ObjectCorrupt, ObjectNotFound):
            return False
        return True

    async def _was_there(self, key: FragmentKey) -> bool:
        """Whether it is where it is being moved from."""
        also = self._array.placement().also(key.number)
        if also is None:
            return False
        try:
            return await self._is_there(key, also)
        except ProviderError:
            return False

    async def settle(self, text: str) -> None:
        """A fragment is where it should be; if nobody wants it any more it is garbage."""
        if not await self._ledger.settle(text):
            await self._ledger.release([Garbage(text, self._later())])

    async def _replace(self, key: FragmentKey, home: Member, state: FragmentState) -> None:
        new = key.sibling(key.number, new_attempt())
        await self._ledger.begin_attempt(str(new))
        try:
            await self._handler.make(new, home, state)
        except Exception as error:
            passes = 2 if isinstance(error, OutcomeUnknown) else 1
            await self._ledger.release([Garbage(str(new), self._later(), passes)])
            raise
        await self._ledger.commit_attempt(str(new), str(key), self._later())

    def _later(self) -> int:
        return self._handler.now() + int(self._array.settings.request_seconds)

    def _note_trouble(self, key: FragmentKey, error: ProviderError) -> None:
        found = trouble(error, self._array.name)
        if found.member is not None:
            self._note_member(found.member, error)
            return
        self._objects.failed(key.object_key)
        if found.lasting and key.object_key not in self.lost and len(self.lost) < _REMEMBERED:
            self.lost.add(key.object_key)
            self._log.error(
                "{array}: {object} has fewer than {needed} good fragments and cannot be repaired:"
                " {error}; bring back a provider that has some, or have the clients that stored"
                " it repair it",
                array=self._array.name,
                object=key.object_key,
                needed=key.needed,
                error=error,
            )

    def _note_member(self, name: str, error: ProviderError) -> None:
        if error.temporary or name in self._array.membership.missing():
            self._members.failed(name)
        elif self._refusals.failed(name):
            self._log.warn(
                "{array}: {member} cannot be given the fragments that it lacks: {error}; {remedy}",
                array=self._array.name,
                member=name,
                error=error,
                remedy=error.remedy,
            )
