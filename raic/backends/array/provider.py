"""A provider that spreads each object over several others, enough of which suffice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from zope.interface import alsoProvides, implementer

from raic.backends.array.code import Code
from raic.backends.array.codes import Codes
from raic.backends.array.deleting import Deletion
from raic.backends.array.health import HealthBook
from raic.backends.array.leftovers import Leftovers
from raic.backends.array.lengths import Lengths, members_of, unknown_length
from raic.backends.array.listing import PAGE_OBJECTS, Listing
from raic.backends.array.members import Member, Placement
from raic.backends.array.membership import MakeMember, Membership
from raic.backends.array.plan import WriteTools, buffer_size
from raic.backends.array.reading import FragmentReader
from raic.backends.array.settings import ArraySettings
from raic.backends.array.space import space_of
from raic.backends.array.stragglers import Stragglers
from raic.backends.array.target import Tools
from raic.backends.array.writing import ArrayWriter, Write
from raic.backends.keys import check_key, check_range
from raic.deferreds import Shared, async_to_deferred
from raic.errors import ObjectNotFound, ProviderError, StorageUnusable
from raic.fragmentkeys import MAX_NUMBER, MAX_OBJECT_KEY_CHARACTERS, escaped, parse_fragment_key
from raic.interfaces import (
    IFragmentLedger,
    IInterruptedUploads,
    ILocalListing,
    IObjectUpload,
    IStorageProvider,
)
from raic.values import ObjectPage, Space, Stored

_DEFAULT = ArraySettings()


@implementer(IStorageProvider)
class ArrayProvider:
    """Stores of each object one fragment with each member; ``code.needed`` of them suffice.

    Keys, with each ``-`` counted twice, have at most 450 characters; those that are a fragment's
    are refused, except by ``delete_objects``, which deletes just the fragment.  That a key already
    names other bytes is noticed only when they are as many: a fragment's key tells the length.

    It provides ``ILocalListing`` when all members do, and ``IInterruptedUploads`` when one does.

    :param name: the array's in the configuration.
    :param members: in the order in which fragments are numbered when the array is new; later the
        ledger says who has which.
    :param happy: how many members must have stored an object before it is acknowledged.
    :param array_key: 32 secret bytes, with which fragments are tagged.
    :param former_codes: other codes with which objects were written that may still be there;
        besides those that the ledger has noted.
    :param length_of: an object's length, if its key tells it; others must be listed to be read.
    :param is_whole: whether a key is that of an object which every member has whole, such as
        claims, which are written without the array, but deleted through it.
    :param make_member: for providers that are not among ``members`` but have fragments, as the
        ledger says.
    :ivar membership: who its members are.
    :ivar calls: how many reads and writes were begun.
    """

    def __init__(
        self,
        name: str,
        members: Sequence[Member],
        code: Code,
        happy: int,
        array_key: bytes,
        ledger: IFragmentLedger,
        clock: IReactorTime,
        settings: ArraySettings = _DEFAULT,
        *,
        former_codes: Sequence[Code] = (),
        length_of: Callable[[str], int | None] = unknown_length,
        is_whole: Callable[[str], bool] = lambda key: False,
        make_member: MakeMember | None = None,
    ) -> None:
        _check(members, code, happy)
        self.name = name
        self._codes = Codes(code, former_codes)
        self._happy = happy
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._length_of = length_of
        self._is_whole = is_whole
        self.calls = 0
        self.membership = Membership(
            name,
            members,
            happy,
            ledger,
            clock,
            settings,
            make_member,
            lambda gone: self.health.forget([gone]),
        )
        self._started = False
        self._starting: Shared[None] = Shared()
        self._stragglers = Stragglers(name, ledger, clock, settings)
        self._leftovers = Leftovers(name, ledger, clock, settings.request_seconds)
        lengths = Lengths(name, self._codes, self.placement, length_of)
        self._lengths = lengths
        self._reader = FragmentReader(
            name, self.placement, lengths, array_key, ledger, clock, settings
        )
        self._writer = ArrayWriter(
            WriteTools(
                name=name,
                code=code,
                happy=happy,
                array_key=array_key,
                placement=self.placement,
                clock=clock,
                settings=settings,
                lengths=lengths,
                stragglers=self._stragglers,
                leftovers=self._leftovers,
            )
        )
        self._take_abilities()

    # What belongs to an array alone

    @property
    def health(self) -> HealthBook:
        """How the members are doing."""
        return self._reader.health

    @property
    def code(self) -> Code:
        """With what objects are written."""
        return self._codes.current

    @property
    def codes(self) -> Codes:
        """With what objects may have been written."""
        return self._codes

    @property
    def happy(self) -> int:
        """How many members must have stored an object before it is acknowledged."""
        return self._happy

    @property
    def settings(self) -> ArraySettings:
        """How it behaves."""
        return self._settings

    @property
    def lengths(self) -> Lengths:
        """How long objects are."""
        return self._lengths

    @property
    def reading(self) -> Tools:
        """What its readers share."""
        return self._reader.tools

    def members(self) -> tuple[Member, ...]:
        """The members that were started, or are to be."""
        return self.membership.members()

    def is_awaited(self, name: str) -> bool:
        """Whether fragments of acknowledged objects are still on their way to a member."""
        return self._stragglers.awaits(name)

    def writes(self) -> frozenset[Write]:
        """The writes that have not ended, to be compared with those of another time."""
        return self._writer.under_way()

    def placement(self) -> Placement:
        """Which members have which fragments."""
        return self.membership.placement()

    def place(self, placement: Placement) -> Deferred[None]:
        """See :meth:`raic.backends.array.membership.Membership.place`."""
        return self.membership.place(placement)

    # As a provider

    def start(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`.

        Fires when all members have started or failed to, or a little after ``needed`` have; those
        that did not are started again in the background.  May fail with an ``IndexFailure``.
        """
        return succeed(None) if self._started else self._starting.ask(self._start)

    @async_to_deferred
    async def _start(self) -> None:
        await self._codes.load(self._ledger)
        await self.membership.start(self.code.needed)
        self._leftovers.start()
        self._started = True

    def stop(self) -> Deferred[None]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._started = False
        self.membership.start_no_more()
        self._stragglers.stop()
        self._reader.stop()
        noting = self._leftovers.stop()
        aborting = gatherResults([noting, *self._writer.stop()])
        # Members that stop may answer writes that were given up, which leave something to note.
        stopping = aborting.addCallback(lambda _: self.membership.stop())
        return stopping.addCallback(lambda _: self._leftovers.settled())

    def buffer_size(self, size: int) -> int:
        """See :class:`raic.interfaces.IStorageProvider`."""
        return buffer_size(self.code, self.placement(), self._settings, size)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        _check_object_key(key)
        check_range(0, size)
        self.calls += 1
        upload = self._writer.open_upload(key, size)
        if not self._started:
            upload.refuse(self._unusable("open_upload"))
        return upload

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`.

        An object that was acknowledged must not be put again: if that fails, parts of it go.
        """
        _check_object_key(key)
        if not self._started:
            return fail(self._unusable("put_object"))
        self.calls += 1
        return self._writer.put_object(key, data)

    def get_object(self, key: str, offset: int, length: int) -> Deferred[bytes]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        refusal = self._refusal("get_object", key, offset, length)
        if refusal is not None:
            return fail(refusal)
        self.calls += 1
        return self._reader.get_object(key, offset, length)

    def stream_object(
        self, key: str, offset: int, length: int, consumer: IConsumer
    ) -> Deferred[int]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        refusal = self._refusal("stream_object", key, offset, length)
        if refusal is not None:
            return fail(refusal)
        self.calls += 1
        return self._reader.stream_object(key, offset, length, consumer)

    def list_objects(self, prefix: str, token: str | None) -> Deferred[ObjectPage]:
        """See :class:`raic.interfaces.IStorageProvider`.

        Complete while fewer than ``happy`` members are away; fails when more are, or when fewer
        than ``needed`` are left.  Shows an object of which there is any fragment.
        """
        if not self._started:
            return fail(self._unusable("list_objects"))
        members = {member.name: member for member in members_of(self.placement())}
        listing = Listing(
            self.name, members, self.code.needed, self._happy, self._leftovers.is_hidden
        )
        return listing.page(prefix, token, PAGE_OBJECTS)

    def delete_objects(self, keys: Collection[str]) -> Deferred[frozenset[str]]:
        """See :class:`raic.interfaces.IStorageProvider`.

        A key counts as deleted when all members that could have a fragment have confirmed it.
        """
        for key in keys:
            check_key(key)
        if not self._started:
            return fail(self._unusable("delete_objects"))
        deletion = Deletion(
            self.name,
            self.placement(),
            self._codes.all(),
            self._ledger,
            self._length_of,
            self._is_whole,
        )
        for key in keys:
            self._lengths.forget(key)
        return deletion.run(keys).addCallback(self._deleted, keys)

    def get_space(self) -> Deferred[Space]:
        """See :class:`raic.interfaces.IStorageProvider`.

        An object needs room with ``happy`` members, so what is available is told by that of the
        ``happy`` that have the most, ``needed`` times, less headers and tags; none while fewer can
        be asked.
        """
        if not self._started:
            return fail(self._unusable("get_space"))
        placement = self.placement()
        members = list({placement.home(number): None for number in placement.lasting()})
        return space_of(self.name, members, self.code, self._happy)

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        """See :class:`raic.interfaces.IInterruptedUploads`; of the members that can be asked.

        Those that have not started yet are cleared when they have.
        """
        if not self._started:
            return fail(self._unusable("clear_interrupted_uploads"))
        return self.membership.clear_interrupted_uploads(prefix)

    def _deleted(self, left: frozenset[str], keys: Collection[str]) -> frozenset[str]:
        for key in frozenset(keys) - left:
            self._leftovers.show(key)
        return left

    def _take_abilities(self) -> None:
        providers = [member.provider for member in self.members()]
        if all(ILocalListing.providedBy(provider) for provider in providers):
            alsoProvides(self, ILocalListing)
        if any(IInterruptedUploads.providedBy(provider) for provider in providers):
            alsoProvides(self, IInterruptedUploads)

    def _refusal(self, operation: str, key: str, offset: int, length: int) -> ProviderError | None:
        _check_object_key(key)
        check_range(offset, length)
        if not self._started:
            return self._unusable(operation)
        if self._leftovers.is_hidden(key):
            return ObjectNotFound(self.name, operation, f"{key} was never stored")
        return None

    def _unusable(self, operation: str) -> StorageUnusable:
        return StorageUnusable(self.name, operation, "the provider is not started")


def _check(members: Sequence[Member], code: Code, happy: int) -> None:
    if len({member.name for member in members}) != len(members) or len(members) > MAX_NUMBER + 1:
        raise ValueError("an array has at most 256 members, all with names of their own")
    if not code.needed <= happy <= len(members):
        raise ValueError(f"needed {code.needed} <= happy {happy} <= {len(members)} does not hold")


def _check_object_key(key: str) -> None:
    check_key(key)
    if len(escaped(key)) > MAX_OBJECT_KEY_CHARACTERS:
        raise ValueError(f"{key!r} is too long for an array")
    if parse_fragment_key(key) is not None:
        raise ValueError(f"{key!r} is the key of a fragment")
