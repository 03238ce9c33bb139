"""The assembled node whose shares live in a cloud."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from raic.assembly import prove_access, restore_index
from raic.assembly.owning import own_prefix
from raic.assembly.stack import ProviderStack, make_stack
from raic.assembly.taking_over import TakeOverNote
from raic.backends.layers.observation import ObservationLayer
from raic.backends.layers.readcache import ReadCacheLayer
from raic.backends.layers.retry import RetryLayer
from raic.backends.tagging import TaggingProvider
from raic.config.loading import parse_config
from raic.errors import (
    ConfigurationError,
    IndexMissing,
    ObjectCorrupt,
    PrefixOwned,
    ProviderUnreachable,
)
from raic.interfaces import ILocalListing
from raic.shares.keys import ShareKey, new_transaction_id
from raic.workers import InlineWorkers
from tests.config.nodes import node_directory
from tests.contracts.driving import reactor
from tests.end_to_end.processes import free_port
from tests.services.moto import moto_endpoint
from tests.shares.claims_world import WAIT, OwnershipTestCase
from tests.test_assembly import AssemblyCase

DATA = b"seven b"


class CloudCase(AssemblyCase):
    def setUp(self) -> None:
        self.endpoint = moto_endpoint()
        self.container = self.endpoint.make_container()
        secrets = {
            "RAIC_CLOUD_ACCESS_KEY_ID": self.endpoint.access_key_id,
            "RAIC_CLOUD_SECRET_ACCESS_KEY": self.endpoint.secret_access_key,
        }
        self.patch(os, "environ", {**os.environ, **secrets})
        super().setUp()
        self.configure_cloud()

    def configure_cloud(self, rest: str = "", url: str = "") -> None:
        self.configure(
            "backend = provider:cloud\n",
            f"[provider:cloud]\ntype = s3\ncontainer = {self.container}\n"
            f"endpoint_url = {url or self.endpoint.url}\n{rest}",
        )

    def stack(self) -> ProviderStack:
        return make_stack(self.config, self.identity, InlineWorkers(), reactor)

    def keys(self) -> list[str]:
        listed = self.endpoint.client().list_objects_v2(Bucket=self.container)
        return [each["Key"] for each in listed.get("Contents", ())]


@pytest.mark.service
class Stacks(CloudCase):
    def test_what_is_read_is_checked_below_the_cache_and_above_the_retries(self) -> None:
        stack = self.stack()
        self.assertIsInstance(stack.provider, ReadCacheLayer)
        self.assertIsInstance(stack.untagged, ObservationLayer)
        self.assertIsInstance(vars(stack.untagged)["_inner"], RetryLayer)
        self.assertFalse(ILocalListing.providedBy(stack.provider))

    def test_there_may_be_no_cache(self) -> None:
        self.configure_cloud("cache_size = 0\n")
        self.assertIsInstance(self.stack().provider, ObservationLayer)

    def test_a_filesystem_has_tags_and_is_observed(self) -> None:
        self.configure()
        stack = self.stack()
        assert isinstance(stack.provider, ObservationLayer)
        self.assertIsInstance(stack.provider._inner, TaggingProvider)
        self.assertIs(stack.untagged, stack.members[0].leaf)

    def test_settings_that_do_not_go_together_are_a_mistake_of_the_configuration(self) -> None:
        self.configure(
            "backend = provider:cloud\n",
            "[provider:cloud]\ntype = swift\ncontainer = c\nauth_url = https://a.example/v3\n",
        )
        error = self.assertRaises(ConfigurationError, self.stack)
        assert isinstance(error, ConfigurationError)
        self.assertIn("raic.cfg: [provider:cloud] project", error.problems[0])

    async def test_what_the_cloud_alters_is_found_out(self) -> None:
        stack, key = self.stack(), str(ShareKey(b"i" * 16, 0, new_transaction_id(), 7, 7))
        await stack.provider.start()
        self.addCleanup(stack.provider.stop)
        await stack.provider.put_object(key, DATA)
        (full,) = self.keys()
        self.assertEqual(full, f"raic/{self.identity.server_id}/{key}")
        kept = self.endpoint.client().get_object(Bucket=self.container, Key=full)["Body"].read()
        self.endpoint.client().put_object(Bucket=self.container, Key=full, Body=b"S" + kept[1:])
        with self.assertRaises(ObjectCorrupt):
            await stack.provider.get_object(key, 0, 7)
        self.endpoint.client().put_object(Bucket=self.container, Key=full, Body=kept)
        self.assertEqual(await stack.provider.get_object(key, 0, 7), DATA)
        self.endpoint.client().delete_object(Bucket=self.container, Key=full)
        self.assertEqual(await stack.provider.get_object(key, 0, 7), DATA)


@pytest.mark.service
class Starting(CloudCase):
    async def test_each_start_claims_the_prefix(self) -> None:
        self.assertEqual((await self.run_once()).totals.shares, 0)
        await self.run_once()
        claims = f"raic/{self.identity.server_id}/claims/"
        self.assertEqual([key.startswith(claims) for key in self.keys()], [True, True])

    async def test_the_quota_is_what_is_announced(self) -> None:
        self.configure_cloud("quota = 1MB\n")
        space = (await self.run_once()).space
        assert space is not None
        tags = 16 * 16  # of the blocks that fit
        self.assertEqual(space.available, 1_000_000 - tags)

    async def test_another_servers_prefix_is_left_alone(self) -> None:
        self.configure_cloud("prefix = home\n")
        await self.run_once()
        first, before = self.identity.server_id, self.keys()
        self.path = Path(self.mktemp()).absolute()
        _, self.identity = node_directory(self.path, 1)
        self.configure_cloud("prefix = home\n")
        with self.assertRaisesRegex(PrefixOwned, first):
            await self.run_once()
        with self.assertRaisesRegex(PrefixOwned, first):
            await restore_index(self.config, self.identity, reactor, lambda _: None)
        self.assertFalse(self.config.index_path.exists())
        self.assertEqual(self.keys(), before)

    async def test_a_node_that_lost_its_index_is_told_to_restore_it(self) -> None:
        await self.run_once()
        self.config.index_path.unlink()
        with self.assertRaisesRegex(IndexMissing, f"s3 container {self.container}"):
            await self.run_once()

    async def test_a_cloud_that_is_away_fails_the_start_with_what_to_do(self) -> None:
        self.configure_cloud(url=f"http://127.0.0.1:{free_port()}")
        with self.assertRaises(ProviderUnreachable) as caught:
            await self.run_once()
        self.assertTrue(caught.exception.remedy)

    async def test_missing_secrets_fail_the_start_with_the_command_that_sets_them(self) -> None:
        self.patch(os, "environ", {})
        with self.assertRaises(Exception) as caught:
            await self.run_once()
        self.assertIn("raic credentials set cloud", f"{caught.exception}")


@pytest.mark.service
class Secrets(CloudCase):
    async def test_they_are_read_again_when_the_node_is_told_to(self) -> None:
        node = self.make_node()
        self.assertFalse(await node.reload_credentials())
        # Sources look into the environment that there was when they were made.
        environment = dict(os.environ)
        self.patch(os, "environ", environment)
        await node.start()
        self.assertFalse(await node.reload_credentials())
        environment["RAIC_CLOUD_SECRET_ACCESS_KEY"] = "another"
        self.assertTrue(await node.reload_credentials())
        self.assertFalse(await node.reload_credentials())

    async def test_a_folder_has_none(self) -> None:
        self.configure()
        node = self.make_node()
        await node.start()
        self.assertFalse(await node.reload_credentials())

    async def test_they_are_proved_by_a_start_of_the_provider(self) -> None:
        (self.path / "raic.cfg").write_text(
            f"[storage]\nbackend = provider:cloud\n[provider:cloud]\ntype = s3\n"
            f"container = {self.container}\nendpoint_url = {self.endpoint.url}\n"
        )
        secrets = {"access_key_id": "an-id", "secret_access_key": "a-key"}
        proved = await prove_access(self.path, "cloud", secrets, reactor)
        self.assertIn(f"s3 container {self.container}", proved)
        with self.assertRaises(ConfigurationError):
            await prove_access(self.path, "disk", secrets, reactor)


class TakingOver(OwnershipTestCase):
    def test_the_other_is_waited_for_and_the_index_made_anew(self) -> None:
        other, mine = self.owner("v0-attic"), self.server("v0-cellar")
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        config, told = parse_config(folder, ""), list[float]()
        self.failureResultOf(
            Deferred.fromCoroutine(own_prefix(mine.ownership, config)), PrefixOwned
        )
        taking = Deferred.fromCoroutine(own_prefix(mine.ownership, config, told.append))
        self.assertNoResult(taking)
        note = TakeOverNote(config)
        interrupted = self.assertRaises(PrefixOwned, note.raise_if_there)
        self.assertIn(f"raic run --take-over {folder}", interrupted.remedy)
        self.clock.pump([1.0] * (int(WAIT) + 1))
        error = self.failureResultOf(taking, PrefixOwned).value
        self.assertIn(f"raic restore --local {folder}", error.remedy)
        note.raise_if_there()
        self.assertEqual(told[0], WAIT)
        self.assertFalse(other.ownership.may_write())
        self.assertFalse(mine.ownership.may_write())
