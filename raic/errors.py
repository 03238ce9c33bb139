"""Every exception that crosses a module boundary.

The tree::

    RaicError
    |-- ProviderError                 a provider could not do what was asked
    |   |-- ProviderUnreachable       * no connection, no name, no answer
    |   |   `-- CircuitOpen           * it was so a moment ago; the provider was not asked
    |   |-- ProviderTimedOut          * an answer did not come in time; nothing was changed by it
    |   |-- ProviderBusy              * the provider asked us to slow down, or failed on its side
    |   |   `-- QueueTooLong          * this node's own limits; the provider was not asked
    |   |-- OutcomeUnknown            a write may land later, or never
    |   |-- ObjectNotFound            no object has that key
    |   |-- ObjectCorrupt             the bytes are not those that were written
    |   |-- KeyTaken                  the key already names other bytes
    |   |-- NoSpace                   the provider is full
    |   |-- AccessDenied              credentials or permissions do not allow it
    |   |-- StorageUnusable           the container or folder is missing, read-only or broken
    |   |-- PrefixOwned               the prefix is another server's, or another copy's of this one
    |   `-- OwnershipUnknown          * nobody can say just now whose the prefix is
    |-- IndexFailure                  the index could not do what was asked
    |   |-- IndexMissing              there is no index, but there are objects
    |   |-- IndexCorrupt              the file is not a usable index
    |   |-- IndexTooNew               a newer RAIC wrote it
    |   |-- IndexFull                 * its disk has no room; nothing was changed
    |   |-- IndexBusy                 * another program holds it locked; nothing was changed
    |   |-- IndexStopped              a commit failed or the index was closed: the process must stop
    |   `-- VersionConflict           the slot is no longer at the version that was expected
    |-- SealBroken                    a header does not open with this node's key
    |-- ProtocolRefusal               a client asked for what cannot be done
    |   |-- NoSuchShare               no such share, slot or upload
    |   |-- BadWriteEnabler           the write enabler is not the slot's
    |   |-- BadUploadSecret           the upload secret is not the upload's
    |   |-- UploadFinished            the share is complete and can no longer be aborted
    |   |-- ConflictingWrite          other bytes were already written there
    |   |-- WriteOutOfBounds          beyond the allocated size
    |   |-- WriteOutOfWindow          too far beyond what was written so far
    |   |-- MessageTooLarge           the message, or the share it would make, is over the limit
    |   `-- MessageMalformed          the message does not parse or is not of its schema
    |-- ServiceBusy                   * the node has no memory budget left for this
    |-- ServiceStopping               * the node is shutting down
    |-- OperationRefused              what an operator asked for must not be begun now
    |-- ConfigurationError            raic.cfg or a command line has mistakes, all of them listed
    |-- CredentialsUnusable           a place where secrets are kept cannot be used
    |-- IdentityError                 a file under private/ is missing or unusable
    |-- ListenerUnusable              Tor does not let the node listen
    `-- NodeDirectoryLocked           another process runs this node directory

``*`` marks the classes whose ``temporary`` is true: the same call may succeed later.  Each class
says in ``remedy`` what an operator should do; an instance may say it more exactly.
"""

from __future__ import annotations

from collections.abc import Sequence


class RaicError(Exception):
    """The root of the tree.

    :cvar temporary: whether the same call may succeed later without anyone doing anything.
    :cvar remedy: what the operator should do; empty where nothing needs doing.
    """

    temporary: bool = False
    remedy: str = ""


class ProviderError(RaicError):
    """A provider could not do what was asked.

    :param provider: the provider's name in the configuration.
    :param operation: the ``IStorageProvider`` method, as in ``put_object``.
    :param detail: what happened, without secrets and without object contents.
    :param remedy: what to do, where the class's own text can be improved upon.
    """

    def __init__(self, provider: str, operation: str, detail: str, remedy: str = "") -> None:
        super().__init__(f"{provider}: {operation}: {detail}")
        self.provider = provider
        self.operation = operation
        self.detail = detail
        if remedy:
            self.remedy = remedy


class ProviderUnreachable(ProviderError):
    """No connection could be made, or it broke before the request was complete."""

    temporary = True
    remedy = "check the network and the provider's own status page"


class CircuitOpen(ProviderUnreachable):
    """The provider failed repeatedly a moment ago; it was not asked again.

    :ivar probe_in: in how many seconds it may be asked; None where waiting for that is no use.
    """

    probe_in: float | None = None


class ProviderTimedOut(ProviderError):
    """A read or a listing was not answered in time; nothing was changed by it."""

    temporary = True
    remedy = "check the network and the provider's own status page"


class ProviderBusy(ProviderError):
    """The provider asked us to slow down or failed on its own side.

    :ivar retry_after: the seconds that it asked us to wait; None where it did not say.
    """

    temporary = True
    remedy = "nothing, unless it lasts: then lower the provider's rate limits"
    retry_after: float | None = None


class QueueTooLong(ProviderBusy):
    """The call would have waited too long for its turn; the provider was not asked."""

    remedy = "nothing, unless it lasts: then raise the provider's limits, or the link is too slow"


class OutcomeUnknown(ProviderError):
    """A write was sent and no answer came: the object may appear now, later or never.

    The caller must not use the key again; it belongs into the garbage.
    """

    remedy = "nothing, unless it lasts: then check the network and the provider's own status page"


class ObjectNotFound(ProviderError):
    """No object has that key."""

    remedy = "run 'raic restore' if shares are missing; the object was deleted behind the node"


