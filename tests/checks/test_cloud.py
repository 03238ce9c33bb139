"""Providers in clouds: moto's S3, and a scripted one where it has to be wrong."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path
from shutil import copytree

import pytest
from attrs import evolve

from raic.assembly import StorageNode
from raic.assembly.checks import Level
from raic.config.loading import load_config
from tests.backends.s3.little import LittleS3, error
from tests.checks.world import CheckCase
from tests.config.nodes import node_directory
from tests.contracts.driving import reactor
from tests.end_to_end.processes import free_port
from tests.services.moto import moto_endpoint
from tests.services.scripted_http import Answer, Request, ScriptedServer

SECRETS = {"RAIC_CLOUD_ACCESS_KEY_ID": "an-id", "RAIC_CLOUD_SECRET_ACCESS_KEY": "hunter2"}


class CloudCase(CheckCase):
    container = "container"

    def setUp(self) -> None:
        super().setUp()
        self.environment.update(SECRETS)

    def cloud(self, url: str, rest: str = "") -> None:
        self.configure(
            "backend = provider:cloud\n",
            f"[provider:cloud]\ntype = s3\ncontainer = {self.container}\nendpoint_url = {url}\n"
            f"{rest}",
        )


@pytest.mark.service
class Moto(CloudCase):
    def setUp(self) -> None:
        super().setUp()
        self.endpoint = moto_endpoint()
        self.container = self.endpoint.make_container()
        self.cloud(self.endpoint.url)

    def keys(self) -> list[str]:
        listed = self.endpoint.client().list_objects_v2(Bucket=self.container)
        return [each["Key"] for each in listed.get("Contents", ())]

    async def run_once(self) -> None:
        self.patch(os, "environ", {**os.environ, **SECRETS})
        node = StorageNode(load_config(self.path), self.identity, reactor, self.fail)
        await node.start()
        await node.stop()

    async def test_all_is_well_before_the_first_start_and_nothing_is_left(self) -> None:
        await self.assert_well()
        self.assertEqual(self.keys(), [])
        await self.assert_found("prefix", Level.OK, "nobody has claimed it, and it is empty")
        await self.assert_found("rights", Level.OK, "list, write, read and delete")
        await self.assert_found("credentials", Level.OK, "secret_access_key in environment")
        await self.assert_found("reach", Level.OK, self.container)
        await self.assert_found("clock", Level.OK, "s (ahead of|behind) the service")

    async def test_a_node_that_ran_owns_its_prefix(self) -> None:
        await self.run_once()
        before = self.keys()
        await self.assert_well()
        await self.assert_found("prefix", Level.OK, "this node's own: claimed by server v0-")
        self.assertEqual(self.keys(), before)

    async def test_a_lost_index_is_an_error(self) -> None:
        await self.run_once()
        (self.path / "index.sqlite").unlink()
        await self.assert_found("prefix", Level.ERROR, "no index here", "raic restore --local")

    async def test_objects_that_nobody_claimed_are_not_taken_for_an_empty_prefix(self) -> None:
        client = self.endpoint.client()
        prefix = f"raic/{self.identity.server_id}"
        client.put_object(Bucket=self.container, Key=f"{prefix}/shares/aa/x", Body=b"x")
        await self.assert_found("prefix", Level.ERROR, "holds objects", "raic restore --local")

    async def test_another_servers_prefix_is_told(self) -> None:
        self.cloud(self.endpoint.url, "prefix = home\n")
        await self.run_once()
        first, before = self.identity.server_id, self.keys()
        self.path = Path(self.mktemp()).absolute()
        _, self.identity = node_directory(self.path, 1)
        self.cloud(self.endpoint.url, "prefix = home\n")
        await self.assert_found("prefix", Level.ERROR, f"belongs to server {first}", "take-over")
        self.assertEqual(self.keys(), before)

    async def test_a_copy_of_the_node_is_told(self) -> None:
        await self.run_once()
        original, copy = self.path, Path(self.mktemp()).absolute()
        copytree(original, copy)
        self.path = copy
        await self.assert_found("prefix", Level.ERROR, "copy of the node directory", "one copy")
        self.path = original
        await self.run_once()
        self.path = copy
        await self.assert_found("prefix", Level.ERROR, "older than the claim", "--take-over")

    async def test_the_quota_leaves_what_is_not_stored(self) -> None:
        self.cloud(self.endpoint.url, "quota = 5GB\n")
        await self.assert_found("space", Level.OK, "room for 5.0 GB: 0 B stored")
        self.cloud(self.endpoint.url, "quota = 5MB\n")
        await self.assert_found("space", Level.WARNING, "little is left", "raise quota")

    async def test_a_container_that_is_missing_is_told(self) -> None:
        self.container = "no-such-container"
        self.cloud(self.endpoint.url)
        await self.assert_found("reach", Level.ERROR, "NoSuchBucket", "create the container")

    async def test_missing_secrets_are_told_and_nothing_is_asked(self) -> None:
        del self.environment["RAIC_CLOUD_SECRET_ACCESS_KEY"]
        await self.assert_found(
            "credentials",
            Level.ERROR,
            "no secret_access_key found",
            f"raic credentials set cloud --nodedir {self.path}",
        )


class Scripted(CloudCase):
    def setUp(self) -> None:
        super().setUp()
        self.s3 = LittleS3()
        self.drift = 0.0
        self.server = ScriptedServer(reactor, self.answer)
        self.addCleanup(self.server.stop)
        self.cloud(self.server.url)

    def answer(self, request: Request) -> Answer:
        answer = self.s3(request)
        date = datetime.fromtimestamp(reactor.seconds() - self.drift, timezone.utc)
        headers = {**answer.headers, "Date": format_datetime(date, usegmt=True)}
        return evolve(answer, headers=headers)

    def wrong(self, name: str, answer: Answer) -> None:
        self.s3.always_wrong = {name: answer}

    async def test_it_is_well(self) -> None:
        await self.assert_well()
        self.assertEqual(self.s3.objects, {})

    async def test_clocks(self) -> None:
        for drift, level, text in (
            (0, Level.OK, "of|behind"),
            (40, Level.OK, "(39|40|41) s ahead of the service"),
            (75, Level.WARNING, "7[456] s ahead of"),
            (-75, Level.WARNING, "7[456] s behind"),
            (20 * 60, Level.ERROR, "1(199|200|201) s ahead of"),
        ):
            self.drift = drift
            await self.assert_found("clock", level, text, "" if drift < 60 else "timedatectl")

    async def test_each_right_that_is_refused_is_named(self) -> None:
        refused = error(403, "AccessDenied")
        for name, text in (
            ("list", "^list is refused, write and read and delete not tried"),
            ("put", "^write is refused, list allowed, read and delete not tried"),
            ("get", "^read is refused, list and write allowed, delete not tried"),
            ("delete", "^delete is refused, list and write and read allowed: Delete"),
        ):
            self.wrong(name, refused)
            await self.assert_found("rights", Level.ERROR, text, "rights")
            await self.assert_found("reach", Level.OK, "container")

    async def test_uploads_that_cannot_be_listed_are_a_warning(self) -> None:
        self.wrong("uploads", error(403, "AccessDenied"))
        await self.assert_found("uploads", Level.WARNING, "cost money", "aborting")

    async def test_secrets_that_the_service_refuses_are_told(self) -> None:
        for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
            self.wrong("list", error(403, code))
            report = await self.check()
            told = [each for each in report.findings if each.level is Level.ERROR]
            self.assertEqual([each.subject for each in told], ["sign-in"])
            self.assertIn("raic credentials set cloud", told[0].remedy)
            self.assertNotIn("hunter2", f"{report}")

    async def test_a_refusal_for_the_time_is_told_as_one_of_the_clock(self) -> None:
        self.wrong("list", error(403, "RequestTimeTooSkewed"))
        await self.assert_found("clock", Level.ERROR, "RequestTimeTooSkewed", "clock")

    async def test_a_wrong_region_is_told_with_the_right_one(self) -> None:
        self.wrong("list", error(400, "AuthorizationHeaderMalformed", Region="eu-west-3"))
        await self.assert_found("reach", Level.ERROR, "Malformed", "write region = eu-west-3")

    async def test_a_service_that_fails_later_is_told_where_it_fails(self) -> None:
        self.wrong("uploads", error(500, "InternalError"))
        await self.assert_found("uploads", Level.ERROR, "InternalError")
        await self.assert_found("prefix", Level.OK, "nobody")

    async def test_one_that_hangs_is_given_up_and_the_rest_is_looked_at(self) -> None:
        self.seconds = 1.5
        self.wrong("get", Answer(silent=True))
        await self.assert_found("reach", Level.ERROR, "no answer within 1.5 s", "network")
        self.wrong("uploads", Answer(silent=True))
        await self.assert_found("uploads", Level.ERROR, "no answer within 1.5 s", "network")
        await self.assert_found("prefix", Level.OK, "nobody")


class Away(CloudCase):
    async def test_a_service_that_is_stopped_cannot_be_reached(self) -> None:
        self.cloud(f"http://127.0.0.1:{free_port()}")
        await self.assert_found("reach", Level.ERROR, "connect", "check endpoint_url")

    async def test_settings_that_do_not_go_together_are_told(self) -> None:
        self.environment.update({"RAIC_CLOUD_USER": "me", "RAIC_CLOUD_KEY": "hunter2"})
        self.configure(
            "backend = provider:cloud\n",
            "[provider:cloud]\ntype = swift\ncontainer = c\nauth_url = https://a.example/v3\n",
        )
        await self.assert_found("settings", Level.ERROR, "project", "correct")
