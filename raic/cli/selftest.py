"""``raic selftest``: a client's visit to a running node."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from attrs import asdict, field, frozen

from raic.cli.failing import FAILED
from raic.cli.pinned import Answer, PinnedClient, Unexpected, parse_nurl
from raic.config.loading import load_config
from raic.config.servers import FOLDER
from raic.errors import ConfigurationError, IdentityError
from raic.shares.keys import encode_index

ANSWER_SECONDS = 30.0
SHARE_BYTES = 64 * 1024

Step = tuple[str, Callable[[], None]]


@click.command()
@click.argument("node", metavar="NODEDIR|NURL")
@click.option(
    "--thorough",
    is_flag=True,
    help="Also complete an immutable share and read it back.  It stays until its lease expires,"
    " because the protocol knows no way to delete it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def selftest(node: str, *, thorough: bool, as_json: bool) -> None:
    """Visit a running node as a client would, and leave nothing behind.

    Exits with 1 if any step fails.  NODEDIR is to be preferred: a NURL on the command line can be
    seen by other users of this machine.
    """
    client = PinnedClient(parse_nurl(_nurl(node)), ANSWER_SECONDS)
    visit = Visit(client)
    groups = [visit.version(), visit.share(), visit.slot()]
    if thorough:
        groups.append(visit.complete_share())
    outcomes: list[Outcome] = []
    try:
        for group in groups:
            for outcome in run_group(group):
                outcomes.append(outcome)
                if not as_json:
                    click.echo(outcome.line())
    finally:
        client.close()
    works = not any(each.problem for each in outcomes)
    if as_json:
        steps = [asdict(each) for each in outcomes]
        click.echo(json.dumps({"works": works, "steps": steps}, indent=2))
        click.get_current_context().exit(0 if works else FAILED)
    if not works:
        click.echo("the node does not work as it should", err=True)
        click.get_current_context().exit(FAILED)
    click.echo("the node works")


def _nurl(node: str) -> str:
    text = node
    if "://" not in node:
        path = _private(Path(node)) / "storage.nurl"
        try:
            text = path.read_text("ascii").partition("\n")[0]
        except OSError as error:
            raise IdentityError(f"{path} cannot be read: {error.strerror}") from error
    try:
        parse_nurl(text)
    except ValueError as error:
        raise ConfigurationError([f"the node's address cannot be used: {error}"]) from error
    return text


def _private(node: Path) -> Path:
    """Where a node's addresses lie.

    A node that is several servers has none of its own.  Of any other ``raic.cfg`` is not asked:
    the addresses that the running node wrote count, whatever it says by now.
    """
    if (node / FOLDER).is_dir():
        load_config(node.absolute())
    return node / "private"


@frozen
class Outcome:
    """What became of a step.

    :ivar milliseconds: how long it took.
    :ivar problem: why it failed; empty if it did not.
    """

    name: str
    milliseconds: float
    problem: str = ""

    def line(self) -> str:
        """For people."""
        took = f"{self.milliseconds:9.1f} ms"
        if self.problem:
            return f"FAILED {took}  {self.name}: {self.problem}"
        return f"ok     {took}  {self.name}"


def run_group(steps: Iterator[Step]) -> Iterator[Outcome]:
    """Run steps, each needing the one before, up to the first that fails."""
    for name, step in steps:
        begun = time.perf_counter()
        try:
            step()
        except Unexpected as error:
            yield Outcome(name, _elapsed(begun), str(error))
            return
        yield Outcome(name, _elapsed(begun))


def _elapsed(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 1)


def expect(condition: bool, otherwise: str) -> None:
    """:raises Unexpected: the condition does not hold."""
    if not condition:
        raise Unexpected(otherwise)


def _secret() -> bytes:
    return os.urandom(32)


@frozen
class Visit:
    """The requests of a visit, under storage indexes that nobody else has."""

    client: PinnedClient
    data: bytes = field(factory=lambda: os.urandom(SHARE_BYTES), repr=False)
    lease: dict[str, bytes] = field(
        factory=lambda: {"lease-renew-secret": _secret(), "lease-cancel-secret": _secret()},
        repr=False,
    )
    upload: dict[str, bytes] = field(factory=lambda: {"upload-secret": _secret()}, repr=False)

    def version(self) -> Iterator[Step]:
        """What the node says of itself."""

        def ask() -> None:
            message = self.client.request("GET", "version", 200).message()
            sizes = message.get(b"http://allmydata.org/tahoe/protocols/storage/v1", {})
            expect(
                sizes.get(b"maximum-immutable-share-size", 0) >= SHARE_BYTES,
                "it takes no shares: it is full or read-only",
            )

        yield "version", ask

    def share(self) -> Iterator[Step]:
        """An immutable share, written in part and given up."""
        path = _immutable()
        half = SHARE_BYTES // 2

        def write_half() -> None:
            answer = self._write(path, self.data[:half], 200)
            required = answer.message().get("required")
            expect(
                required == [{"begin": half, "end": SHARE_BYTES}],
                "it does not know what is left to be written",
            )

        def look() -> None:
            listed = self.client.request("GET", f"{path}/shares", 200).message()
            expect(not listed, "it lists an unfinished share")
            self.client.request("GET", f"{path}/0", 404)

        def abort() -> None:
            self.client.request("PUT", f"{path}/0/abort", 200, secrets=self.upload)

        def look_again() -> None:
            self.client.request("PUT", f"{path}/0/abort", 404, secrets=self.upload)

        yield "immutable share: allocate", lambda: self._allocate(path)
        yield "immutable share: write half of it", write_half
        yield "immutable share: it is not visible yet", look
        yield "immutable share: abandon it", abort
        yield "immutable share: it is gone", look_again

    def slot(self) -> Iterator[Step]:
        """A slot: created, read, changed, deleted."""
        path = f"mutable/{encode_index(os.urandom(16))}"
        enabler = {"write-enabler": _secret(), **self.lease}
        changed = b"changed" + self.data[7:]

        def write(offset: int, data: bytes, length: int | None, before: bytes) -> None:
            vectors = {
                "test": [{"offset": 0, "size": len(before) or 1, "specimen": before}],
                "write": [{"offset": offset, "data": data}] if data else [],
                "new-length": length,
            }
            message = {"test-write-vectors": {0: vectors}, "read-vector": []}
            answer = self.client.request(
                "POST", f"{path}/read-test-write", 200, secrets=enabler, message=message
            )
            expect(answer.message().get("success") is True, "the comparison failed")

        def refused() -> None:
            message = {
                "test-write-vectors": {
                    0: {"test": [], "write": [{"offset": 0, "data": b"x"}], "new-length": None}
                },
                "read-vector": [],
            }
            self.client.request(
                "POST",
                f"{path}/read-test-write",
                401,
                secrets={**enabler, "write-enabler": _secret()},
                message=message,
            )

        def gone() -> None:
            listed = self.client.request("GET", f"{path}/shares", 200).message()
            expect(not listed, "it lists a deleted share")

        yield "slot: create", lambda: write(0, self.data, None, b"")
        yield "slot: read back", lambda: self._read_back(path, self.data)
        yield "slot: change, after a comparison", lambda: write(0, b"changed", None, self.data[:64])
        yield "slot: read the change", lambda: self._read_back(path, changed)
        yield "slot: another write enabler is refused", refused
        yield "slot: delete", lambda: write(0, b"", 0, b"changed")
        yield "slot: it is gone", gone

    def complete_share(self) -> Iterator[Step]:
        """An immutable share that stays."""
        path = _immutable()
        yield "complete share: allocate", lambda: self._allocate(path)
        yield "complete share: write", lambda: self._write_all(path)
        yield "complete share: read back", lambda: self._read_back(path, self.data)

    def _allocate(self, path: str) -> None:
        message = {"share-numbers": {0}, "allocated-size": SHARE_BYTES}
        answer = self.client.request(
            "POST", path, 200, secrets={**self.upload, **self.lease}, message=message
        )
        expect(set(answer.message().get("allocated", ())) == {0}, "it declined the share")

    def _write_all(self, path: str) -> None:
        self._write(path, self.data, 201)

    def _write(self, path: str, data: bytes, expected: int) -> Answer:
        return self.client.request(
            "PATCH",
            f"{path}/0",
            expected,
            secrets=self.upload,
            headers={"Content-Range": f"bytes 0-{len(data) - 1}/{SHARE_BYTES}"},
            body=data,
        )

    def _read_back(self, path: str, data: bytes) -> None:
        whole = self.client.request("GET", f"{path}/0", 200)
        expect(whole.body == data, "it answers with other bytes")
        part = self.client.request(
            "GET", f"{path}/0", 206, headers={"Range": f"bytes=1000-{len(data) + 999}"}
        )
        expect(part.body == data[1000:], "it answers a range with other bytes")


def _immutable() -> str:
    return f"immutable/{encode_index(os.urandom(16))}"
