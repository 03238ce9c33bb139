"""Announcing the node to introducers."""

from __future__ import annotations

import json
from base64 import b32decode
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from foolscap.api import Referenceable, Tub
from foolscap.reconnector import Reconnector
from twisted.trial.unittest import SynchronousTestCase

from raic.config.files import replace_file
from raic.server.announcer import (
    Announcer,
    IntroducerState,
    Message,
    SequenceFile,
    make_announcement,
    sign,
)
from tests.end_to_end.processes import free_port
from tests.server.foolscap.tubs import TubTestCase

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
FURL = "pb://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@tcp:127.0.0.1:1/swissnum"


def unbase32(data: bytes) -> bytes:
    assert data.startswith(b"v0-")
    return b32decode(data[3:].upper() + b"=" * (-len(data[3:]) % 8))


def tub_id(furl: str) -> str:
    return furl.removeprefix("pb://")[:32]


def read(message: Message) -> dict[str, Any]:
    """What an announcement says, once its signature is found to be right."""
    text, signature, key = message
    assert len(key) == 3 + 52
    Ed25519PublicKey.from_public_bytes(unbase32(key)).verify(unbase32(signature), text)
    said: dict[str, Any] = json.loads(text)
    return said


class AnnouncementTests(SynchronousTestCase):
    def test_it_says_what_tahoes_own_says(self) -> None:
        certificate = {"certificate": "{}", "signature": "sig"}
        said = read(
            sign(
                make_announcement(
                    nickname="Ä",
                    furl=FURL,
                    nurls=["pb://x@y:1/s#v=1"],
                    permutation_seed="abc",
                    certificates=[certificate],
                ),
                KEY,
            )
        )
        self.assertTrue(said.pop("my-version").startswith("raic/"))
        self.assertEqual(
            said,
            {
                "version": 0,
                "nickname": "Ä",
                "app-versions": [],
                "oldest-supported": "1.0",
                "service-name": "storage",
                "anonymous-storage-FURL": FURL,
                "anonymous-storage-NURLs": ["pb://x@y:1/s#v=1"],
                "permutation-seed-base32": "abc",
                "grid-manager-certificates": [certificate],
            },
        )

    def test_without_http_no_nurls_are_named(self) -> None:
        said = make_announcement(nickname="", furl=FURL, nurls=[], permutation_seed="abc")
        self.assertNotIn("anonymous-storage-NURLs", said)
        self.assertNotIn("grid-manager-certificates", said)


class SequenceTests(SynchronousTestCase):
    def test_numbers_grow_across_restarts(self) -> None:
        path = Path(self.mktemp())
        first = SequenceFile(path, replace_file)
        self.assertEqual([first.next(), first.next()], [1, 2])
        self.assertEqual(SequenceFile(path, replace_file).next(), 3)

    def test_a_number_is_on_the_disk_before_it_is_used(self) -> None:
        def full(path: Path, data: bytes) -> None:
            raise OSError("no space left")

        self.assertRaises(OSError, SequenceFile(Path(self.mktemp()), full).next)

    def test_a_file_without_a_number_is_not_begun_anew(self) -> None:
        path = Path(self.mktemp())
        path.write_text("what?")
        self.assertRaises(ValueError, SequenceFile(path, replace_file).next)


class Introducer(Referenceable):
    """Keeps what is published.

    :ivar messages: in the order of their arrival.
    """

    def __init__(self, complaint: str | None = None) -> None:
        self.messages: list[Message] = []
        self._complaint = complaint

    def remote_publish_v2(self, announcement: Message, canary: object) -> None:
        self.messages.append(announcement)
        if self._complaint is not None:
            raise RuntimeError(self._complaint)


