"""What libcloud's drivers cannot do, and what goes wrong with them."""

from __future__ import annotations

import errno
from base64 import b64encode
from collections.abc import Awaitable, Mapping
from hashlib import md5
from pathlib import Path
from typing import Any

from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.drivers.local import LocalStorageDriver
from libcloud.storage.types import ContainerDoesNotExistError, ObjectDoesNotExistError
from requests import exceptions as http
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.libcloud import LIBCLOUD, Abilities, LibcloudProvider, LibcloudSettings
from raic.backends.libcloud.errors import Refused, translated
from raic.backends.libcloud.names import from_file, to_file
from raic.errors import (
    AccessDenied,
    ConfigurationError,
    CredentialsUnusable,
    NoSpace,
    ObjectCorrupt,
    ObjectNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderTimedOut,
    ProviderUnreachable,
    StorageUnusable,
)
from tests.backends.libcloud.little import LittleAzure, request_name
from tests.contracts.driving import ReactorSuite, driven, reactor
from tests.contracts.provider import pattern
from tests.services.scripted_http import Answer, Request, ScriptedServer

KEY = "shares/aa/one"
MIB = 1024 * 1024
PART_SIZE = 64 * 1024
DATA = pattern(3 * PART_SIZE + 1)


class LocalSuite(ReactorSuite):
    """A folder and a provider on it."""

    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "container").mkdir(parents=True)
        self.provider = self.make_provider()
        self.addCleanup(self.provider.stop)
        return self.drive(self.start())

    async def start(self) -> None:
        await self.provider.start()

    def make_provider(self, page: int = 1000) -> LibcloudProvider:
        settings = LibcloudSettings(
            "local", "container", path=str(self.folder), part_size=PART_SIZE
        )
        return LibcloudProvider("attic", settings, dict, reactor, page)

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "container").rglob("*") if path.is_file()]

    async def begun(self, key: str, provider: LibcloudProvider | None = None) -> Any:
        upload = (provider or self.provider).open_upload(key, len(DATA))
        await upload.write(DATA)
        return upload


class LargeObjectTests(LocalSuite):
    @driven
    async def test_deleting_one_deletes_its_parts(self) -> None:
        await (await self.begun(KEY)).finish()
        self.assertEqual(len(self.files()), 5)
        self.assertEqual(await self.provider.delete_objects([KEY]), frozenset())
        self.assertEqual(self.files(), [])

    @driven
    async def test_another_process_finds_it(self) -> None:
        await (await self.begun(KEY)).finish()
        other = self.make_provider()
        await other.start()
        self.assertTrue(await other.get_object(KEY, 0, len(DATA) + 1) == DATA)
        self.assertEqual(await other.delete_objects([KEY]), frozenset())
        self.assertEqual(self.files(), [])
        await other.stop()

    @driven
    async def test_an_aborted_one_leaves_no_part(self) -> None:
        upload = await self.begun(KEY)
        self.assertNotEqual(self.files(), [])
        await upload.abort()
        self.assertEqual(self.files(), [])

    @driven
    async def test_leavings_of_another_process_are_cleared(self) -> None:
        await (await self.begun("a/complete")).finish()
        killed = self.make_provider()
        await killed.start()
        await self.begun("a/left", killed)
        running = await self.begun("a/running")
        self.assertEqual(await self.provider.clear_interrupted_uploads("b/"), 0)
        self.assertEqual(await self.provider.clear_interrupted_uploads(""), 1)
        await running.finish()
        for key in ("a/complete", "a/running"):
            self.assertTrue(await self.provider.get_object(key, 0, len(DATA)) == DATA)
        await killed.stop()
        self.assertEqual(len(self.files()), 10)

    @driven
    async def test_a_lost_part_is_corruption(self) -> None:
        await (await self.begun(KEY)).finish()
        part = next(path for path in self.files() if "parts" in str(path))
        part.unlink()
        await self.refused(self.provider.get_object(KEY, 0, len(DATA)), ObjectCorrupt)

    @driven
    async def test_what_another_process_deleted_is_not_found(self) -> None:
        for data in (b"small", DATA):
            upload = self.provider.open_upload(KEY, len(data))
            await upload.write(data)
            await upload.finish()
            await self.provider.get_object(KEY, 0, 1)
            other = self.make_provider()
            await other.start()
            await other.delete_objects([KEY])
            await other.stop()
            await self.refused(self.provider.get_object(KEY, 0, 1), ObjectNotFound)


