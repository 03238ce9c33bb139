"""The registry of uploads in progress."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from raic.errors import BadUploadSecret, NoSuchShare
from raic.interfaces import IBucketUpload
from raic.server.uploads import Uploads

PLACE = bytes(16)


@implementer(IBucketUpload)
class Upload:
    """Only its size matters here."""

    def __init__(self, size: int) -> None:
        self.size = size

    def required_ranges(self) -> list[tuple[int, int]]:
        return [(0, self.size)]

    def write(self, offset: int, data: bytes) -> Deferred[None]:
        return succeed(None)

    def is_complete(self) -> bool:
        return False

    def close(self) -> Deferred[None]:
        return succeed(None)

    def abort(self) -> Deferred[None]:
        return succeed(None)


class UploadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.uploads = Uploads()
        self.upload = Upload(100)
        self.uploads.add(PLACE, 3, self.upload, b"secret")

    def test_an_upload_is_found_with_its_secret(self) -> None:
        self.assertIs(self.uploads.get(PLACE, 3, b"secret"), self.upload)
        self.assertIs(self.uploads.find(PLACE, 3, b"secret"), self.upload)

    def test_an_upload_is_refused_with_another_secret(self) -> None:
        self.assertRaises(BadUploadSecret, self.uploads.get, PLACE, 3, b"other")
        self.assertIsNone(self.uploads.find(PLACE, 3, b"other"))
        self.assertIsNone(self.uploads.find(PLACE, 3, None))

    def test_an_upload_without_a_secret_is_out_of_reach(self) -> None:
        self.uploads.add(PLACE, 4, Upload(1), None)
        self.assertRaises(BadUploadSecret, self.uploads.get, PLACE, 4, b"")
        self.assertIsNone(self.uploads.find(PLACE, 4, None))
        self.assertTrue(self.uploads.holds(PLACE, 4))

    def test_other_places_have_no_upload(self) -> None:
        self.assertRaises(NoSuchShare, self.uploads.get, PLACE, 5, b"secret")
        self.assertRaises(NoSuchShare, self.uploads.get, b"x" * 16, 3, b"secret")
        self.assertFalse(self.uploads.holds(PLACE, 5))

    def test_reserved_is_the_sum_of_the_sizes_in_progress(self) -> None:
        self.uploads.add(PLACE, 4, Upload(11), b"secret")
        self.assertEqual(self.uploads.reserved, 111)
        self.uploads.remove(PLACE, 3)
        self.uploads.remove(PLACE, 3)
        self.assertEqual((self.uploads.reserved, len(self.uploads)), (11, 1))
        self.assertEqual([upload.size for upload in self.uploads], [11])
