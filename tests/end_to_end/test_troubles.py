"""A running node tells of each trouble of its cloud once, and once when it is over."""

from __future__ import annotations

import contextlib  # trial would take a "suppress" in the module for one of its own
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from twisted.internet import reactor  # noqa: TID251 - a server and a process are the point
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.backends.s3 import little as s3
from tests.backends.scenarios.matrix import HANG, RESET
from tests.backends.scenarios.worlds import Interceptor
from tests.end_to_end.cloud_nodes import QuickCloudNode
from tests.end_to_end.processes import Program, ProgramFailed, installed
from tests.services.certificates import loopback_certificate
from tests.services.moto import S3Endpoint
from tests.services.scripted_http import Answer, Request, ScriptedServer, Then

QUICKLY = """
import socket, sys
from pathlib import Path
from attrs import evolve
import raic.assembly.members as members
import raic.assembly.status.probing as probing
import raic.backends.layers.troubles as troubles
import raic.backends.partupload as partupload
import raic.server.space as space
import raic.shares.collector as collector
import raic.shares.ownership as ownership
from raic.backends.layers.circuit import CircuitSettings
from raic.backends.layers.stack import wrap_in_layers
from raic.backends.layers.retries import RetryPolicy
ownership.INTERVAL_SECONDS = 0.5
space.REFRESH_SECONDS = 0.2
collector.INTERVAL_SECONDS = 0.2
probing.LOOK_SECONDS = 0.05
probing.INTERVAL_SECONDS = probing.SOON_SECONDS = 0.2
probing.AGAIN_SECONDS = 0.05
probing.ANSWER_SECONDS = probing.SILENT_SECONDS = 0.3
probing.FRESH_SECONDS = 0.05
troubles.CALM_SECONDS = troubles.LONGEST_CALM_SECONDS = 0.6
partupload.ATTEMPTS = 2
def quick(leaf, settings, clock, random, **more):
    circuit = CircuitSettings(pause=0.1, longest_pause=0.2, patience=0.3)
    retry = RetryPolicy(attempts=3, first_pause=0.02, longest_pause=0.05, missing=1.0)
    settings = evolve(settings, circuit=circuit, retry=retry)
    return wrap_in_layers(leaf, settings, clock, random, **more)
members.wrap_in_layers = quick
resolve = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    if Path(sys.argv[-1], "no-names").exists():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return resolve(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
from raic.cli import main
main(sys.argv[1:])
"""
"""As in production, a tenth of the time or less; and names are not found while a file says so."""

SECONDS = 30.0


class TroubledCloudNode(QuickCloudNode):
    """Everything in it that may complain does so often."""

    def begin(self, *options: str) -> None:
        """Start it, and return at once."""
        command = (installed("python"), "-c", QUICKLY, "run", *options, str(self.folder))
        self.program = Program(command, self.log(), self._secrets)


class ListedS3(s3.LittleS3):
    """One whose objects are listed."""

    def _list(self, request: Request) -> Answer:
        begin = f"{request.path}/".replace("//", "/")
        names = {name.removeprefix(begin): len(data) for name, data in self.objects.items()}
        found = "".join(
            f"<Contents><Key>{name}</Key><Size>{size}</Size></Contents>"
            for name, size in sorted(names.items())
            if name.startswith(request.query["prefix"])
        )
        inner = f"<Name>container</Name>{found}"
        return Answer(200, f"<ListBucketResult>{inner}</ListBucketResult>".encode())


@frozen
class Case:
    """A trouble, and what the node says of it.

    :ivar begin: puts the cloud in trouble.
    :ivar says: what the one line matches; None where there is none.
    :ivar end: ends what the script does not.
    :ivar over: whether it is said when it is over.
    """

    name: str
    begin: Callable[[], object]
    says: str | None
    end: Callable[[], object] = lambda: None
    over: bool = True


