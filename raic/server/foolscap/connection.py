"""A Foolscap connection whose use of memory is bounded.

Foolscap itself reads whatever a peer sends and queues whatever the peer asks for.  Here, on every
connection:

- a message has at most as many bytes and parts as the node allows, and next to none before the
  peer has named an object it may use; bytes beyond a small allowance come out of the node's
  memory budget until the message is answered;
- reading stops while too many bytes wait to be dealt with, so that a peer which does not wait for
  its answers is slowed down by TCP;
- nothing more is begun while the peer does not read its answers; these stay in the node's budget
  until they are sent, and a peer that reads nothing for long is dropped.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from foolscap.banana import b1282int, int2b128
from foolscap.broker import Broker
from foolscap.eventual import eventually
from foolscap.tokens import STRING, Violation
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from raic.budget import MemoryBudget
from raic.errors import ServiceBusy
from raic.server.foolscap.callers import Callers

BARE_BYTES = 4 * 1024 * 1024
"""How much longer a message may be than the share data in it."""

STRANGER_BYTES = 64 * 1024
"""The longest message from a peer that has not named an object yet."""

FREE_BYTES = 2 * 1024 * 1024
"""How much of a message does not count against the budget; an upload sends 1,000,000 at a time."""

STEP_BYTES = 1024 * 1024
"""How much is taken from the budget at a time while a longer message arrives."""

MAX_PARTS = 100_000
"""How many lists, tuples and the like a message may have."""

IN_FLIGHT_BYTES = 16 * 1024 * 1024
"""Reading stops while more bytes than these wait for their answers."""

SMALL_MESSAGE = 64 * 1024
"""A longer message that has not arrived yet brings data."""

QUESTIONS = frozenset({"get_version", "allocate_buckets", "get_buckets", "add_lease"})
"""Calls that a client which looks for a server makes to all: after them it may want nothing."""

MAX_CALLS = 64
"""How many calls are dealt with at once, and as many again may wait."""

SMALL_ANSWER = 64 * 1024
"""Answers up to this size do not count against the budget."""

HANG_UP_SECONDS = 5.0
"""How long a peer may take to agree that the connection ends."""

STALL_SECONDS = 300.0
"""How long a peer may leave its answers unread."""

MAX_REFERENCES = 10_000
"""How many objects of the peer's are remembered."""

MAX_NAME = 4096
"""The longest name and address of one."""

MAX_ERROR = 250
"""How many characters of what is wrong with a message its sender is told."""

MAX_BEGIN = 65
"""The longest beginning of a token: a length or a number, and its kind."""

READ_BYTES = 256 * 1024
"""How much is read from the socket at a time: four times Twisted's own, and a tenth quicker."""


@frozen
class ConnectionLimits:
    """What the connections of a node share.

    :ivar budget: the node's memory budget.
    :ivar max_message: the most bytes of share data in one message.
    :ivar callers: is told whose call is being made.
    """

    budget: MemoryBudget
    clock: IReactorTime
    max_message: int
    callers: Callers = field(factory=Callers)


def answer_bytes(answer: object) -> int:
    """About how many bytes of share data an answer has."""
    if isinstance(answer, bytes):
        return len(answer)
    if isinstance(answer, dict):
        return sum(answer_bytes(each) for each in answer.values())
    if isinstance(answer, tuple | list):
        return sum(answer_bytes(each) for each in answer)
    return 0