class PublishingTests(TubTestCase):
    def setUp(self) -> None:
        self.patch(Reconnector, "initialDelay", 0.01)
        self.numbers = count(1)
        self.nickname = "first"

    def announcement(self) -> Mapping[str, Any]:
        return make_announcement(
            nickname=self.nickname, furl=FURL, nurls=[], permutation_seed="abc"
        )

    def announcer(self, *furls: str) -> Announcer:
        announcer = Announcer(
            self.new_client(), furls, self.announcement, KEY, lambda: next(self.numbers)
        )
        self.addCleanup(announcer.stop)
        return announcer

    async def test_every_introducer_is_told_once(self) -> None:
        introducers = [Introducer(), Introducer()]
        first = await self.start_server(introducers[0])
        second = str(self.server.registerReference(introducers[1]))
        announcer = self.announcer(first, second, first)
        announcer.announce()
        await self.until(lambda: all(state.connected for state in announcer.states()))
        for introducer in introducers:
            (message,) = introducer.messages
            said = read(message)
            self.assertEqual((said["seqnum"], said["nickname"]), (1, "first"))
            self.assertTrue(said["nonce"])
        self.assertEqual(announcer.states(), (IntroducerState(tub_id(first), True, None),) * 2)

    async def test_a_new_announcement_has_a_greater_number_and_another_nonce(self) -> None:
        introducer = Introducer()
        announcer = self.announcer(await self.start_server(introducer))
        announcer.announce()
        await self.until(lambda: introducer.messages)
        self.nickname = "second"
        announcer.announce()
        await self.until(lambda: len(introducer.messages) == 2)
        old, new = (read(message) for message in introducer.messages)
        self.assertEqual((new["seqnum"], new["nickname"]), (2, "second"))
        self.assertNotEqual(old["nonce"], new["nonce"])

    async def test_an_introducer_that_was_down_and_one_that_comes_back_are_told(self) -> None:
        furl = await self.start_server(Introducer())
        await self.server.stopService()
        announcer = self.announcer(furl)
        announcer.announce()
        await self.until(lambda: announcer.states()[0].problem)
        for _ in range(2):
            introducer = Introducer()
            await self.restart_at(furl, introducer)
            await self.until(lambda: announcer.states()[0].connected)
            self.assertEqual([read(each)["seqnum"] for each in introducer.messages], [1])
            self.assertIsNone(announcer.states()[0].problem)
            await self.server.stopService()
            await self.until(lambda: not announcer.states()[0].connected)

    async def test_an_introducer_that_refuses_is_named_and_keeps_nobody_waiting(self) -> None:
        introducer = Introducer()
        good = await self.start_server(introducer)
        bad = str(self.server.registerReference(Introducer("not from you")))
        announcer = self.announcer(bad, good)
        announcer.announce()
        await self.until(lambda: announcer.states()[0].problem)
        await self.until(lambda: announcer.states()[1].connected)
        refused, _ = announcer.states()
        self.assertFalse(refused.connected)
        self.assertIn("not from you", str(refused.problem))

    async def test_the_second_hint_of_an_introducer_is_tried_too(self) -> None:
        introducer = Introducer()
        furl = await self.start_server(introducer)
        announcer = self.announcer(furl.replace("@tcp:", "@tcp:127.0.0.1:1,tcp:"))
        announcer.announce()
        await self.until(lambda: introducer.messages)

    async def test_a_stopped_announcer_connects_no_more(self) -> None:
        furl = await self.start_server(Introducer())
        announcer = self.announcer(furl)
        announcer.announce()
        announcer.stop()
        self.assertEqual(announcer.states(), ())

    async def test_an_introducer_that_moved_is_left_for_where_it_is_now(self) -> None:
        old, new, both = Introducer(), Introducer(), Introducer()
        kept_furl = await self.start_server(both)
        old_tub, old_furl = self.elsewhere(old)
        _, new_furl = self.elsewhere(new)
        announcer = self.announcer(old_furl, kept_furl)
        announcer.announce()
        await self.until(lambda: old.messages and both.messages)
        self.assertTrue(announcer.move([new_furl, kept_furl]))
        await self.until(lambda: new.messages and len(both.messages) == 2)
        for introducer, numbers in ((old, [1]), (new, [2]), (both, [1, 2])):
            self.assertEqual([read(each)["seqnum"] for each in introducer.messages], numbers)
        await self.until(lambda: not old_tub.brokers)
        self.assertEqual(
            [state.tub_id for state in announcer.states()], [tub_id(new_furl), tub_id(kept_furl)]
        )

    async def test_a_move_to_the_same_introducers_is_none(self) -> None:
        introducer = Introducer()
        furl = await self.start_server(introducer)
        announcer = self.announcer(furl)
        announcer.announce()
        await self.until(lambda: introducer.messages)
        self.assertFalse(announcer.move([furl, furl]))
        self.assertEqual(next(self.numbers), 2)
        announcer.stop()
        self.assertFalse(announcer.move([]))

    async def test_a_connection_that_another_introducer_uses_stays(self) -> None:
        first, second = Introducer(), Introducer()
        furl = await self.start_server(first)
        other = str(self.server.registerReference(second))
        announcer = self.announcer(furl, other)
        announcer.announce()
        await self.until(lambda: first.messages and second.messages)
        self.assertTrue(announcer.move([other]))
        await self.until(lambda: len(second.messages) == 2)
        self.assertEqual(len(first.messages), 1)
        self.assertTrue(self.server.brokers)

    async def test_there_may_be_none_any_more_and_some_again(self) -> None:
        introducer = Introducer()
        furl = await self.start_server(introducer)
        announcer = self.announcer()
        self.assertTrue(announcer.move([furl]))
        await self.until(lambda: introducer.messages)
        self.assertTrue(announcer.move([]))
        self.assertEqual(announcer.states(), ())
        await self.until(lambda: not self.server.brokers)
        self.assertTrue(announcer.move([furl]))
        await self.until(lambda: len(introducer.messages) == 2)

    async def test_without_a_number_nothing_changes(self) -> None:
        def no_number() -> int:
            raise OSError("no space left")

        announcer = Announcer(self.new_client(), [], self.announcement, KEY, no_number)
        self.assertRaises(OSError, announcer.move, [FURL])
        self.assertEqual(announcer.states(), ())
        self.assertRaises(OSError, announcer.move, [FURL])

    async def test_one_that_has_a_new_address_is_found_there(self) -> None:
        first, second = Introducer(), Introducer()
        furl = await self.start_server(first)
        announcer = self.announcer(furl)
        announcer.announce()
        await self.until(lambda: first.messages)
        await self.server.stopService()
        new_furl = await self.start_server(second)
        self.assertEqual(tub_id(new_furl), tub_id(furl))
        self.assertTrue(announcer.move([new_furl]))
        await self.until(lambda: second.messages)
        self.assertEqual(read(second.messages[0])["seqnum"], 2)

    def elsewhere(self, offered: Referenceable) -> tuple[Tub, str]:
        """A Tub with a name and a port of its own, and the FURL of what it offers."""
        tub, port = self.new_client(), free_port()
        tub.listenOn(f"tcp:{port}:interface=127.0.0.1")
        tub.setLocation(f"tcp:127.0.0.1:{port}")
        return tub, str(tub.registerReference(offered, "introducer"))

    async def restart_at(self, furl: str, offered: Referenceable) -> None:
        """Offer another object where the last one was."""
        port = furl.partition("/swissnum")[0].rpartition(":")[2]
        await self.start_server(offered, f"tcp:{port}:interface=127.0.0.1")


class StoppedTubTests(TubTestCase):
    async def test_a_tub_that_has_stopped_can_still_be_stopped_announcing_from(self) -> None:
        tub = Tub()
        tub.startService()
        announcer = Announcer(tub, [FURL], dict, KEY, lambda: 1)
        announcer.announce()
        await tub.stopService()
        announcer.stop()
