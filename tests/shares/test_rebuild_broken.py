"""A rebuild from objects some of which are broken."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve
from twisted.internet.defer import Deferred, fail

from raic.errors import ObjectCorrupt, ObjectNotFound
from raic.shares.ages import UNKNOWN_SECONDS
from raic.shares.findings import SHOWN_PROBLEMS, RebuildReport
from raic.shares.keys import CHUNKS, SHARES, SLOTS, VersionKey, parse_key
from raic.shares.layout import share_header, slot_header
from raic.shares.orphans import find_orphans
from raic.shares.rebuild import rebuild
from raic.shares.sealing import Sealer
from raic.shares.secrets import new_lease
from raic.values import Chunk, Inline, SlotShare, Version
from tests.shares.rebuild_world import RebuildTestCase
from tests.shares.slot_machine_world import ENABLER, MIB, Send, busy, noise, put
from tests.shares.stores import INDEX_A, INDEX_B, SECRETS

TXN = "a" * 25 + "e"


def missing(send: Send) -> Deferred[bytes]:
    return fail(ObjectNotFound("attic", "get_object", "there is none"))


class BrokenObjectTests(RebuildTestCase):
    def assert_problem(self, report: RebuildReport, *words: str) -> None:
        self.assertEqual(report.problem_count, 1)
        (problem,) = report.problems
        for word in words:
            self.assertIn(word, problem)

    def share_key(self) -> str:
        (key,) = self.objects(SHARES)
        return key

    def test_a_share_whose_length_is_not_that_of_its_key(self) -> None:
        self.store(b"share")
        key = self.share_key()
        self.replace(key, self.bytes_of(key)[:-1])
        self.assert_problem(self.rebuild(), key, "bytes")
        self.assertEqual(self.visible().shares, {})

    def test_a_share_whose_header_was_altered(self) -> None:
        self.store(b"share")
        self.store(b"other", 1)
        key = min(self.objects(SHARES))
        data = bytearray(self.bytes_of(key))
        data[60] ^= 1
        self.replace(key, bytes(data))
        report = self.rebuild()
        self.assert_problem(report, key)
        self.assertEqual(report.shares, 1)
        self.assertEqual(self.visible().shares, {1: b"other"})

    def test_a_share_of_another_node(self) -> None:
        self.store(b"share")
        self.sealer = Sealer(b"another node's key".ljust(32))
        self.assert_problem(self.rebuild(), self.share_key(), "another node")

    def test_a_share_whose_header_speaks_of_another(self) -> None:
        self.store(b"share")
        key = self.share_key()
        for header, word in (
            (share_header(INDEX_B, 0, 5, 0, []), "another"),
            (share_header(INDEX_A, 1, 5, 0, []), "another"),
            (share_header(INDEX_A, 0, 6, 0, []), "another"),
        ):
            name = key.rsplit(".", 1)[0] + f".{header.length + 5}"
            self.replace(key, header.sealed_for(name, self.sealer) + b"share", name)
            self.assert_problem(self.rebuild(), name, word)
            key = name

    def test_a_share_whose_length_does_not_add_up(self) -> None:
        self.store(b"share")
        key = self.share_key()
        header = share_header(INDEX_A, 0, 5, 0, [])
        name = key.rsplit(".", 1)[0] + f".{header.length + 6}"
        self.replace(key, header.sealed_for(name, self.sealer) + b"shares", name)
        self.assert_problem(self.rebuild(), name)

    def test_a_header_without_its_fields(self) -> None:
        self.store(b"share")
        key = self.share_key()
        header = share_header(INDEX_A, 0, 5, 0, [])
        header._open = header._open.replace(b"created", b"creased")
        name = key.rsplit(".", 1)[0] + f".{header.length + 5}"
        self.replace(key, header.sealed_for(name, self.sealer) + b"share", name)
        self.assert_problem(self.rebuild(), name, "not understood")

    def test_names_that_are_not_ours(self) -> None:
        for name in ("shares/readme", "slots/readme", "elsewhere"):
            self.successResultOf(self.remote.put_object(name, b"x"))
        report = self.rebuild()
        self.assertEqual(report.problem_count, 2)
        self.assertEqual(len(report.problems), 2)

    def test_a_report_is_of_bounded_length(self) -> None:
        for number in range(SHOWN_PROBLEMS + 5):
            self.successResultOf(self.remote.put_object(f"shares/{number}", b""))
        report = self.rebuild()
        self.assertEqual(report.problem_count, SHOWN_PROBLEMS + 5)
        self.assertEqual(len(report.problems), SHOWN_PROBLEMS)

    def test_a_second_copy_of_a_share_is_left_over(self) -> None:
        self.clock.advance(5)
        late = self.start(6)
        self.clock.advance(-5)
        early = self.start(5)
        late.write(0, b"second")
        early.write(0, b"first")
        self.successResultOf(early.close())
        late.close().addErrback(lambda _: None)
        self.assertEqual(len(self.objects(SHARES)), 2)
        report = self.rebuild()
        self.assertEqual((report.shares, report.left_over), (1, 1))
        self.assertEqual(self.held(), b"first")

    def test_a_slot_whose_newest_version_cannot_be_used(self) -> None:
        self.change(s0=put((0, b"first")))
        self.change(s0=put((0, b"second")))
        second = self.version()
        self.change(s0=put((0, b"third")))
        third = self.version()
        self.replace(third.key, self.bytes_of(third.key)[:-1])
        self.assert_problem(self.rebuild(), third.key, f"is read at {second.key}")
        self.assertEqual(self.contents(), {0: b"second"})

    def test_a_slot_of_which_no_version_can_be_used(self) -> None:
        self.change(s0=put((0, b"first")))
        key = self.version().key
        self.replace(key, self.bytes_of(key)[:-1] + b"")
        report = self.rebuild()
        self.assert_problem(report, key)
        self.assertEqual((report.slots, self.contents()), (0, {}))

    def test_nothing_of_what_could_not_be_read_is_ever_an_orphan(self) -> None:
        self.store(b"share")
        self.change(s0=put((0, bytes([7]) * 1_500_000)))
        for key in (self.share_key(), self.version().key):
            self.replace(key, self.bytes_of(key)[:-1])
        before = self.objects()
        self.assertEqual(self.rebuild().problem_count, 2)
        search = find_orphans(self.remote, self.index, self.clock)
        self.assertEqual(self.successResultOf(search).orphans, 0)
        self.clock.advance(2 * UNKNOWN_SECONDS)
        self.collect_everything()
        self.assertEqual(self.objects(), before)

    def test_a_version_that_lacks_a_chunk(self) -> None:
        self.change(s0=put((0, b"small")))
        self.change(s0=put((0, noise(3 * MIB))))
        chunk = max(self.objects(CHUNKS))
        self.replace(chunk, None)
        self.assert_problem(self.rebuild(), self.version_key(2), "1 of its 3 chunks")
        self.assertEqual(self.contents(), {0: b"small"})

    def test_a_version_with_a_chunk_of_another_length(self) -> None:
        self.change(s0=put((0, noise(3 * MIB))))
        chunk = max(self.objects(CHUNKS))
        self.replace(chunk, self.bytes_of(chunk)[:-1])
        self.assert_problem(self.rebuild(), "1 of its 3 chunks")

    def write_version(self, named: VersionKey, shares: Sequence[SlotShare], area: bytes) -> str:
        """A version object whose header is sealed, but says what it should not."""
        header = slot_header(
            INDEX_A, Version(9, 9), shares, 0, ENABLER, b"n" * 20, [new_lease(SECRETS, 0)]
        )
        key = str(evolve(named, size=header.length + len(area)))
        self.replace(key, header.sealed_for(key, self.sealer) + area)
        return key

    def test_a_version_whose_header_speaks_of_another(self) -> None:
        inline = [SlotShare(0, 5, b"", Inline(0))]
        for named in (
            VersionKey(INDEX_A, Version(9, 8), TXN, 0),
            VersionKey(INDEX_A, Version(8, 9), TXN, 0),
            VersionKey(INDEX_B, Version(9, 9), TXN, 0),
        ):
            key = self.write_version(named, inline, b"share")
            self.assert_problem(self.rebuild(), key, "another version")
            self.replace(key, None)

    def test_a_version_whose_shares_do_not_fit_in(self) -> None:
        named = VersionKey(INDEX_A, Version(9, 9), TXN, 0)
        for share, words in (
            (SlotShare(0, 5, b"", Inline(1)), "does not fit"),
            (SlotShare(0, 5, b"", (Chunk(None, 4),)), "do not make it up"),
            (SlotShare(0, 5, b"", (Chunk(None, 4), Chunk(None, 1))), "do not make it up"),
        ):
            key = self.write_version(named, [share], b"share")
            self.assert_problem(self.rebuild(), key, words)
            self.replace(key, None)

    def test_an_object_that_is_listed_but_not_there(self) -> None:
        self.store(b"share")
        self.change(s0=put((0, b"slot")))
        self.remote.read_fates = [missing, missing]
        self.assertEqual(self.rebuild().problem_count, 2)

    def test_a_head_that_cannot_be_read(self) -> None:
        self.change(s0=put((0, noise(2 * MIB))))
        chunk = next(iter(self.version().chunk_keys()))
        self.remote.shortened.update(self.objects(CHUNKS))
        self.assert_problem(self.rebuild(), "shorter than listed")
        self.remote.shortened.clear()
        corrupt = ObjectCorrupt("attic", "get_object", f"{chunk} has a wrong tag")
        self.remote.read_fates = [None, lambda _: fail(corrupt)]
        self.assert_problem(self.rebuild(), "wrong tag")
        self.assertEqual(self.rebuild().problems, ())

    def version_key(self, place: int) -> str:
        """The key of the slot's oldest version but one, and so on."""
        parsed = [parse_key(key) for key in self.objects(SLOTS)]
        keys = [key for key in parsed if isinstance(key, VersionKey)]
        return str(sorted(keys, key=lambda key: key.version)[place - 1])

    def test_a_provider_that_cannot_be_read_just_now_fails_the_rebuild(self) -> None:
        self.store(b"share")
        self.store(b"share", 1)
        self.remote.read_fates = [busy]
        index = self.new_index(2)
        rebuilding = rebuild(self.remote, index, self.sealer, self.clock, self.progress.append)
        self.assertIn("slow down", self.failureResultOf(rebuilding).getErrorMessage())
        self.assertEqual(self.rebuild().shares, 2)
