"""Where objects are stored.  See :mod:`raic.interfaces`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import Attribute, Interface

from raic.values import (
    ObjectPage,
    Space,
    Stored,
)


class IObjectUpload(Interface):
    """One object on its way into a provider.

    The caller writes the object's bytes in order, waits for each Deferred before the next call,
    and ends with exactly one of ``finish`` and ``abort``.  Nothing of the object can be seen,
    read or listed before ``finish`` fires.
    """

    def write(data: bytes) -> Deferred[None]:
        """Add bytes at the end.

        :return: fires when more may be written: this is the back-pressure.  Fails with a
            ``ProviderError``; the upload is then dead, and ``abort`` is the only call left.
        """

    def finish() -> Deferred[Stored]:
        """Make the object durable and visible, atomically.

        :return: fires with what was stored.  Fails with a ``ProviderError``, or ``ValueError``
            when the bytes written are not exactly the size announced; then no object will ever
            appear, unless the error is ``OutcomeUnknown``.
        """

    def abort() -> Deferred[None]:
        """Give up; nothing remains.  May be called in any state but after ``finish`` has fired,
        and more than once.

        :return: fires when what was sent is discarded, or left for
            :meth:`IInterruptedUploads.clear_interrupted_uploads`; never fails.
        """


class IMadeUpload(Interface):
    """An upload whose bytes can be made where they are written.

    A layer around a provider need not provide it, and does not if it could hold back one call and
    let the next one pass.
    """

    def write_made(
        size: int, make: Callable[[], Sequence[bytes | bytearray | memoryview]]
    ) -> Deferred[None]:
        """As :meth:`IObjectUpload.write` of what ``make`` returns, all of it in a row.

        May be called again before the last call's Deferred fired, unlike that: the bytes stand in
        the order of the calls, whatever the order in which they are made.

        :param size: how many bytes that is.
        :param make: called at most once, as a rule in another thread; does not raise.
        """


class ISmallObjects(Interface):
    """What there is to be done with objects that fit in memory: a part of every provider.

    It is all that claims on a prefix need, which lie beside a node's other objects.
    """

    name = Attribute("As that of :class:`IStorageProvider`. (str)")

    def put_object(key: str, data: bytes) -> Deferred[Stored]:
        """As :meth:`IStorageProvider.put_object`."""

    def get_object(key: str, offset: int, length: int) -> Deferred[bytes]:
        """As :meth:`IStorageProvider.get_object`."""

    def list_objects(prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """As :meth:`IStorageProvider.list_objects`."""


class IStorageProvider(ISmallObjects):
    """A place for named byte strings that are written once, read, listed and deleted.

    A **key** is at most 512 characters of lower-case ASCII letters, digits, and ``./-_``; it has
    neither empty components nor ``.`` or ``..`` as a component.  Its caller makes it unique with a
    random part; an object is never overwritten, renamed or appended to.  A provider that has not
    been started, or has been stopped, fails every call with ``StorageUnusable``.

    Every method may be called again after it failed, unless it says otherwise.
    """

    name = Attribute("The provider's name in the configuration, for messages. (str)")

    def start() -> Deferred[None]:
        """Prove that the provider can be listed, written and deleted from.

        :return: fires when it can; fails with a ``ProviderError`` whose remedy says what to do.
        """

    def stop() -> Deferred[None]:
        """Abort the uploads under way and release threads and connections.

        :return: fires when that is done; never fails.
        """

    def buffer_size(size: int) -> int:
        """How many bytes of memory an upload of ``size`` bytes holds at most."""

    def open_upload(key: str, size: int) -> IObjectUpload:
        """Begin to store an object of exactly ``size`` bytes.

        Costs nothing yet: errors come from the upload's own methods.
        """

    def put_object(key: str, data: bytes) -> Deferred[Stored]:
        """Store a small object in one request.

        :return: fires when the object is durable and visible.  Repeating the call with the same
            bytes succeeds; with others it fails with ``KeyTaken`` where the provider can tell.
            Fails with ``OutcomeUnknown`` when the object may still appear, with another
            ``ProviderError`` when it will not.
        """

    def get_object(key: str, offset: int, length: int) -> Deferred[bytes]:
        """Read a range that fits in memory.

        :return: fires with exactly the bytes ``offset`` to ``offset + length`` that the object
            has: fewer at its end, none beyond it.  Fails with ``ObjectNotFound``,
            ``ObjectCorrupt`` or another ``ProviderError``.
        """

    def stream_object(key: str, offset: int, length: int, consumer: IConsumer) -> Deferred[int]:
        """Read a range of any size, in one request, at the consumer's pace.

        The provider registers a push producer with ``consumer``, writes the bytes to it in
        pieces of at most 1 MiB, and unregisters before its Deferred fires.

        :return: fires with the number of bytes delivered: less than ``length`` at the object's
            end, or when the consumer called ``stopProducing``.  Fails as :meth:`get_object`
            does, perhaps after some bytes were delivered; those were right.
        """

    def list_objects(prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """One page of the objects whose keys begin with ``prefix``, in ascending order of keys.

        :param token: None for the first page, else the previous page's ``next_token``; still
            usable after the provider was restarted.
        :return: fires with a page of at most 1,000 objects, possibly empty.  An object that was
            there during the whole listing is on exactly one page.  Fails with a
            ``ProviderError``.
        """

    def delete_objects(keys: Collection[str]) -> Deferred[frozenset[str]]:
        """Delete some objects.

        :return: fires with the keys that could *not* be deleted; a missing object counts as
            deleted.  Fails with a ``ProviderError`` when nothing is known of any of them.
        """

    def get_space() -> Deferred[Space]:
        """How much is stored and how much more can be.

        :return: fires with it; fails with a ``ProviderError``.
        """


class IInspectingConsumer(IConsumer):
    """A consumer that can do a part of its work where the bytes are read.

    A provider need not know of this, nor a layer that has a consumer of its own.
    """

    piece_bytes = Attribute("How large all pieces but the last are best. (int, at most 4 MiB)")
    at_once = Attribute("How many are best read before they are written. (int)")

    def inspect(piece: bytes) -> None:
        """Look at what comes next.

        What was inspected is written next, as it is, or nothing is written any more.

        :param piece: not empty.  Called at most once for each, for one at a time, as a rule in
            another thread; does not raise.
        """


class IImmediateReads(Interface):
    """A provider some of whose reads need not wait: memory, or a file in the page cache."""

    def read_now(key: str, offset: int, length: int) -> bytes | None:
        """What :meth:`IStorageProvider.get_object` would fire with, if it can be had without
        waiting; else None, which says nothing about whether the object exists.  Never raises.
        """


class ILocalListing(Interface):
    """Marks a provider whose listing is complete, current and cheap.

    After an unclean stop such a provider is listed to find objects that no one refers to, so the
    intents to write them need not be on disk beforehand.
    """


class IInterruptedUploads(Interface):
    """A provider on which a stopped process can leave parts of uploads behind."""

    def clear_interrupted_uploads(prefix: str) -> Deferred[int]:
        """Discard what uploads of an earlier process left under ``prefix``.

        Only to be called by the owner of the prefix.

        :return: fires with how many there were; fails with a ``ProviderError``.
        """


class IRequestCounts(Interface):
    """A provider that counts the requests that it sends; layers around it do not provide this."""

    def requests_made() -> Mapping[str, int]:
        """How many requests were sent since the provider was made, by what needed them.

        Each attempt counts, whatever became of it.

        :return: by the name of the provider's method; of an upload ``write``, ``finish`` or
            ``abort``.  What was never needed may be missing.
        """


class IServiceClock(Interface):
    """A provider whose service tells its time; layers around it do not provide this."""

    def service_time() -> Deferred[float | None]:
        """Ask the service what time it is, in one request.

        :return: fires with it, to the second; None if the answer did not say.  Fails with a
            ``ProviderError``.
        """


class IShortPages(Interface):
    """A provider that lists as few objects at once as it is told; layers around it do not
    provide this.
    """

    def list_some(prefix: str, token: str | None, limit: int) -> Deferred[ObjectPage]:
        """As :meth:`IStorageProvider.list_objects`, with pages of at most ``limit`` objects."""


class IServiceTraits(Interface):
    """A provider that knows how its service goes about things; layers around it do not provide
    this.
    """

    part_size = Attribute("Objects of more bytes than this are stored in parts. (int)")

    def emulated() -> Mapping[str, str]:
        """What the provider does itself because its service, or the way to it, lacks it.

        :return: a few words on how it is done, by ability: ``large objects``, ``ranges``,
            ``pages``.
        """
