"""``raic.cfg``, changed under a running node."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from raic.assembly import StorageNode
from raic.assembly.reloading import NOT_SHOWN, Reloaded
from raic.cli.node_link import NodeLink
from raic.config.loading import load_config
from raic.config.schema import SCHEMA
from raic.errors import ConfigurationError, OperationRefused
from tests.config.nodes import node_directory
from tests.contracts.driving import reactor
from tests.end_to_end.processes import free_port
from tests.services.moto import moto_endpoint

FURL = f"pb://{'a' * 32}@tcp:127.0.0.1:{{}}/swissnum"

Look = Callable[["Parts"], Any]


class Parts:
    """What of a running node a change must reach."""

    def __init__(self, node: StorageNode, levels: list[str]) -> None:
        found = {type(getattr(each, "__self__", None)).__name__: each for each in followers(node)}
        self.stack = found["RunningStack"].__self__.stack
        self.listener = found["Listener"].__self__
        self.upkeep: Any = found["ArrayUpkeep"].__self__ if "ArrayUpkeep" in found else None
        cells = {
            name: cell.cell_contents
            for each in followers(node)
            if getattr(each, "__closure__", None)
            for name, cell in zip(each.__code__.co_freevars, each.__closure__, strict=True)
        }
        self.service, self.budget = cells["service"], cells["budget"]
        self.gauge, self.cleaning, self.keeper = cells["gauge"], cells["cleaning"], cells["keeper"]
        self.levels = levels

    @property
    def layers(self) -> Any:
        return self.stack.members[0].layers


def followers(node: StorageNode) -> list[Any]:
    return list(node._reloader._followers)


LIVE_STORAGE: Mapping[str, tuple[str, Look, Any]] = {
    "[node] log_level": ("warn", lambda parts: parts.levels[-1], "warn"),
    "[storage] reserved_space": (
        "5G",
        lambda parts: parts.stack.members[0].leaf._reserved_space,
        5 * 10**9,
    ),
    "[storage] quota": ("3GB", lambda parts: parts.gauge._room is not None, True),
    "[storage] readonly": ("true", lambda parts: parts.service._permissions.readonly, True),
    "[storage] readonly_mutable": (
        "true",
        lambda parts: parts.service._permissions.readonly_mutable,
        True,
    ),
    "[storage] upload_memory": ("7MiB", lambda parts: parts.budget.limit, 7 * 2**20),
    "[storage] body_memory": ("300MiB", lambda parts: parts.listener._messages.limit, 300 * 2**20),
    "[storage] max_connections": (
        "77",
        lambda parts: parts.listener._site.connections.limits.connections,
        77,
    ),
    "[storage] expire.enabled": ("true", lambda parts: parts.cleaning._expiry is not None, True),
    "[storage] expire.mode": ("age", lambda parts: parts.cleaning._expiry.duration, 60 * 86400),
    "[storage] expire.override_lease_duration": (
        "60 days",
        lambda parts: parts.keeper._storage.expiry.duration,
        60 * 86400,
    ),
    "[storage] expire.immutable": (
        "false",
        lambda parts: parts.cleaning._expiry.immutable,
        False,
    ),
    "[storage] expire.mutable": ("false", lambda parts: parts.cleaning._expiry.mutable, False),
}

LIVE_CLOUD: Mapping[str, tuple[str, Look, Any]] = {
    "cache_size": ("4MiB", lambda parts: parts.layers.cache._store._capacity, 4 * 2**20),
    "read_ahead": ("1MiB", lambda parts: parts.layers.cache._settings.read_ahead, 2**20),
    "upload_rate": ("1MB", lambda parts: parts.layers.rate._up.rate, 10**6),
    "download_rate": ("2MB", lambda parts: parts.layers.rate._down.rate, 2 * 10**6),
    "request_rate": ("9", lambda parts: parts.layers.rate._requests.rate, 9),
    "connections": ("3", lambda parts: parts.layers.concurrency._limit, 3),
    "attempts": ("2", lambda parts: parts.layers.retry._retries._policy.attempts, 2),
    "timeout": ("11", lambda parts: parts.layers.timeout._timeouts.answer, 11),
    "quota": ("5MB", lambda parts: parts.stack.members[0].quota._quota, 5 * 10**6),
}

LIVE_ARRAY: Mapping[str, tuple[str, Look, Any]] = {
    "[array:all] cache_size": (
        "4MiB",
        lambda parts: parts.stack.array.cache._store._capacity,
        4 * 2**20,
    ),
    "[array:all] read_ahead": (
        "1MiB",
        lambda parts: parts.stack.array.cache._settings.read_ahead,
        2**20,
    ),
    "[array:all] repair_rate": ("3MB", lambda parts: parts.upkeep.maintenance._pace.limit, 3000000),
    "[provider:b] price_download": (
        "0.5",
        lambda parts: parts.stack.array.joined["b"].price,
        0.5,
    ),
    "[provider:b] price_storage": ("0.25", lambda parts: parts.upkeep._prices["b"].storage, 0.25),
    "[provider:b] price_requests": ("0.1", lambda parts: parts.upkeep._prices["b"].requests, 0.1),
}

ELSEWHERE = {
    # Commands take these from the file, and a running node goes by none of them.
    *("operator", "jurisdiction", "site", "availability", "allow_bare_ack", "allow_shared_domain"),
    # Seen in tests of their own.
    *("expire.cutoff_date", "introducer.furl"),
}


@implementer(ILogObserver)
class Logged(list[str]):
    """What is logged of reloads."""

    def __call__(self, event: LogEvent) -> None:
        if str(event.get("log_namespace", "")).startswith("raic.assembly.reloading"):
            self.append(formatEvent(event))


class ReloadCase(TestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        _, self.identity = node_directory(self.path)
        self.port = free_port()
        self.levels: list[str] = []
        self.logged = Logged()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)

    def write(self, rest: str = "", node: str = "", storage: str = "") -> None:
        (self.path / "raic.cfg").write_text(
            f"[node]\ntub.port = tcp:{self.port}:interface=127.0.0.1\n"
            f"tub.location = tcp:127.0.0.1:{self.port}\n{node}[storage]\n{storage}{rest}"
        )

    async def start(self) -> StorageNode:
        config = load_config(self.path)
        node = StorageNode(
            config, self.identity, reactor, self.fail, set_log_level=self.levels.append
        )
        self.addCleanup(node.stop)
        await node.start()
        return node

    def parts(self, node: StorageNode) -> Parts:
        return Parts(node, self.levels)

    def assert_taken(self, reloaded: Reloaded, live: Mapping[str, Any], parts: Parts) -> None:
        self.assertEqual({each.name for each in reloaded.changed}, set(live))
        self.assertEqual(reloaded.kept, ())
        for name, (_, look, expected) in live.items():
            self.assertEqual(look(parts), expected, name)


class Folders(ReloadCase):
    def lines(self, section: str) -> str:
        start = f"[{section}] "
        return "".join(
            f"{name.removeprefix(start)} = {value}\n"
            for name, (value, _, _) in LIVE_STORAGE.items()
            if name.startswith(start)
        )

    async def test_everything_that_is_said_to_be_live_is(self) -> None:
        self.write()
        node = await self.start()
        self.write(node=self.lines("node"), storage=self.lines("storage"))
        self.assert_taken(await node.reload(), LIVE_STORAGE, self.parts(node))
        self.write()
        await node.reload()
        parts = self.parts(node)
        self.assertIsNone(parts.cleaning._expiry)
        self.assertFalse(parts.service._permissions.readonly)

    async def test_a_mistake_changes_nothing_and_is_told_with_its_line(self) -> None:
        self.write()
        node = await self.start()
        self.write(storage="readonly = true\nupload_memory = much\n")
        with self.assertRaises(ConfigurationError) as caught:
            await node.reload()
        (problem,) = caught.exception.problems
        self.assertTrue(problem.startswith("raic.cfg, line 6: [storage] upload_memory: write a"))
        (logged,) = [text for text in self.logged if problem in text]
        self.assertRegex(logged, r"^nothing was changed: .*; put it right, then run 'raic reload'")
        self.assertFalse(self.parts(node).service._permissions.readonly)
        self.write(storage="readonly = true\n")
        await node.reload()
        self.assertTrue(self.parts(node).service._permissions.readonly)

    async def test_what_cannot_change_is_told_again_and_again_and_stays(self) -> None:
        self.write()
        node = await self.start()
        self.write(node="nickname = barn\n", storage="readonly = true\n")
        for changed in (1, 0):
            reloaded = await node.reload()
            self.assertEqual(len(reloaded.changed), changed)
            (kept,) = reloaded.kept
            self.assertEqual((kept.name, kept.line), ("[node] nickname", 4))
        self.assertIn("raic.cfg, line 4: [node] nickname stays as it was", self.logged[-1])
        self.assertEqual(node._reloader.config.node.nickname, "raic")

    async def test_what_goes_only_together_with_a_restart_is_refused_whole(self) -> None:
        self.write()
        node = await self.start()
        # Less than what stays announced as the largest message.
        self.write(storage="max_mutable_message = 1MiB\nbody_memory = 2MiB\nreadonly = true\n")
        with self.assertRaisesRegex(ConfigurationError, "does not go with what stays"):
            await node.reload()
        self.assertFalse(self.parts(node).service._permissions.readonly)

    async def test_an_introducer_is_changed_and_its_address_is_shown_to_nobody(self) -> None:
        self.write()
        node = await self.start()
        self.write(f"[client]\nintroducer.furl = {FURL.format(free_port())}\n")
        told = await deferToThread(NodeLink(self.path).ask, "node.reload", {})
        self.assertTrue(told["introducers"])
        self.assertEqual(told["changed"][0]["now"], NOT_SHOWN)
        self.assertNotIn("swissnum", "".join(self.logged))
        self.assertFalse((await node.reload()).introducers)

    async def test_a_date_may_replace_an_age(self) -> None:
        self.write(storage="expire.enabled = true\nexpire.mode = age\n")
        node = await self.start()
        date = "expire.mode = cutoff-date\nexpire.cutoff_date = 2030-01-16\n"
        self.write(storage=f"expire.enabled = true\n{date}")
        await node.reload()
        self.assertEqual(self.parts(node).cleaning._expiry.cutoff, 1894752000)

    async def test_a_node_that_was_not_started_takes_nothing_up(self) -> None:
        self.write()
        node = await self.start()
        await node.stop()
        with self.assertRaises(OperationRefused):
            await node.reload()


class Arrays(ReloadCase):
    def write_array(self, array: str = "", b: str = "", more: str = "") -> None:
        folders = "".join(f"[provider:{name}]\npath = {name}\n" for name in "ac")
        self.write(
            f"[array:all]\nproviders = a, b, c\nneeded = 1\nhappy = 2\n{array}"
            f"[provider:b]\npath = b\n{b}{folders}{more}",
            storage="backend = array:all\n",
        )

    async def test_everything_that_is_said_to_be_live_is(self) -> None:
        self.write_array()
        node = await self.start()
        self.write_array(*(self.lines(section) for section in ("array:all", "provider:b")))
        self.assert_taken(await node.reload(), LIVE_ARRAY, self.parts(node))

    def lines(self, section: str) -> str:
        start = f"[{section}] "
        return "".join(
            f"{name.removeprefix(start)} = {value}\n"
            for name, (value, _, _) in LIVE_ARRAY.items()
            if name.startswith(start)
        )

    async def test_a_new_provider_can_be_added_to_the_array_afterwards(self) -> None:
        self.write_array()
        node = await self.start()
        self.write_array(more="[provider:d]\npath = d\n")
        self.assertEqual([each.name for each in (await node.reload()).changed], ["[provider:d]"])
        member = self.parts(node).stack.array.make_member("d")
        # From now on it is in use, so that its folder stays while its price may change.
        self.write_array(more="[provider:d]\npath = elsewhere\nprice_download = 3\n")
        reloaded = await node.reload()
        self.assertEqual([each.name for each in reloaded.kept], ["[provider:d] path"])
        self.assertEqual(member.price, 3.0)


@pytest.mark.service
class Clouds(ReloadCase):
    def setUp(self) -> None:
        super().setUp()
        self.endpoint = moto_endpoint()
        self.container = self.endpoint.make_container()
        self.environment = {
            **os.environ,
            "RAIC_CLOUD_ACCESS_KEY_ID": self.endpoint.access_key_id,
            "RAIC_CLOUD_SECRET_ACCESS_KEY": self.endpoint.secret_access_key,
        }
        self.patch(os, "environ", self.environment)

    def write_cloud(self, lines: str = "") -> None:
        self.write(
            f"[provider:cloud]\ntype = s3\ncontainer = {self.container}\n"
            f"endpoint_url = {self.endpoint.url}\n{lines}",
            storage="backend = provider:cloud\n",
        )

    async def test_everything_that_is_said_to_be_live_is(self) -> None:
        self.write_cloud()
        node = await self.start()
        values = "".join(f"{name} = {value}\n" for name, (value, _, _) in LIVE_CLOUD.items())
        self.write_cloud(values)
        named = {f"[provider:cloud] {name}": each for name, each in LIVE_CLOUD.items()}
        parts = self.parts(node)
        self.assert_taken(await node.reload(), named, parts)
        # What it still takes is what the new quota leaves, and more again without one.
        self.assertLessEqual((await parts.gauge.ask()).available, 5 * 10**6)
        self.write_cloud()
        await node.reload()
        self.assertGreater((await parts.gauge.ask()).available, 10**9)

    async def test_the_status_tells_what_is_in_force(self) -> None:
        self.write_cloud()
        node = await self.start()
        self.write_cloud("quota = 5MB\n")
        await node.reload()
        assert node.status is not None
        (provider,) = (await node.status.gather()).providers
        self.assertEqual(provider.space.quota, 5 * 10**6)

    async def test_a_cache_that_is_not_there_comes_with_a_restart(self) -> None:
        self.write_cloud("cache_size = 0\n")
        node = await self.start()
        self.write_cloud("cache_size = 1MiB\n")
        self.assertEqual(len((await node.reload()).kept), 1)

    async def test_new_secrets_are_told_and_a_mistake_keeps_the_old_ones(self) -> None:
        self.write_cloud()
        node = await self.start()
        self.environment["RAIC_CLOUD_SECRET_ACCESS_KEY"] = "another"
        self.write_cloud("upload_rate = fast\n")
        with self.assertRaises(ConfigurationError):
            await node.reload()
        self.write_cloud()
        self.assertTrue((await node.reload()).credentials)

    async def test_new_secrets_reach_a_cloud_that_has_joined_an_array_of_folders(self) -> None:
        cloud = (
            f"[provider:cloud]\ntype = s3\ncontainer = {self.container}\n"
            f"endpoint_url = {self.endpoint.url}\n"
        )
        folders = "".join(f"[provider:{name}]\npath = {name}\n" for name in "ab")
        array = f"[array:all]\nproviders = a, b\nneeded = 1\nhappy = 2\n{folders}"
        self.write(array, storage="backend = array:all\n")
        node = await self.start()
        self.write(array + cloud, storage="backend = array:all\n")
        self.assertFalse((await node.reload()).credentials)
        joined = self.parts(node).stack.array
        member = joined.make_member("cloud")
        leaf = joined.stacks["cloud"].leaf
        self.addCleanup(leaf.stop)
        await leaf.start()
        members = (*joined.array.members(), member)
        self.patch(joined.array, "members", lambda: members)
        self.environment["RAIC_CLOUD_SECRET_ACCESS_KEY"] = "another"
        self.assertTrue((await node.reload()).credentials)
        self.assertFalse(await leaf.renew_credentials())  # it has them already


class Promises(TestCase):
    def test_each_key_that_is_said_to_be_live_is_tried(self) -> None:
        tried = {name.partition("] ")[2] for name in (*LIVE_STORAGE, *LIVE_ARRAY)}
        live = {key.name for key in SCHEMA if key.live}
        self.assertEqual(live, (tried | set(LIVE_CLOUD) | ELSEWHERE))