@pytest.mark.service
class TroublesOfACloud(TestCase):
    timeout = 600

    async def begin(self) -> None:
        """Start a node on a server that does as a script says."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.context, trusted = loopback_certificate(folder / "good")
        self.contexts = [self.context.getContext()]
        self.contexts += [loopback_certificate(folder / "other")[0].getContext()]
        self.script = Interceptor(ListedS3(), _operation_of)
        self.server = ScriptedServer(reactor, self.script, self.context)
        self.addCleanup(self.server.stop)
        endpoint = S3Endpoint(self.server.url, "key-id", "secret")
        self.node = TroubledCloudNode(folder / "node", endpoint, "container", "home")
        more = {"ca_bundle": str(Path(trusted).resolve()), "region": "us-east-1"}
        more |= {"addressing_style": "path", "connect_timeout": "1", "read_timeout": "1"}
        # What the troubles leave half sent need not end.
        self.node.configure({"provider:cloud": more, "node": {"stop_seconds": "0"}})
        self.no_names = self.node.folder / "no-names"
        self.addCleanup(lambda: deferToThread(self.node.stop))
        await deferToThread(self.node.start)
        self.number = 0
        await deferToThread(self.use)

    def use(self) -> None:
        """Do everything that a client does, whatever comes of it."""
        self.number += 1
        node, new, old = self.node, b"%016d" % self.number, b"%016d" % 1
        acts: Sequence[Callable[[], object]] = (
            lambda: node.store(new, b"x" * 1000),
            lambda: node.write_slot(new, b"data"),
            lambda: node.read(old),
        )
        for act in acts:
            with contextlib.suppress(Exception):
                act()

    def said(self) -> list[str]:
        """The lines of the log so far."""
        return [line for line in self.node.running().output().splitlines() if "Z " in line]

    async def suffer(self, case: Case) -> None:
        """Be in trouble until all who may say so could, then no more."""
        before = len(self.said())
        await maybeDeferred(case.begin)
        for _ in range(2):
            await deferToThread(self.use)
        self.script.heal()
        await maybeDeferred(case.end)
        self.script.land()
        await deferToThread(self.recover, before, case)
        lines = self.said()[before:]
        text = "\n".join([case.name, *lines])
        over = [line for line in lines if "cloud answers again: " in line]
        troubles = [line for line in lines if line not in over]
        self.assertEqual(len(over), int(case.says is not None and case.over), text)
        self.assertEqual(len(troubles), int(case.says is not None), text)
        if case.says is not None:
            self.assertRegex(troubles[0], case.says)

    def recover(self, before: int, case: Case) -> None:
        """Use the node until it is well, and says so."""

        def is_well() -> bool:
            self.use()
            is_over = any("answers again" in line for line in self.said()[before:])
            return (is_over or case.says is None or not case.over) and self.node.largest_share() > 0

        with contextlib.suppress(ProgramFailed):
            self.node.running().wait_for(is_well, "well", SECONDS)

    async def test_each_is_told_once_and_once_when_it_is_over(self) -> None:
        await self.begin()
        for case in self.cases():
            await self.suffer(case)

    def cases(self) -> Iterator[Case]:
        """What is scripted, one after the other."""
        away = r"(ProviderUnreachable|ProviderTimedOut|ProviderBusy|OutcomeUnknown): cloud: \w+: "
        page = "check the network and the provider's own status page"
        yield Case("refused", self.server.refuse, away + ".*check", self.server.accept)
        yield Case("no names", self.lose_names, away + ".*check", self.no_names.unlink)
        yield Case("hang", lambda: self.always(HANG), away + f".*{page}")
        yield Case("reset", lambda: self.always(RESET), away + f".*{page}")
        yield Case("reset in a body", lambda: self.cut(Then.RESET), away + f".*{page}")
        yield Case("truncated body", lambda: self.cut(Then.CLOSE), away + f".*{page}")
        for status in (500, 503, 429):
            answer = Answer(status, headers={"Retry-After": "0.02"})
            yield Case(str(status), partial(self.always, answer), away + ".*nothing")
        denied = s3.error(403, "AccessDenied")
        yield Case("403", lambda: self.always(denied), r"AccessDenied: cloud: \w+: .*rights")
        missing = s3.error(404, "NoSuchKey")
        yield Case("404 once", lambda: self.wrong(read=[missing] * 2), None)
        yield Case(
            "404",
            lambda: self.always_for(read=missing),
            r"ObjectNotFound: cloud: \w+: .*raic restore",
            over=False,
        )
        full = s3.error(403, "QuotaExceeded")
        yield Case("full", lambda: self.always_for(write=full), r"NoSpace: cloud: \w+: .*quota")
        skewed = s3.error(403, "RequestTimeTooSkewed")
        yield Case("clock", lambda: self.always(skewed), r"AccessDenied: cloud: \w+: .*clock")
        gone = s3.error(404, "NoSuchBucket")
        says = r"StorageUnusable: cloud: \w+: .*create the container"
        yield Case("vanished", lambda: self.always(gone), says)
        says = r"StorageUnusable: cloud: \w+: .*ca_bundle"
        yield Case("certificate", self.exchange, says, self.exchange)
        says = r"OutcomeUnknown: cloud: \w+: "
        yield Case("lands later", lambda: self.always_for(write=HANG), says)

    # Troubles

    def always(self, answer: Answer) -> None:
        """Whatever is asked."""
        self.script.everything = answer

    def always_for(self, **answers: Answer) -> None:
        """Whatever of these kinds is asked."""
        self.script.always = dict(answers)

    def wrong(self, **answers: list[Answer]) -> None:
        """A few times."""
        self.script.wrong = dict(answers)

    def cut(self, then: Then) -> None:
        """No object comes to its end."""

        def half(request: Request) -> Answer:
            answer = self.script.right(request)
            if answer.status != 206:
                return answer
            length = len(answer.body)
            return evolve(answer, body=answer.body[: length // 2], announced=length, then=then)

        self.script.always = {"read": half}

    def lose_names(self) -> Deferred[Any]:
        """Names are not found, once connections are lost."""
        self.no_names.touch()
        return self.server.refuse().addCallback(lambda _: self.server.accept())

    def exchange(self) -> Deferred[Any]:
        """Listen with another certificate."""
        self.contexts.reverse()
        self.context._context = self.contexts[0]
        return self.server.refuse().addCallback(lambda _: self.server.accept())


def _operation_of(request: Request) -> str:
    names = {"put": "write", "get": "read", "list": "list", "delete": "delete"}
    return names.get(s3.request_name(request), "other")
