"""Tells introducers where the node is, so that clients find it."""

from __future__ import annotations

import json
from base64 import b32encode
from collections.abc import Callable, Mapping, Sequence
from os import urandom
from pathlib import Path
from typing import Any

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from foolscap.api import DeadReferenceError, Referenceable, RemoteException, Tub
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

import raic

OLDEST_SUPPORTED = "1.0"

RETRY_SECONDS = 120.0
"""The longest wait before an introducer that is down is tried again."""

Message = tuple[bytes, bytes, bytes]


def make_announcement(
    *,
    nickname: str,
    furl: str,
    nurls: Sequence[str],
    permutation_seed: str,
    certificates: Sequence[Mapping[str, Any]] = (),
) -> Mapping[str, Any]:
    """What a storage node says of itself, without sequence number and nonce.

    :param nurls: empty when only Foolscap clients may come: a client that is given some never
        tries Foolscap.
    :param permutation_seed: base32.
    :param certificates: of grid managers.
    """
    announcement: dict[str, Any] = {
        "version": 0,
        "nickname": nickname,
        "app-versions": [],
        "my-version": f"raic/{raic.__version__}",
        "oldest-supported": OLDEST_SUPPORTED,
        "service-name": "storage",
        "anonymous-storage-FURL": furl,
        "permutation-seed-base32": permutation_seed,
    }
    if nurls:
        announcement["anonymous-storage-NURLs"] = list(nurls)
    if certificates:
        announcement["grid-manager-certificates"] = [dict(each) for each in certificates]
    return announcement


def sign(announcement: Mapping[str, Any], signing_key: Ed25519PrivateKey) -> Message:
    """An announcement as introducers take it: message, signature and public key."""
    message = json.dumps(announcement).encode("utf-8")
    public_key = signing_key.public_key().public_bytes_raw()
    return message, _v0(signing_key.sign(message)), _v0(public_key)


def _v0(data: bytes) -> bytes:
    return b"v0-" + _base32(data).encode("ascii")


def _base32(data: bytes) -> str:
    return b32encode(data).decode("ascii").rstrip("=").lower()


class SequenceFile:
    """The number of the last announcement, in a file.

    :param replace: writes a file atomically and durably.
    """

    def __init__(self, path: Path, replace: Callable[[Path, bytes], None]) -> None:
        self._path = path
        self._replace = replace

    def next(self) -> int:
        """A number greater than any before, on the disk before it is returned.

        :raises ValueError: the file holds no number; to start anew could repeat one.
        """
        try:
            last = int(self._path.read_text("ascii"))
        except FileNotFoundError:
            last = 0
        self._replace(self._path, f"{last + 1}\n".encode("ascii"))
        return last + 1


@frozen
class IntroducerState:
    """How things are with one introducer.

    :ivar tub_id: of the introducer.
    :ivar connected: whether it has the current announcement.
    :ivar problem: the last failure since then, if any.
    """

    tub_id: str
    connected: bool
    problem: str | None


