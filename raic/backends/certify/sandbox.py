"""A folder of one's own in a provider, of which nothing remains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from raic.backends.layers.forwarding import CalledUpload, CallLayer
from raic.deferreds import async_to_deferred
from raic.errors import OutcomeUnknown, ProviderError
from raic.interfaces import IInterruptedUploads, IObjectUpload, IStorageProvider
from raic.values import Stored

T = TypeVar("T")

FOLDER = "certify/"
"""No object of a node has such a key: neither a restore nor a search for orphans looks there."""

DELETED_AT_ONCE = 1000
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 2.0


class Sandbox(CallLayer):
    """A provider that remembers which keys were used.

    :ivar prefix: how all keys begin.
    """

    def __init__(self, inner: IStorageProvider, clock: IReactorTime) -> None:
        super().__init__(inner)
        self.prefix = f"{FOLDER}{token_hex(8)}/"
        self._clock = clock
        self._used: set[str] = set()
        self._in_doubt: dict[str, None] = {}

    def key(self, name: str) -> str:
        """The key of an object."""
        return self.prefix + name

    def call(
        self, operation: str, size: int, function: Callable[..., Deferred[T]], *args: object
    ) -> Deferred[T]:
        """Make a call."""
        return function(*args)

    def open_upload(self, key: str, size: int) -> IObjectUpload:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._used.add(key)
        return _NotedUpload(self, self._inner.open_upload(key, size), key)

    def put_object(self, key: str, data: bytes) -> Deferred[Stored]:
        """See :class:`raic.interfaces.IStorageProvider`."""
        self._used.add(key)
        return self.noted(key, self._inner.put_object(key, data))

    def noted(self, key: str, storing: Deferred[T]) -> Deferred[T]:
        """Note an object that may appear later."""
        self._in_doubt[key] = None
        return storing.addCallbacks(partial(self._known, key), partial(self._perhaps_known, key))

    @async_to_deferred
    async def empty(self, seconds: float) -> tuple[str, ...]:
        """Delete everything.

        :param seconds: how long listings may be out of date.
        :return: fires with the keys that are still listed; fails with a ``ProviderError`` when
            not even that can be found out.
        """
        await delete_all(self._inner, sorted(self._used))
        return await empty_folder(self._inner, self._clock, self.prefix, seconds)

    @property
    def used(self) -> tuple[str, ...]:
        """All keys under which something was, or was to be, stored."""
        return tuple(sorted(self._used))

    @property
    def in_doubt(self) -> tuple[str, ...]:
        """Those under which something may yet appear."""
        return tuple(self._in_doubt)

    def _known(self, key: str, result: T) -> T:
        self._in_doubt.pop(key, None)
        return result

    def _perhaps_known(self, key: str, failure: Failure) -> Failure:
        # Of anything else, such as a call that was cut off, nobody knows what becomes of it.
        if isinstance(failure.value, ProviderError) and not failure.check(OutcomeUnknown):
            self._in_doubt.pop(key, None)
        return failure


class _NotedUpload(CalledUpload):
    def __init__(self, sandbox: Sandbox, inner: IObjectUpload, key: str) -> None:
        super().__init__(sandbox, inner)
        self._sandbox = sandbox
        self._key = key

    def finish(self) -> Deferred[Stored]:
        return self._sandbox.noted(self._key, super().finish())


async def delete_all(provider: IStorageProvider, keys: list[str]) -> None:
    """Delete objects; those that cannot be are left for a listing to show."""
    for at in range(0, len(keys), DELETED_AT_ONCE):
        await provider.delete_objects(keys[at : at + DELETED_AT_ONCE])


async def empty_folder(
    provider: IStorageProvider, clock: IReactorTime, prefix: str, seconds: float
) -> tuple[str, ...]:
    """Delete whatever is below a prefix, and parts of uploads.

    :param seconds: how long the listing may go on to show what was deleted.
    :return: the keys that are still listed after that.
    :raises ProviderError: it cannot be listed.
    """
    if IInterruptedUploads.providedBy(provider):
        await IInterruptedUploads(provider).clear_interrupted_uploads(prefix)
    until = clock.seconds() + seconds
    pause = FIRST_PAUSE
    while True:
        left = await listed_keys(provider, prefix)
        if not left or clock.seconds() >= until:
            return tuple(left)
        await delete_all(provider, left)
        await deferLater(clock, pause, lambda: None)
        pause = min(2 * pause, LONGEST_PAUSE)


async def listed_keys(provider: IStorageProvider, prefix: str) -> list[str]:
    """All keys that begin so, as the pages of the listing have them."""
    keys: list[str] = []
    token = None
    while True:
        page = await provider.list_objects(prefix, token)
        keys += [listed.key for listed in page.objects]
        token = page.next_token
        if token is None:
            return keys
