"""What can be done to an array while it runs, and what is told about it.

The conventions of :mod:`raic.interfaces` hold here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen
from twisted.internet.defer import Deferred
from zope.interface import Interface

from raic.values import ArrayEvent

SCRUB, REPAIR, REPLACE, ADD, DRAIN = "scrub", "repair", "replace", "add", "drain"
"""The kinds of operations."""


@frozen
class Operation:
    """Something that is done to an array.

    :ivar kind: ``scrub``, ``repair``, ``replace``, ``add`` or ``drain``.
    :ivar names: of the providers that it is about: for a replacement the old one, then the new
        one; none for a scrub or repair.
    :ivar deep: of a scrub: whether every byte is read.
    """

    kind: str
    names: tuple[str, ...] = ()
    deep: bool = False


@frozen
class Progress:
    """How far an operation is.

    :ivar done: how many objects, for a scrub, else how many fragments.
    :ivar total: of how many, as far as is known now; None when nobody can tell.
    :ivar bytes: how many were read and written so far.
    :ivar text: what is being done, in a few words; may be empty.
    """

    done: int
    total: int | None = None
    bytes: int = 0
    text: str = ""


Follower = Callable[[Progress], None]
"""Is told how far an operation is, whenever that changes, however often that is; never raises."""


@frozen
class MemberStatus:
    """A provider of an array.

    :ivar numbers: of the fragments whose home it is.
    :ivar former: of those that are being moved away from it.
    :ivar state: ``well``, ``slow``, ``failing``, ``away`` when it could not be started yet, or
        ``unknown`` while the node does not run.
    :ivar seconds: about how long it takes to answer; None when that is not known.
    :ivar held: how many fragments are on it, as far as is known; None when it is not.
    :ivar missing: how many of its fragments are noted for repair.
    :ivar problem: what is wrong with it, with the remedy; empty when nothing is.
    """

    name: str
    numbers: tuple[int, ...]
    former: tuple[int, ...] = ()
    state: str = "well"
    seconds: float | None = None
    held: int | None = None
    missing: int = 0
    problem: str = ""


@frozen
class RepairStatus:
    """The repairs of an array.

    :ivar queued: how many fragments are noted for repair.
    :ivar done: how many were repaired since the node started.
    :ivar rate: bytes a second that repairs read and write just now.
    :ivar limit: how many they may; None for any number.
    """

    queued: int
    done: int = 0
    rate: float = 0.0
    limit: int | None = None


@frozen
class ScrubStatus:
    """What is known from scrubs.

    :ivar finished: when the last one ended; None when none ever did.
    :ivar verified: how many objects were ever verified.
    :ivar oldest: of those the earliest time of a last verification; None when there are none.
    """

    finished: int | None
    verified: int
    oldest: int | None


@frozen
class UnderWay:
    """An operation that is under way.

    :ivar began: when it was begun, be it by an earlier process.
    """

    operation: Operation
    progress: Progress
    began: int


@frozen
class ArrayStatus:
    """How an array is doing.

    :ivar members: the providers, in the order of their numbers.
    :ivar objects: how many there are.
    :ivar full: how many of them lack no fragment, as far as is known.
    :ivar degraded: how many lack some, and can bear to lose one more.
    :ivar at_risk: how many have no fragment to spare, or fewer than are needed.
    """

    name: str
    needed: int
    happy: int
    members: tuple[MemberStatus, ...]
    objects: int
    full: int
    degraded: int
    at_risk: int
    repair: RepairStatus
    scrub: ScrubStatus
    under_way: tuple[UnderWay, ...] = ()


@frozen
class Traffic:
    """What an operation asks of one provider.

    :ivar requests: of all kinds.
    :ivar downloaded: bytes that are read from it.
    :ivar uploaded: bytes that are written to it.
    :ivar stored: by how many bytes it holds more afterwards; below 0 for less.
    """

    requests: int = 0
    downloaded: int = 0
    uploaded: int = 0
    stored: int = 0


@frozen
class Estimate:
    """What an operation would take, from what the index knows; nobody was asked.

    :ivar traffic: by the provider's name; those of which nothing is asked may be missing.
    """

    operation: Operation
    objects: int
    fragments: int
    traffic: Mapping[str, Traffic] = field(factory=dict)


@frozen
class Outcome:
    """How an operation ended.

    :ivar objects: how many were looked at.
    :ivar fragments: how many were verified by a scrub, else made or moved.
    :ivar bytes: how many were read and written.
    :ivar missing: how many fragments were found to be gone.
    :ivar altered: how many were found to be altered.
    :ivar left: how many are still to be repaired, or could not be looked at.
    :ivar providers: after a replacement, addition or drain: the names that ``providers`` in the
        array's section of ``raic.cfg`` must have from now on; empty otherwise.
    """

    operation: Operation
    objects: int = 0
    fragments: int = 0
    bytes: int = 0
    missing: int = 0
    altered: int = 0
    left: int = 0
    providers: tuple[str, ...] = ()


class IArrayMaintenance(Interface):
    """The upkeep of a running array.

    Operations go on whoever looks: a caller that cancels its Deferred, or forgets it, stops
    nothing.  One that asks for an operation that is under way follows it, from where it is: its
    ``progress`` is called and its Deferred fires as those of the first caller.  What was begun is
    gone on with when the node is started again, by itself; and every instant of it an object has
    at least as many fragments as before.

    An operation fails with ``ConfigurationError`` when a name cannot be used (no provider of the
    array, or already one of it), with ``OperationRefused`` when it must not be begun (another
    one that moves fragments is under way, or data would be at risk), else with what it met.  The
    beginning and the end of each go into the history.
    """

    def status() -> Deferred[ArrayStatus]:
        """How the array is doing, without asking any provider.

        :return: fires with it; fails with an ``IndexFailure``.
        """

    def plan(operation: Operation) -> Deferred[Estimate]:
        """What an operation would take, without beginning it.

        :return: fires with it; fails as the operation would at once.
        """

    def scrub(deep: bool, progress: Follower) -> Deferred[Outcome]:
        """Look whether all fragments are where they should be; note repairs for those that are
        not.

        :param deep: read them, too, and verify every block.
        """

    def repair(progress: Follower) -> Deferred[Outcome]:
        """Make the fragments that are noted for repair, now, without waiting for their turn.

        :return: fires when all that was noted when it was called was tried.
        """

    def replace(old: str, new: str, progress: Follower) -> Deferred[Outcome]:
        """Have one provider take the place of another.

        :param new: a provider that has none of the array's fragments yet.
        """

    def add(name: str, progress: Follower) -> Deferred[Outcome]:
        """Give a provider a fragment of every object: a new number."""

    def drain(name: str, progress: Follower) -> Deferred[Outcome]:
        """Let a provider go, and its numbers with it, once all objects are whole without it.

        Refused when fewer providers would be left than a write needs.
        """

    def history(limit: int) -> Deferred[tuple[ArrayEvent, ...]]:
        """:return: fires with the newest events first."""