class WithoutRanges(LocalStorageDriver):  # type: ignore[misc]  # libcloud has no annotations
    """A driver that can read objects only from their beginning."""

    download_object_range_as_stream = LocalStorageDriver.__mro__[1].download_object_range_as_stream


class EmulatedRangesTests(LocalSuite):
    """What a driver cannot do is emulated, and told."""

    def make_provider(self, page: int = 1000) -> LibcloudProvider:
        provider = super().make_provider(page)
        # What get_driver would find, had libcloud such a driver.
        provider._libcloud._drivers._class = WithoutRanges
        provider._libcloud._drivers.abilities = Abilities.of("local", WithoutRanges)
        return provider

    @driven
    async def test_a_range_is_the_end_of_a_longer_one(self) -> None:
        self.assertFalse(self.provider.abilities.ranges)
        await self.provider.put_object(KEY, DATA)
        for offset, length in ((0, 5), (70_000, 10), (len(DATA) - 1, 9), (len(DATA), 1)):
            found = await self.provider.get_object(KEY, offset, length)
            self.assertEqual(found, DATA[offset : offset + length])


class MissingTests(LocalSuite):
    @driven
    async def test_a_vanished_container_is_no_missing_object(self) -> None:
        (self.folder / "container").rmdir()
        for call in (
            self.provider.get_object(KEY, 0, 1),
            self.provider.put_object(KEY, b"x"),
            self.provider.list_objects("", None),
        ):
            refused = await self.refused(call, StorageUnusable)
            self.assertIn("create the container container", refused.remedy)


def refused(status: int, headers: Mapping[str, str] | None = None) -> Refused:
    return Refused("GET", status, "no", headers)


class TranslationTests(SynchronousTestCase):
    """Each of libcloud's exceptions has one of ours."""

    def check(self, operation: str, error: Exception, kind: type[ProviderError]) -> ProviderError:
        settings = LibcloudSettings("azure_blobs", "container")
        meant = translated("cloud", settings, operation, error)
        assert meant is not None
        self.assertIs(type(meant), kind, (error, meant))
        self.assertTrue(meant.remedy or meant.temporary or isinstance(meant, OutcomeUnknown))
        return meant

    def test_reads(self) -> None:
        for error, kind in (
            (refused(401), AccessDenied),
            (refused(403), AccessDenied),
            (refused(404), StorageUnusable),
            (refused(408), ProviderTimedOut),
            (refused(413), NoSpace),
            (refused(429), ProviderBusy),
            (refused(500), ProviderBusy),
            (refused(507), NoSpace),
            (InvalidCredsError(), AccessDenied),
            (ObjectDoesNotExistError("", None, "a"), ObjectNotFound),
            (ContainerDoesNotExistError("", None, "a"), StorageUnusable),
            (CredentialsUnusable("locked", "unlock it"), AccessDenied),
            (LibcloudError("odd"), StorageUnusable),
            (FileNotFoundError(errno.ENOENT, "gone"), ObjectNotFound),
            (OSError(errno.ENOSPC, "full"), NoSpace),
            (http.ReadTimeout(), ProviderTimedOut),
            (http.ConnectTimeout(), ProviderUnreachable),
            (http.ConnectionError(), ProviderUnreachable),
        ):
            self.check("get_object", error, kind)

    def test_writes_that_may_have_happened(self) -> None:
        for error in (refused(500), http.ReadTimeout(), http.ConnectionError()):
            self.check("put_object", error, OutcomeUnknown)
        self.check("put_object", http.ConnectTimeout(), ProviderUnreachable)

    def test_how_long_to_wait(self) -> None:
        for status in (429, 503):
            busy = self.check("put_object", refused(status, {"retry-after": "9"}), ProviderBusy)
            assert isinstance(busy, ProviderBusy)
            self.assertEqual(busy.retry_after, 9.0)

    def test_what_is_no_error_of_a_service_stays_what_it_is(self) -> None:
        settings = LibcloudSettings("azure_blobs", "container")
        self.assertIsNone(translated("cloud", settings, "get_object", ZeroDivisionError()))


class NameTests(SynchronousTestCase):
    def test_every_name_has_a_file_of_its_own(self) -> None:
        names = ["a", "a/b", "a/b/c", "a-b", "x" * 512, "~parts/a~1/00000", "a/" + "y" * 401]
        self.assertEqual([from_file(to_file(name)) for name in names], names)
        for name in names:
            self.assertLess(max(map(len, to_file(name).split("/"))), 255)

    def test_other_files_have_no_name(self) -> None:
        self.assertEqual([from_file(path) for path in ("a", "a+", "a/b")], ["", "", ""])


