"""Clouds on a scripted server, with everything that a node puts before them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from threading import enumerate as threads
from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher

from raic.backends import partupload
from raic.backends.blocking import BlockingProvider
from raic.backends.layers.retries import RetryPolicy
from raic.backends.layers.stack import Layers, LayerSettings, wrap_in_layers
from raic.backends.libcloud import LibcloudProvider, LibcloudSettings
from raic.backends.s3 import S3Credentials, S3Provider, S3Settings
from raic.backends.swift import SwiftProvider, SwiftSettings
from raic.backends.tagging import TaggingProvider
from raic.interfaces import IStorageProvider
from tests.backends.libcloud import little as azure
from tests.backends.s3 import little as s3
from tests.backends.swift import little as swift
from tests.contracts.consumer import Collector
from tests.contracts.driving import ReactorSuite, reactor
from tests.services.certificates import loopback_certificate
from tests.services.scripted_http import Answer, Request, Script, ScriptedServer

KEY = "shares/aa/x"
DATA = b"0123456789" * 100
TAG_KEY = bytes(range(32))
ATTEMPTS = 3

Call = Callable[[IStorageProvider], Deferred[Any]]


async def _uploaded(provider: IStorageProvider) -> object:
    upload = provider.open_upload(KEY, len(DATA))
    await upload.write(DATA)
    return await upload.finish()


CALLS: dict[str, Call] = {
    "put_object": lambda provider: provider.put_object(KEY, DATA),
    "finish": lambda provider: Deferred.fromCoroutine(_uploaded(provider)),
    "get_object": lambda provider: provider.get_object(KEY, 0, len(DATA)),
    "stream_object": lambda provider: provider.stream_object(KEY, 0, len(DATA), Collector()),
    "list_objects": lambda provider: provider.list_objects("shares/", None),
    "delete_objects": lambda provider: provider.delete_objects([KEY]),
}
"""By name of operation: a call of it, which is about an object that was stored before."""

WRITES = ("put_object", "finish")
READS = ("get_object", "stream_object")


class Interceptor:
    """A script that a test can interfere with.

    :ivar wrong: by operation, what comes in place of right answers: one each.
    :ivar always: by operation, what comes once those are used up.
    :ivar everything: the answer to each request there is; None for none.
    :ivar held: the writes that were not answered, and not carried out.
    """

    def __init__(self, right: Script, operation_of: Callable[[Request], str]) -> None:
        self.right = right
        self._operation_of = operation_of
        self.wrong: dict[str, list[Answer]] = {}
        self.always: dict[str, Answer | Script] = {}
        self.everything: Answer | Script | None = None
        self.held: list[Request] = []
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Answer:
        operation = self._operation_of(request)
        self.asked.append(operation)
        answer: Answer | Script | None = self.everything
        if answer is None:
            waiting = self.wrong.get(operation)
            answer = waiting.pop(0) if waiting else self.always.get(operation)
        if answer is None:
            return self.right(request)
        if not isinstance(answer, Answer):
            answer = answer(request)
        if answer.silent and operation == "write":
            self.held.append(request)
        return answer

    def land(self) -> None:
        """Carry out what was held, a minute later."""
        held, self.held = self.held, []
        for request in held:
            self.right(request)

    def heal(self) -> None:
        """Answer as is right from now on."""
        self.wrong.clear()
        self.always = {}
        self.everything = None


class World(ReactorSuite):
    """A server, a leaf that is started, and stacks of layers around it.

    :cvar kinds: by operation of the provider, which requests it consists of in the main: ``read``,
        ``write``, ``list`` or ``delete``, as :meth:`operation_of` calls them.
    :cvar look: the request that finds an object missing.
    :cvar quota: the answer to a write that finds the service full.
    :cvar denied: the answer to whom may not.
    :cvar missing: the answer where there is no object.
    :cvar vanished: the answer where there is no container.
    :ivar logged: what was said at level warn and above.
    """

    name = "cloud"
    kinds: dict[str, str] = {  # noqa: RUF012  # never altered
        **{"put_object": "write", "finish": "write", "get_object": "read"},
        **{"stream_object": "read", "list_objects": "list", "delete_objects": "delete"},
    }
    look = "read"
    quota = Answer(507)
    denied = Answer(403)
    missing = Answer(404)
    vanished: Answer | Script = Answer(404)
    tls = False
    leaf: BlockingProvider
    shift = 0.0

    def setUp(self) -> Deferred[None] | None:  # type: ignore[override]  # trial waits for it
        self.patch(partupload, "FIRST_PAUSE", 0.01)
        self.logged: list[str] = []
        observer = cast(ILogObserver, self.observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.script = Interceptor(self.make_script(), self.operation_of)
        context = None
        self.ca_bundle: str | None = None
        if self.tls:
            context, self.ca_bundle = loopback_certificate(Path(self.mktemp()))
        self.server = ScriptedServer(reactor, self.script, context)
        self.addCleanup(self.server.stop)
        self.addCleanup(self.assert_no_thread)  # after all leaves were stopped
        self.secret = "the-first-secret"
        return self.drive(self.start())

    async def start(self) -> None:
        await self.restart()

    async def restart(self, **changed: Any) -> None:
        """Start another leaf."""
        leaf = self.make_leaf(**changed)
        self.leaf = leaf
        self.addCleanup(leaf.stop)
        await leaf.start()
        self.script.asked.clear()

    def make_script(self) -> Script:
        raise NotImplementedError

    def operation_of(self, request: Request) -> str:
        raise NotImplementedError

    def make_leaf(self, **changed: Any) -> BlockingProvider:
        raise NotImplementedError

    def objects(self) -> dict[str, bytes]:
        """What is stored, by the service's own names."""
        raise NotImplementedError

    def layers(self, **changed: Any) -> Layers:
        """A new stack, which has seen no failure yet."""
        settings = LayerSettings(
            cache=None,
            retry=RetryPolicy(attempts=ATTEMPTS, first_pause=0.01, longest_pause=0.02, ratio=1.0),
        )
        protect = partial(TaggingProvider, key=TAG_KEY)
        settings = evolve(settings, **changed)
        return wrap_in_layers(self.leaf, settings, reactor, Random(1), protect=protect)

    async def store(self) -> None:
        """Have the object there that reads and deletions are about."""
        await self.layers().provider.put_object(KEY, DATA)
        self.script.asked.clear()

    def user(self) -> str:
        """Whose secret it is: ``first`` or ``second``."""
        return self.secret.split("-")[1]

    def remote(self) -> tuple[str, int]:
        """The server's host and port."""
        host, port = self.server.url.split("//")[1].split(":")
        return host, int(port)

    def observe(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) >= LogLevel.warn:
            self.logged.append(formatEvent(event))

    def assert_no_thread(self) -> None:
        """Every thread of the leaf's ends, and soon."""
        for thread in threads():
            if thread.name.startswith(f"{self.name}-"):
                thread.join(10)
                self.assertFalse(thread.is_alive(), thread.name)


