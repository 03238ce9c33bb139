"""What is sent, and how times are summed up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.certify.bench import difference
from raic.backends.certify.content import PIECE, Content, Digest
from raic.backends.certify.speed import percentile


class Contents(SynchronousTestCase):
    def test_parts_are_those_of_the_pieces(self) -> None:
        content = Content(5 * PIECE + 17)
        whole = b"".join(content.pieces())
        self.assertEqual(len(whole), content.size)
        for offset, length in ((0, 5), (PIECE - 3, 7), (100, 3 * PIECE), (content.size - 4, 9)):
            self.assertEqual(content.part(offset, length), whole[offset : offset + length])

    def test_the_digest_is_of_everything(self) -> None:
        content, digest = Content(2 * PIECE), Digest()
        for piece in content.pieces():
            digest.add(piece)
        self.assertEqual((digest.value(), digest.size), (content.digest(), 2 * PIECE))
        self.assertNotEqual(Content(2 * PIECE).digest(), content.digest())

    def test_no_piece_is_sent_twice(self) -> None:
        pieces = list(Content(40 * PIECE).pieces())
        self.assertEqual(len(set(pieces)), 40)

    def test_there_may_be_none(self) -> None:
        self.assertEqual(list(Content(0).pieces()), [])


class Words(SynchronousTestCase):
    def test_percentiles(self) -> None:
        values = [float(number) for number in range(100, 0, -1)]
        self.assertEqual((percentile(values, 50), percentile(values, 99)), (50.0, 99.0))
        self.assertEqual(percentile([7.0], 99), 7.0)

    def test_differences(self) -> None:
        self.assertEqual(difference(b"abc", b"abd"), "byte 2 came back altered")
        self.assertEqual(difference(b"ab", b"abd"), "2 bytes came back instead of 3")
