"""Certifications of providers that do what they should, and of those that do not."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from raic.backends.certify import CHECKS, FOLDER, Result
from raic.backends.layers.forwarding import ForwardingProvider
from raic.backends.memory import MemoryProvider
from raic.errors import AccessDenied, ProviderBusy
from raic.interfaces import IInterruptedUploads, IServiceTraits, IShortPages
from raic.values import ObjectPage
from tests.backends.certify.world import (
    NOW,
    OPTIONS,
    CertifyCase,
    HidesParents,
    KeepsDeleted,
    ListsDeleted,
    Overwrites,
    ShowsUnfinished,
    Shuffles,
    Transforms,
)


class Passing(CertifyCase):
    def test_every_check_is_made_and_nothing_is_left(self) -> None:
        found = self.certify()
        self.assertEqual(self.failed(found), [])
        names = ["access", *(check.name for check in CHECKS), "nothing left behind"]
        self.assertEqual([row.check for row in found.rows], names)
        self.assertEqual(self.named, names)
        self.assertEqual(self.of(found, Result.NOT_OFFERED), ["clock"])
        self.assertEqual(self.objects(), [])
        self.assertEqual((found.left, found.interrupted, found.emulated), ((), False, {}))

    def test_what_was_measured_is_told(self) -> None:
        figures = self.certify().figures
        for name in ("put_p50_seconds", "get_p99_seconds", "delete_p99_seconds"):
            self.assertEqual(figures[name], 0.0)
        self.assertEqual(figures["connections"], 3)
        self.assertGreater(figures["upload_bytes_per_second"], 0)

    def test_other_objects_are_left_alone(self) -> None:
        self.successResultOf(self.memory.start())
        for key in ("shares/aa/x", "claims/y", "certificate"):
            self.successResultOf(self.memory.put_object(key, b"kept"))
        self.assertEqual(self.failed(self.certify()), [])
        self.assertEqual(self.objects(), ["certificate", "claims/y", "shares/aa/x"])

    def test_a_listing_that_is_a_little_late_is_waited_for(self) -> None:
        found = self.certify(ListsDeleted(self.memory, 4))
        self.assertEqual(self.failed(found), [])
        self.assertGreater(found.figures["deleted_after_seconds"], 0.2)

    def test_keys_that_can_be_overwritten_are_no_failure(self) -> None:
        found = self.certify(Overwrites(self.memory))
        self.assertEqual(self.failed(found), [])
        self.assertIn("conditional create", self.of(found, Result.NOT_OFFERED))

    def test_a_type_that_knows_no_short_pages_is_not_blamed(self) -> None:
        found = self.certify(leaf=ForwardingProvider(self.memory))
        self.assertEqual(self.of(found, Result.NOT_OFFERED), ["clock", "pages of a listing"])

    def test_what_the_provider_does_itself_is_called_emulated(self) -> None:
        emulating = _Emulating(self.memory)
        found = self.certify(emulating, emulating)
        self.assertEqual(self.failed(found), [])
        self.assertEqual(self.of(found, Result.EMULATED), ["large object", "ranges"])
        self.assertEqual(found.emulated, emulating.emulated())
        self.assertIn("in pieces", self.row(found, "large object").detail)

    def test_objects_of_another_run_are_mentioned(self) -> None:
        self.successResultOf(self.memory.start())
        self.successResultOf(self.memory.put_object(f"{FOLDER}other/x", b""))
        found = self.certify()
        self.assertEqual(self.of(found, Result.WARNING), ["nothing left behind"])
        self.assertIn("certify memory --clean", self.row(found, "nothing left behind").remedy)
        self.assertEqual(self.objects(), [f"{FOLDER}other/x"])


class Failing(CertifyCase):
    """The right row fails, and only that, as far as others do not need what it lacks."""

    def test_deletions_that_do_nothing(self) -> None:
        found = self.certify(KeepsDeleted(self.memory))
        self.assertEqual(self.failed(found), ["deleting", "nothing left behind"])
        self.assertIn("can still be read", self.row(found, "deleting").detail)
        self.assertEqual(sorted(found.left), self.objects())
        self.assertIn("--clean", self.row(found, "nothing left behind").remedy)

    def test_what_was_deleted_stays_listed(self) -> None:
        found = self.certify(ListsDeleted(self.memory, 1000))
        self.assertIn("deleting", self.failed(found))
        self.assertIn("is still listed", self.row(found, "deleting").detail)

    def test_a_listing_without_order(self) -> None:
        found = self.certify(Shuffles(self.memory))
        self.assertIn("listing after write", self.failed(found))
        self.assertIn("ascending", self.row(found, "listing after write").detail)

    def test_newlines_that_are_changed(self) -> None:
        changed = Transforms(self.memory, lambda data: data.replace(b"\r\n", b"\n"))
        found = self.certify(changed)
        self.assertIn("exact bytes", self.failed(found))
        self.assertIn("lines.txt", self.row(found, "exact bytes").detail)

    def test_a_flipped_bit(self) -> None:
        def flip(data: bytes) -> bytes:
            return data[:-1] + bytes([data[-1] ^ 1]) if data else data

        found = self.certify(Transforms(self.memory, flip))
        for check in ("create and read back", "ranges", "exact bytes", "latency", "at once"):
            self.assertIn(check, self.failed(found))

    def test_keys_that_hide_one_another(self) -> None:
        found = self.certify(HidesParents(self.memory))
        self.assertEqual(self.failed(found), ["odd keys"])
        self.assertIn("there is no certify/", self.row(found, "odd keys").detail)

    def test_unfinished_objects_that_can_be_seen(self) -> None:
        found = self.certify(ShowsUnfinished(self.memory))
        self.assertEqual(self.failed(found), ["large object", "aborted upload"])
        self.assertIn("unfinished", self.row(found, "large object").detail)
        self.assertEqual(self.objects(), [])

    def test_parts_that_an_abort_leaves(self) -> None:
        leaving = _LeavesParts(self.memory)
        found = self.certify(leaving)
        self.assertEqual(self.failed(found), ["aborted upload"])
        self.assertIn("parts of 2 uploads", self.row(found, "aborted upload").detail)
        self.assertTrue(all(prefix.startswith(FOLDER) for prefix in leaving.cleared))

    def test_answers_that_are_cut_short(self) -> None:
        self.plan.truncate("get_object", 1000, times=None)
        found = self.failed(self.certify())
        self.assertEqual(
            found,
            [
                "create and read back",
                "ranges",
                "exact bytes",
                "latency",
                "at once",
            ],
        )

    def test_streams_that_are_cut_short(self) -> None:
        self.plan.truncate("stream_object", 250_000, times=None)
        found = self.failed(self.certify())
        self.assertEqual(found, ["create and read back", "large object", "ranges", "throughput"])

    def test_a_range_with_a_wrong_byte(self) -> None:
        self.plan.corrupt("stream_object", 5, times=None)
        found = self.certify()
        self.assertIn("ranges", self.failed(found))
        self.assertIn("throughput", self.failed(found))

    def test_writes_that_are_forgotten(self) -> None:
        self.plan.forget("put_object", times=None)
        found = self.failed(self.certify())
        for check in ("create and read back", "listing after write", "odd keys", "latency"):
            self.assertIn(check, found)
        self.assertNotIn("large object", found)

    def test_uploads_that_are_forgotten(self) -> None:
        self.plan.forget("finish", times=None)
        found = self.failed(self.certify())
        self.assertEqual(found, ["create and read back", "large object", "throughput"])

    def test_an_error_fails_its_check_with_the_remedy_and_no_other(self) -> None:
        self.plan.fail("get_space", ProviderBusy)
        self.plan.fail("delete_objects", AccessDenied)
        found = self.certify()
        self.assertEqual(self.failed(found), ["deleting"])
        self.assertEqual(self.row(found, "deleting").remedy, AccessDenied.remedy)
        self.assertEqual(self.objects(), [])

    def test_an_error_that_nobody_foresaw_fails_its_check(self) -> None:
        found = self.certify(leaf=_Broken(self.memory))
        self.assertEqual(self.failed(found), ["pages of a listing"])
        self.assertIn("KeyError: 'unforeseen'", self.row(found, "pages of a listing").detail)

    def test_a_provider_that_does_not_start_is_not_looked_at_further(self) -> None:
        self.plan.fail("start", AccessDenied)
        found = self.certify()
        self.assertEqual([row.check for row in found.rows], ["access"])
        self.assertEqual(self.failed(found), ["access"])
        self.assertEqual(self.row(found, "access").remedy, AccessDenied.remedy)

    def test_a_folder_that_cannot_be_listed_in_the_end(self) -> None:
        self.plan.fail("list_objects", AccessDenied, times=None)
        found = self.certify()
        self.assertIn("nothing left behind", self.failed(found))
        self.assertTrue(found.left)
        self.assertEqual(self.objects(), [])


class Hanging(CertifyCase):
    def test_a_check_that_hangs_is_cut_off_and_the_others_are_made(self) -> None:
        self.plan.hang("stream_object", nth=4)  # of the large object
        found = self.certify()
        self.assertEqual(self.failed(found), ["large object"])
        self.assertIn("had not ended after", self.row(found, "large object").detail)
        self.assertGreater(self.clock.seconds() - NOW, OPTIONS.check_seconds)
        self.assertEqual(self.objects(), [])

    def test_a_write_that_may_yet_land_is_told(self) -> None:
        gate = self.plan.land_later("put_object", nth=2)
        found = self.certify()
        self.assertEqual(self.failed(found), ["create and read back"])
        self.assertEqual(self.of(found, Result.WARNING), ["nothing left behind"])
        self.successResultOf(self.memory.start())
        gate.release()
        self.assertEqual(list(found.left), self.objects())
        removed, left = self.cleaned()
        self.assertEqual((removed, left, self.objects()), (1, (), []))

    def test_a_write_whose_answer_was_lost_is_removed(self) -> None:
        self.plan.lose_answer("put_object", nth=2)
        found = self.certify()
        self.assertEqual(self.failed(found), ["create and read back"])
        self.assertEqual(self.objects(), [])

    def test_cleaning_up_has_its_end_too(self) -> None:
        self.plan.hang("delete_objects", times=None)
        found = self.certify()
        self.assertEqual(
            self.failed(found), ["deleting", "odd keys", "latency", "nothing left behind"]
        )
        self.assertLessEqual(set(self.objects()), set(found.left))

    def cleaned(self) -> tuple[int, tuple[str, ...]]:
        cleaning = self.certifier().clean()
        while not cleaning.called:
            self.clock.advance(1)
        return self.successResultOf(cleaning)


class Interrupting(CertifyCase):
    def interrupted(self, at: int) -> list[str]:
        self.plan.hang("get_object", nth=at)
        certifier = self.certifier()
        running = certifier.run()
        self.assertNoResult(running)
        certifier.interrupt()
        found = self.successResultOf(running)
        self.assertTrue(found.interrupted)
        self.assertFalse(found.passed)
        self.assertEqual(self.objects(), [])
        return [row.check for row in found.rows]

    def test_what_is_under_way_is_left_and_everything_removed(self) -> None:
        rows = self.interrupted(1)
        self.assertEqual(rows, ["access", "clock", "nothing left behind"])

    def test_checks_that_were_made_stay_in_the_table(self) -> None:
        self.assertEqual(self.interrupted(6)[2:4], ["create and read back", "large object"])

    def test_a_start_can_be_interrupted(self) -> None:
        self.plan.hang("start")
        certifier = self.certifier()
        running = certifier.run()
        certifier.interrupt()
        self.assertEqual(self.successResultOf(running).rows, ())

    def test_cleaning_up_cannot(self) -> None:
        gate = self.plan.hang("delete_objects", nth=7)
        certifier = self.certifier()
        running = certifier.run()
        self.assertEqual(gate.waiting, 1)
        certifier.interrupt()
        self.assertNoResult(running)
        gate.release()
        self.assertEqual(self.failed(self.completed(running)), [])
        self.assertEqual(self.objects(), [])

    def test_an_interruption_when_all_is_over_does_nothing(self) -> None:
        certifier = self.certifier()
        self.completed(certifier.run())
        certifier.interrupt()


class Cleaning(CertifyCase):
    def test_everything_of_earlier_runs_goes_and_nothing_else(self) -> None:
        self.successResultOf(self.memory.start())
        for key in (f"{FOLDER}a/1", f"{FOLDER}b/2", "shares/x"):
            self.successResultOf(self.memory.put_object(key, b""))
        cleaning = self.certifier().clean()
        self.clock.advance(5)
        self.assertEqual(self.successResultOf(cleaning), (2, ()))
        self.assertEqual(self.objects(), ["shares/x"])

    def test_what_cannot_be_removed_is_told(self) -> None:
        self.successResultOf(self.memory.start())
        self.successResultOf(self.memory.put_object(f"{FOLDER}a/1", b""))
        cleaning = self.certifier(KeepsDeleted(self.memory)).clean()
        while not cleaning.called:
            self.clock.advance(1)
        self.assertEqual(self.successResultOf(cleaning), (0, (f"{FOLDER}a/1",)))


@implementer(IServiceTraits)
class _Emulating(ForwardingProvider):
    part_size = 300_000

    def emulated(self) -> dict[str, str]:
        return {"large objects": "in pieces", "ranges": "all is read"}


@implementer(IInterruptedUploads)
class _LeavesParts(ForwardingProvider):
    def __init__(self, inner: MemoryProvider) -> None:
        super().__init__(inner)
        self.cleared: list[str] = []

    def clear_interrupted_uploads(self, prefix: str) -> Deferred[int]:
        self.cleared.append(prefix)
        return succeed(2)


@implementer(IShortPages)
class _Broken(ForwardingProvider):
    def list_some(self, prefix: str, token: str | None, limit: int) -> Deferred[ObjectPage]:
        raise KeyError("unforeseen")