class S3World(World):
    """S3, by boto3."""

    quota = s3.error(403, "QuotaExceeded")
    denied = s3.error(403, "AccessDenied")
    missing = s3.error(404, "NoSuchKey")
    vanished = s3.error(404, "NoSuchBucket")

    def make_script(self) -> Script:
        self.s3 = s3.LittleS3()
        return self.s3

    def operation_of(self, request: Request) -> str:
        names = {"put": "write", "get": "read", "list": "list", "delete": "delete"}
        return names.get(s3.request_name(request), "other")

    def make_leaf(self, **changed: Any) -> BlockingProvider:
        known: dict[str, Any] = {
            "region": "us-east-1",
            "endpoint_url": self.server.url,
            "addressing_style": "path",
            "ca_bundle": self.ca_bundle,
        }
        settings = S3Settings("container", **{**known, **changed})
        return S3Provider(
            self.name, settings, lambda: S3Credentials(self.user(), self.secret), reactor
        )

    def objects(self) -> dict[str, bytes]:
        return self.s3.objects


class SwiftWorld(World):
    """Swift with Keystone, by libcloud's driver and ours."""

    quota = Answer(413)

    def make_script(self) -> Script:
        self.swift = swift.LittleSwift()
        self.swift.keys = {"the-first-secret", "the-second-secret"}
        return self._right

    def _right(self, request: Request) -> Answer:
        self.swift.url = self.server.url
        return self.swift(request)

    def operation_of(self, request: Request) -> str:
        if swift.is_sign_in(request):
            return "sign_in"
        if request.path == swift.CONTAINER:
            is_list = request.method == "GET" and "delimiter" not in request.query
            return "list" if is_list else "other"
        names = {"PUT": "write", "GET": "read", "DELETE": "delete"}
        return names.get(request.method, "other")

    def make_leaf(self, **changed: Any) -> BlockingProvider:
        known: dict[str, Any] = {
            "auth_url": f"{self.server.url}/identity/v3",
            "project": "the-project",
            "region": "here",
            "ca_bundle": self.ca_bundle,
        }
        settings = SwiftSettings("container", **{**known, **changed})
        return SwiftProvider(
            self.name, settings, lambda: {"user": swift.USER, "key": self.secret}, self.clock()
        )

    def clock(self) -> Any:
        return _Shifted(self)

    def objects(self) -> dict[str, bytes]:
        return self.swift.objects


class AzureWorld(World):
    """Azure Blobs, by libcloud."""

    look = "look"

    def make_script(self) -> Script:
        self.azure = azure.LittleAzure()
        return self.azure

    def operation_of(self, request: Request) -> str:
        names = {"put": "write", "get": "read", "list": "list", "delete": "delete", "head": "look"}
        return names.get(azure.request_name(request), "other")

    def make_leaf(self, **changed: Any) -> BlockingProvider:
        host, port = self.remote()
        known: dict[str, Any] = {
            "host": host,
            "port": port,
            "secure": self.tls,
            "ca_bundle": self.ca_bundle,
        }
        settings = LibcloudSettings("azure_blobs", "container", **{**known, **changed})
        return LibcloudProvider(self.name, settings, self.credentials, reactor)

    def credentials(self) -> dict[str, str]:
        return {"key": self.user(), "secret": b64encode(self.secret.encode()).decode()}

    def objects(self) -> dict[str, bytes]:
        return self.azure.objects


class _Shifted:
    """The reactor, at another time: ``world.shift`` seconds later than it is."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def seconds(self) -> float:
        return float(reactor.seconds()) + self._world.shift
