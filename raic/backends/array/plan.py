"""What a write to an array has in common with any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from raic.backends.array.acknowledging import Acknowledgement, Waiting
from raic.backends.array.code import HEADER_BYTES, Code
from raic.backends.array.encoding import FragmentEncoder
from raic.backends.array.lane import MAX_WRITE_BYTES
from raic.backends.array.leftovers import Leftovers
from raic.backends.array.lengths import Lengths, Shape
from raic.backends.array.members import Member, Placement
from raic.backends.array.settings import ArraySettings
from raic.backends.array.stragglers import Stragglers
from raic.backends.array.unwritten import too_few
from raic.backends.tags import TAG_BYTES
from raic.errors import KeyTaken, OutcomeUnknown, ProviderError, QueueTooLong
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from raic.values import Stored


@frozen
class WriteTools:
    """What all writes of an array share.

    :ivar placement: asked for the present one.
    """

    name: str
    code: Code
    happy: int
    array_key: bytes
    placement: Callable[[], Placement]
    clock: IReactorTime
    settings: ArraySettings
    lengths: Lengths
    stragglers: Stragglers
    leftovers: Leftovers


class WritePlan:
    """Which fragments of a new object go where, and what became of them.

    :ivar homes: the member of each fragment, by number.
    :ivar keys: each fragment's key, by number.
    """

    def __init__(self, tools: WriteTools, object_key: str, size: int) -> None:
        self._tools = tools
        self.object_key = object_key
        self.size = size
        self._shape = Shape(tools.code, size)
        placement = tools.placement()
        self.homes: Mapping[int, Member] = {n: placement.home(n) for n in placement.lasting()}
        self._fragments = {n: self._shape.key(object_key, n, FIRST_ATTEMPT) for n in self.homes}
        self.keys = {number: str(key) for number, key in self._fragments.items()}
        self.fragment_size = tools.code.fragment_size(size)
        self._acknowledged: float | None = None

    @property
    def spare(self) -> int:
        """How many members may fail."""
        return len(self.homes) - self._tools.happy

    def encoder(self) -> FragmentEncoder:
        """What makes the fragments' bytes."""
        fragments: dict[int, FragmentKey] = self._fragments
        return FragmentEncoder(self._tools.code, self.size, self._tools.array_key, fragments)

    def refusal(self, number: int, operation: str) -> ProviderError | None:
        """Why a member is not to be asked at all, if it is not."""
        member = self.homes[number].name
        if not self._tools.stragglers.is_behind(member):
            return None
        detail = "too much is still on its way from earlier writes"
        return QueueTooLong(member, operation, detail)

    def acknowledgement(
        self, hopeless: Callable[[], None], late: Callable[[int, bool], None]
    ) -> Acknowledgement:
        """What waits for the members."""
        settings = self._tools.settings
        waiting = Waiting(settings.least_grace, settings.straggler_seconds, settings.write_seconds)
        clock = self._tools.clock
        return Acknowledgement(self.homes.keys(), self._tools.happy, clock, waiting, hopeless, late)

    def stored(self, acknowledgement: Acknowledgement) -> Stored:
        """The answer to a write that enough members did; the others go on."""
        tools = self._tools
        self._acknowledged = tools.clock.seconds()
        tools.leftovers.show(self.object_key)
        tools.lengths.note(self.object_key, self._shape)
        for number in acknowledgement.pending:
            tools.stragglers.expect(self.homes[number].name, self.fragment_size)
        missing = [key for number, key in self.keys.items() if number not in acknowledgement.done]
        return Stored(self.object_key, self.size, tuple(missing))

    def late(self, number: int, done: bool) -> None:
        """One that was no longer waited for has ended."""
        if self._acknowledged is None:
            if done:
                self.discard([number])
            return
        self._tools.stragglers.ended(self.homes[number].name, self.fragment_size)
        if done:
            self._tools.stragglers.settle(self.keys[number], self._acknowledged)

    def discard(self, numbers: list[int]) -> object:
        """Delete what is there of some fragments: the object never came to be.

        :return: a Deferred that fires when that is done.
        """
        fragments = [(self.homes[number], self.keys[number]) for number in numbers]
        return self._tools.leftovers.discard(self.object_key, fragments)

    def failure(self, operation: str, acknowledgement: Acknowledgement) -> ProviderError:
        """Why too few members have stored the object; what they have is deleted."""
        errors = dict(acknowledgement.errors)
        for number in acknowledgement.pending:
            detail = "no answer in time"
            errors[number] = OutcomeUnknown(self.homes[number].name, operation, detail)
        if any(isinstance(error, OutcomeUnknown) for error in errors.values()):
            self._tools.leftovers.hide(self.object_key)  # until its caller has deleted it
        # When the key names another object, what seems to be done may be part of that one.
        if not any(isinstance(error, KeyTaken) for error in errors.values()):
            self.discard(sorted(acknowledgement.done))
        return self.error(operation, errors)

    def error(self, operation: str, errors: Mapping[int, ProviderError]) -> ProviderError:
        """What is said of a write that failed.

        :param errors: by number, what each member said.
        """
        happy, total = self._tools.happy, len(self.homes)
        what = f"{self.object_key}: fewer than {happy} of {total} providers took it"
        named = {self.homes[number].name: error for number, error in errors.items()}
        return too_few(self._tools.name, operation, what, named, self.spare)


def buffer_size(code: Code, placement: Placement, settings: ArraySettings, size: int) -> int:
    """How many bytes of memory an upload of ``size`` bytes holds at most.

    A stripe that is not complete, and for each member what waits for it, twice what one write of
    the caller adds to that, and what the member itself holds.
    """
    fragment = code.fragment_size(size)
    piece = MAX_WRITE_BYTES // code.needed + 2 * (code.block_size + TAG_BYTES) + HEADER_BYTES
    lane = min(2 * fragment, settings.lane_buffer + 2 * piece)
    inside = sum(placement.home(n).provider.buffer_size(fragment) for n in placement.numbers())
    return min(size, code.stripe_size) + lane * len(placement.numbers()) + inside