class Announcer:
    """Publishes one announcement to every introducer, and again whenever one comes back.

    Each introducer is connected to by itself, however long it takes.

    :param tub: connects, while it runs.
    :param furls: of the introducers.
    :param announcement: called at each :meth:`announce`.
    :param next_sequence: gives numbers that grow, also across restarts: clients ignore an
        announcement that is not newer than the one they have.
    """

    _log = Logger()

    def __init__(
        self,
        tub: Tub,
        furls: Sequence[str],
        announcement: Callable[[], Mapping[str, Any]],
        signing_key: Ed25519PrivateKey,
        next_sequence: Callable[[], int],
    ) -> None:
        self._announcement = announcement
        self._signing_key = signing_key
        self._next_sequence = next_sequence
        self._tub = tub
        self._furls = tuple(dict.fromkeys(furls))
        self._introducers: dict[str, _Introducer] = {}
        self._stopped = False

    def announce(self) -> None:
        """Make the announcement anew and publish it; connect, the first time.

        Raises what ``next_sequence`` raises; then nothing has changed.
        """
        self._announce_to(self._furls)

    def move(self, furls: Sequence[str]) -> bool:
        """Go over to other introducers, if they are others: leave those that are not named any
        more, connect to new ones, and publish a new announcement at all.

        Raises what ``next_sequence`` raises; then nothing has changed.

        :return: whether they are others; False once stopped.
        """
        wanted = tuple(dict.fromkeys(furls))
        if self._stopped or set(wanted) == set(self._furls):
            return False
        if wanted:
            self._announce_to(wanted)
        else:
            self._connect_to(())
        self._furls = wanted
        self._log.info("there are {count} introducers now", count=len(wanted))
        return True

    def _announce_to(self, furls: Sequence[str]) -> None:
        numbered = {
            **self._announcement(),
            "seqnum": self._next_sequence(),
            "nonce": _base32(urandom(32)),
        }
        message = sign(numbered, self._signing_key)
        self._connect_to(furls)
        for introducer in self._introducers.values():
            introducer.publish(message)

    def _connect_to(self, furls: Sequence[str]) -> None:
        """Have exactly these introducers."""
        left = {furl: one for furl, one in self._introducers.items() if furl not in furls}
        for one in left.values():
            one.stop()
        kept = {furl: one for furl, one in self._introducers.items() if furl in furls}
        # One that only has a new address has the same connection.
        needed = {tub_id_of(furl) for furl in furls}
        for furl, one in left.items():
            if tub_id_of(furl) not in needed:
                one.disconnect()
        self._introducers = {furl: kept.get(furl) or _Introducer(self._tub, furl) for furl in furls}

    def states(self) -> tuple[IntroducerState, ...]:
        """How things are, for the operator."""
        return tuple(introducer.state() for introducer in self._introducers.values())

    def stop(self) -> None:
        """Try no more to connect."""
        self._stopped = True
        for introducer in self._introducers.values():
            introducer.stop()
        self._introducers = {}


def tub_id_of(furl: str) -> str:
    """Who is named by a FURL, wherever he is."""
    return furl.removeprefix("pb://").partition("@")[0]


class _Introducer:
    _log = Logger()

    def __init__(self, tub: Tub, furl: str) -> None:
        self._tub = tub
        self._tub_id = tub_id_of(furl)
        self._remote: Any = None
        self._message: Message | None = None
        self._published = False
        self._problem: str | None = None
        # Introducers note who is announcing by a reference to an object of the announcer's.
        self._canary = Referenceable()
        self._reconnector = tub.connectTo(furl, self._connected)
        self._reconnector.maxDelay = RETRY_SECONDS

    def publish(self, message: Message) -> None:
        self._message = message
        if self._remote is not None:
            self._send()

    def state(self) -> IntroducerState:
        return IntroducerState(self._tub_id, self._published, self._problem or self._last_failure())

    def stop(self) -> None:
        if self._tub.running:  # otherwise it has forgotten all about connecting
            self._reconnector.stopConnecting()

    def disconnect(self) -> None:
        """Close the connection, once stopped."""
        if self._remote is not None:
            self._remote.tracker.broker.shutdown(Failure(ConnectionDone()))

    def _last_failure(self) -> str | None:
        failure = None if self._remote else self._reconnector.getLastFailure()
        return failure.getErrorMessage() if failure else None

    def _connected(self, remote: Any) -> None:
        self._remote = remote
        remote.notifyOnDisconnect(self._lost, remote)
        if self._message is not None:
            self._send()

    def _lost(self, remote: Any) -> None:
        if self._remote is remote:
            self._remote = None
            self._published = False
            self._log.info("lost the introducer {tub_id}", tub_id=self._tub_id)

    def _send(self) -> None:
        sent = self._remote.callRemote(
            "publish_v2", self._message, self._canary, _resultConstraint=None
        )
        sent.addCallbacks(self._accepted, self._refused)

    def _accepted(self, _: object) -> None:
        self._published = True
        self._problem = None
        self._log.info("announced the node to the introducer {tub_id}", tub_id=self._tub_id)

    def _refused(self, failure: Failure) -> None:
        self._published = False
        if isinstance(failure.value, DeadReferenceError):
            return  # it will be sent again when the introducer is back
        error = failure.value
        remote = error.failure if isinstance(error, RemoteException) else failure
        self._problem = remote.getErrorMessage()
        self._log.error(
            "the introducer {tub_id} refused the announcement: {problem}",
            tub_id=self._tub_id,
            problem=self._problem,
        )