class TypeTests(SynchronousTestCase):
    """What an operator may write."""

    def made(self, **texts: str) -> Any:
        return LIBCLOUD.make("cloud", LIBCLOUD.parsed(texts), dict, reactor)

    def test_a_driver_by_name(self) -> None:
        provider = self.made(driver="azure_blobs", container="c")
        self.assertEqual(provider.abilities, Abilities("azure_blobs", ranges=True, whole=4 * MIB))

    def test_an_unknown_driver_is_refused(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            self.made(driver="tape", container="c")
        self.assertIn("tape", str(caught.exception))

    def test_a_path_goes_with_local_alone(self) -> None:
        for driver, path in (("local", {}), ("azure_blobs", {"path": "/x"})):
            with self.assertRaises(ConfigurationError):
                self.made(driver=driver, container="c", **path)


class RequestTests(ReactorSuite):
    """What Azure is asked."""

    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.azure = LittleAzure()
        self.server = ScriptedServer(reactor, self.azure)
        self.addCleanup(self.server.stop)
        host, port = self.server.url.removeprefix("http://").split(":")
        settings = LibcloudSettings("azure_blobs", "c", host=host, port=int(port), secure=False)
        secrets = {"key": "account", "secret": "c2VjcmV0"}
        self.provider = LibcloudProvider("azure", settings, lambda: secrets, reactor)
        self.addCleanup(self.provider.stop)
        return self.drive(self.start())

    async def start(self) -> None:
        await self.provider.start()

    async def asked(self, awaited: Awaitable[object]) -> list[str]:
        """What something took."""
        self.server.requests.clear()
        await awaited
        return [request_name(request) for request in self.server.requests]

    @driven
    async def test_a_small_object_takes_one_and_none_to_find_it(self) -> None:
        for size in (1, 4 * MIB):
            key, data = f"a/{size}", pattern(size)
            self.assertEqual(await self.asked(self.provider.put_object(key, data)), ["put"])
            digest = b64encode(md5(data, usedforsecurity=False).digest()).decode()
            self.assertEqual(self.server.requests[0].headers["content-md5"], digest)
            self.assertEqual(await self.asked(self.provider.get_object(key, 0, 9)), ["get"])
            self.assertEqual(await self.provider.get_object(key, 0, size), data)

    @driven
    async def test_others_are_put_together(self) -> None:
        for size, blocks in ((0, 0), (4 * MIB + 1, 2)):
            key, data = f"a/{size}", pattern(size)
            asked = await self.asked(self.provider.put_object(key, data))
            self.assertEqual(asked, [*["block"] * blocks, "put"])
            self.assertTrue(self.azure.objects[f"/c/{key}"] == data)

    @driven
    async def test_a_large_object_is_found_at_once_by_who_stored_it(self) -> None:
        upload = self.provider.open_upload(KEY, 9 * MIB)
        await upload.write(bytes(9 * MIB))
        await upload.finish()
        self.assertEqual(await self.asked(self.provider.get_object(KEY, 0, 9)), ["get"])
        await self.provider.delete_objects([KEY])
        self.assertEqual(self.azure.objects, {})
        await self.refused(self.provider.get_object(KEY, 0, 9), ObjectNotFound)


class RotationTests(ReactorSuite):
    """A changed secret is found when the old one is refused."""

    @driven
    async def test_a_changed_secret_is_used_at_once(self) -> None:
        allowed = ["one"]

        def answer(request: Request) -> Answer:
            return Answer(
                403 if f"key-{allowed[0]}" not in request.headers["authorization"] else 404
            )

        server = ScriptedServer(reactor, answer)
        self.addCleanup(server.stop)
        host, port = server.url.removeprefix("http://").split(":")
        settings = LibcloudSettings(
            "azure_blobs", "container", host=host, port=int(port), secure=False
        )
        secrets = {"key": "key-one", "secret": "AAAA"}
        provider = LibcloudProvider("cloud", settings, lambda: secrets, reactor)
        self.addCleanup(provider.stop)
        await self.refused(provider.start(), StorageUnusable)  # signed, and not found
        allowed[0] = "two"
        await self.refused(provider.start(), AccessDenied)
        secrets = {"key": "key-two", "secret": "AAAA"}
        await self.refused(provider.start(), StorageUnusable)