class ObjectCorrupt(ProviderError):
    """The bytes that the provider returned are not those that were written."""

    remedy = "check the disk or ask the provider: it returned altered data"


class KeyTaken(ProviderError):
    """The key already names an object with other bytes.

    Keys carry 128 random bits, so this means that something else writes into the prefix.
    """

    remedy = "make sure that no other program writes below this provider's prefix"


class NoSpace(ProviderError):
    """The provider is full; nothing was stored."""

    remedy = "free some space, raise the quota, or set readonly = true"


class AccessDenied(ProviderError):
    """Credentials or permissions do not allow the operation."""

    remedy = "check the provider's credentials and the rights that its documentation page lists"


class StorageUnusable(ProviderError):
    """The container or folder is missing, read-only or failing."""

    remedy = "check that the folder or container exists, is mounted and can be written to"


class PrefixOwned(ProviderError):
    """The prefix belongs to another server, or to another copy of this one: nothing is written."""

    remedy = "give this node a prefix of its own; or, if the other is gone for good, --take-over"


class OwnershipUnknown(ProviderError):
    """It cannot be told just now whether the prefix is still this node's: nothing is written."""

    temporary = True
    remedy = "nothing, unless it lasts: then check the network and the provider's status page"


class IndexFailure(RaicError):
    """The index could not do what was asked."""


class IndexMissing(IndexFailure):
    """There is no index, but the provider holds objects."""

    remedy = "run 'raic restore --local NODEDIR' to rebuild the index from the provider"


class IndexCorrupt(IndexFailure):
    """The index file cannot be used."""

    remedy = "run 'raic restore --local NODEDIR' to rebuild the index from the provider"


class IndexTooNew(IndexFailure):
    """The index was written by a newer RAIC."""

    remedy = "install the RAIC version that wrote it, or a newer one"


class IndexFull(IndexFailure):
    """The disk that holds the index has no room; the operation was rolled back."""

    temporary = True
    remedy = "free some space on the disk that holds the node directory"


class IndexBusy(IndexFailure):
    """Another program kept the index locked for too long; the operation was not begun."""

    temporary = True
    remedy = "end the other program that has the index open, such as an SQLite shell"


class IndexStopped(IndexFailure):
    """The index takes no more operations.

    Either it was closed, or a COMMIT failed and its outcome is unknown: the write-ahead log may
    hold it.  In the second case the process must stop and touch no object; a restart finds the
    truth.
    """

    remedy = "check the disk that holds the node directory, then start the node again"


class VersionConflict(IndexFailure):
    """The slot is no longer at the version that the commit expected."""


class SealBroken(RaicError):
    """A sealed part does not open: another node's key, or altered bytes."""

    remedy = "restore private/ from its backup: objects can be opened only with the keys in it"


class ProtocolRefusal(RaicError):
    """A client asked for something that cannot be done; its text may be shown to the client."""


class NoSuchShare(ProtocolRefusal):
    """No share, slot or upload has that storage index and share number."""


class BadWriteEnabler(ProtocolRefusal):
    """The write enabler is not the one that created the slot.

    :param nodeid: the 20-byte id of the node that recorded the right one.
    """

    def __init__(self, nodeid: bytes) -> None:
        super().__init__("the write enabler is not this slot's")
        self.nodeid = nodeid


class BadUploadSecret(ProtocolRefusal):
    """The upload secret is not the one that the upload was allocated with."""


class UploadFinished(ProtocolRefusal):
    """The share is complete and can no longer be aborted."""


class ConflictingWrite(ProtocolRefusal):
    """Other bytes were already written there, or it can no longer be shown that they were equal."""


class WriteOutOfBounds(ProtocolRefusal):
    """The write reaches beyond the allocated size."""


class WriteOutOfWindow(ProtocolRefusal):
    """The write starts too far beyond what was written so far.

    :param expected: the offset, in bytes, from which the upload can go on.
    """

    def __init__(self, expected: int) -> None:
        super().__init__(f"too far ahead: the next byte needed is at offset {expected}")
        self.expected = expected


class MessageTooLarge(ProtocolRefusal):
    """The message, or the share that it would make, is over the limit."""


class MessageMalformed(ProtocolRefusal):
    """The message does not parse or does not follow its schema."""


class ServiceBusy(RaicError):
    """The node has no memory budget left for this request just now."""

    temporary = True
    remedy = "nothing, unless it lasts: then raise the memory limits in [storage]"


class ServiceStopping(RaicError):
    """The node is shutting down."""

    temporary = True


class OperationRefused(RaicError):
    """What an operator asked for must not be begun now: data would be at risk, or something else
    of its kind is under way.

    :param problem: why not.
    :param remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class ConfigurationError(RaicError):
    """The configuration or a command line has mistakes.

    :param problems: one text per mistake, each with its place, what is wrong and what to write.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class CredentialsUnusable(RaicError):
    """A place where secrets are kept cannot be used, or what it holds is no secret.

    :param problem: what is wrong, without secrets.
    :param remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class IdentityError(RaicError):
    """A file under ``private/`` is missing or unusable."""

    remedy = "restore private/ from its backup"


class ListenerUnusable(RaicError):
    """What is to let clients in does not do so.

    :param problem: what is wrong.
    :param remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class NodeDirectoryLocked(RaicError):
    """Another process runs this node directory."""

    remedy = "stop the other process, or give this node a directory of its own"