@implementer(IPushProducer)
class BoundedBroker(Broker):
    """One connection; ``Tub.brokerClass`` makes them."""

    _log = Logger()
    transport: Any  # TCP with TLS, or a loopback that has no flow control
    tub: Any

    def __init__(self, limits: ConnectionLimits, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._known = False
        self._message = 0  # bytes of the message that is arriving
        self._held = 0  # of these, taken from the budget
        self._missing = 0  # bytes of the string that is arriving
        self._parts_before = 0
        self._in_flight = 0
        self._executing = 0
        self._unsent = 0  # bytes of answers in the transport's buffer, taken from the budget
        self._stall: IDelayedCall | None = None
        self._hang_up: IDelayedCall | None = None
        self._reading = True
        self._producing = False
        self._uploads = 0
        self._active_at = limits.clock.seconds()

    # The connection itself

    def connectionMade(self) -> None:
        """Ask the transport to say when the peer does not read."""
        super().connectionMade()
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            self.transport.registerProducer(self, True)
            self.transport.bufferSize = READ_BYTES
            self._producing = True

    def shutdown(self, why: Failure, fireDisconnectWatchers: bool = True) -> None:
        """End the connection, also if the peer says nothing any more."""
        super().shutdown(why, fireDisconnectWatchers)
        if self._hang_up is None and ITCPTransport.providedBy(self.transport):
            self._hang_up = self._limits.clock.callLater(
                HANG_UP_SECONDS, self.transport.abortConnection
            )

    def finish(self, why: Failure) -> None:
        """Let go of the connection, and of what waits to be dealt with."""
        self._stop_producing()
        super().finish(why)

    def sendError(self, msg: str) -> None:
        """Tell the peer of a broken message, and hang up."""
        self._stop_producing()
        super().sendError(msg[:MAX_ERROR])  # Foolscap's own way to shorten it raises

    def handleError(self, msg: bytes) -> None:
        """The peer tells of a broken message: hang up."""
        self._stop_producing()
        super().handleError(msg)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give back the memory of what was not dealt with."""
        self._producing = False
        super().connectionLost(reason)
        self._sent()
        if self._hang_up is not None and self._hang_up.active():
            self._hang_up.cancel()
        self._limits.budget.give_back(self._held)
        self._held = 0
        queue, self.inboundDeliveryQueue = self.inboundDeliveryQueue, []
        for delivery, _ in queue:
            self._settle(delivery)

    def reportReceiveError(self, failure: Failure) -> None:
        """Drop a peer whose bytes are no message: its fault, so nothing to report as a bug."""
        self.disconnectReason = failure
        self._drop("what it sent is no message")

    def _stop_producing(self) -> None:
        # A transport with a producer is never done sending, and would never hang up.
        if self._producing:
            self._producing = False
            self.transport.unregisterProducer()
            if self._stall is not None:
                self.transport.abortConnection()

    def _drop(self, reason: str) -> None:
        self._log.warn(
            "dropped the Foolscap connection to {peer}: {reason}",
            peer=self.transport.getPeer(),
            reason=reason,
        )
        self.connectionAbandoned = True
        self.transport.abortConnection()

    # As the client that calls

    def is_connected(self) -> bool:
        """See :class:`raic.server.foolscap.callers.Caller`."""
        return not self.disconnected

    def quiet_seconds(self) -> float:
        """See :class:`raic.server.foolscap.callers.Caller`."""
        if self._executing or self.inboundDeliveryQueue or self._unsent or self._uploads:
            return 0.0
        if self._message > SMALL_MESSAGE:
            return 0.0
        return self._limits.clock.seconds() - self._active_at

    def hang_up(self) -> None:
        """See :class:`raic.server.foolscap.callers.Caller`."""
        self.shutdown(Failure(connectionDone.value))

    def begin_uploads(self, count: int) -> None:
        """See :class:`raic.server.foolscap.callers.Caller`."""
        self._uploads += count

    def end_upload(self) -> None:
        """See :class:`raic.server.foolscap.callers.Caller`."""
        self._uploads -= 1
        self._active_at = self._limits.clock.seconds()

    # Messages that arrive

    def remote_getReferenceByName(self, name: bytes) -> Any:
        """Look up an object by its secret name: who knows one may send longer messages."""
        found = super().remote_getReferenceByName(name)
        self._known = True
        return found

    def dataReceived(self, chunk: bytes) -> None:
        """Take in a piece of a message, unless the message has become too large."""
        if self.connectionAbandoned:
            return
        self._message += len(chunk)
        super().dataReceived(chunk)
        self._bound()

    def handleData(self, chunk: bytes) -> None:
        """Look for tokens in what has arrived; in a string, not before all of it is there.

        TLS brings 16 KiB at a time, and Foolscap would begin anew with each.
        """
        if len(chunk) < self._missing:
            self._missing -= len(chunk)
            self.buffer.append(chunk)
        else:
            super().handleData(chunk)
            self._missing = self._missing_bytes()

    def _missing_bytes(self) -> int:
        """How much has yet to come of the string that the buffer begins with; 0 if of another kind.

        Foolscap has put the string's length back as a piece of its own.
        """
        begin: bytes = self.buffer.d[0] if self.buffer.len > MAX_BEGIN else b""
        if len(begin) > MAX_BEGIN or begin[-1:] != STRING:
            return 0
        return max(0, int(b1282int(begin[:-1])) + len(begin) - self.buffer.len)

    def _bound(self) -> None:
        if self.connectionAbandoned:
            return  # what arrived was no message
        if self.discardCount:
            self._begin_message()  # refused already: its bytes are not kept
        limit = self._limits.max_message + BARE_BYTES if self._known else STRANGER_BYTES
        if self._message > limit:
            self._drop(f"a message of more than {limit} bytes")
        elif self.objectCounter - self._parts_before > MAX_PARTS:
            self._drop(f"a message of more than {MAX_PARTS} parts")
        elif self._message - self._held > FREE_BYTES:
            self._hold_more()

    def _hold_more(self) -> None:
        try:
            self._limits.budget.take(STEP_BYTES)
        except ServiceBusy as error:
            self._drop(str(error))
        else:
            self._held += STEP_BYTES

    def handleClose(self, closeCount: int) -> None:
        """Note where a message ends."""
        super().handleClose(closeCount)
        if len(self.receiveStack) == 1:
            self._begin_message()

    def _begin_message(self) -> None:
        self._limits.budget.give_back(self._held)
        self._held = 0
        self._message = self.buffer.len
        self._parts_before = self.objectCounter

    def getTrackerForYourReference(
        self, clid: int, interfaceName: str | None = None, url: str | None = None
    ) -> Any:
        """Remember an object of the peer's."""
        if max(len(interfaceName or ""), len(url or "")) > MAX_NAME:
            raise Violation("the name or the address of the reference is too long")
        if len(self.yourReferenceByCLID) >= MAX_REFERENCES:
            raise Violation("too many references")
        return super().getTrackerForYourReference(clid, interfaceName, url)

    # Answers

    def getTrackerForMyReference(self, puid: int, obj: Any) -> Any:
        """Number an object that is about to be sent.

        Only what was registered has an address; to make one for every upload and share would
        take longer than all else about them, and let other connections reach them.
        """
        tracker = super().getTrackerForMyReference(puid, obj)
        if obj not in self.tub.referenceToName:
            tracker.tub = None
        return tracker

    def sendToken(self, obj: Any) -> None:
        """Send one token; without looking long strings up in a table of short ones."""
        if isinstance(obj, bytes) and len(obj) > SMALL_ANSWER:
            int2b128(len(obj), self.transport.write)
            self.transport.write(STRING)
            self.transport.write(obj)
        else:
            super().sendToken(obj)

    # Calls

    def scheduleCall(self, delivery: Any, ready_deferred: Any) -> None:
        """Queue a call whose message has arrived."""
        delivery.raic_size = self._message - self.buffer.len
        delivery.raic_held, self._held = self._held, 0
        self._in_flight += delivery.raic_size
        super().scheduleCall(delivery, ready_deferred)
        self._adjust_reading()

    def doNextCall(self) -> None:
        """Begin the next call in the queue, unless there is too much to do already."""
        if self._stall is None and self._executing < MAX_CALLS:
            super().doNextCall()
            self._adjust_reading()

    def _doCall(self, delivery: Any) -> Any:
        self._executing += 1
        callers = self._limits.callers
        callers.present = self
        try:
            return super()._doCall(delivery)
        finally:
            callers.present = None

    def _callFinished(self, res: object, delivery: Any) -> None:
        size = answer_bytes(res)
        if size <= SMALL_ANSWER or self.disconnected:
            super()._callFinished(res, delivery)
        else:
            self._limits.budget.take(size)
            self._unsent += size
            super()._callFinished(res, delivery)
            if self._stall is None:
                self._sent()
        self._finished(delivery)

    def callFailed(self, f: Failure, reqID: int, delivery: Any = None) -> None:
        """Answer with a failure."""
        super().callFailed(f, reqID, delivery)
        if delivery is not None:
            self._finished(delivery)

    def _finished(self, delivery: Any) -> None:
        self._executing -= 1
        if delivery.methodname not in QUESTIONS:
            self._active_at = self._limits.clock.seconds()
        self._settle(delivery)
        if self.inboundDeliveryQueue:
            eventually(self.doNextCall)
        self._adjust_reading()

    def _settle(self, delivery: Any) -> None:
        self._in_flight -= delivery.raic_size
        self._limits.budget.give_back(delivery.raic_held)

    # Back-pressure

    def _adjust_reading(self) -> None:
        read = (
            self._stall is None
            and self._in_flight <= IN_FLIGHT_BYTES
            and len(self.inboundDeliveryQueue) <= MAX_CALLS
        )
        if read == self._reading or not self._producing:
            return
        self._reading = read
        if read:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def pauseProducing(self) -> None:
        """The peer does not read as fast as it is answered."""
        if self._stall is None and self._producing:
            self._stall = self._limits.clock.callLater(
                STALL_SECONDS, self._drop, f"it read nothing for {STALL_SECONDS:.0f} seconds"
            )
            self._adjust_reading()

    def resumeProducing(self) -> None:
        """All that was written has been sent."""
        self._sent()
        self._adjust_reading()
        eventually(self.doNextCall)

    def stopProducing(self) -> None:
        """The connection is lost; :meth:`connectionLost` follows."""

    def _sent(self) -> None:
        if self._stall is not None and self._stall.active():
            self._stall.cancel()
        self._stall = None
        self._limits.budget.give_back(self._unsent)
        self._unsent = 0
