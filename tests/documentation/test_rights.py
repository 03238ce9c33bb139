"""The least rights that the pages of S3 and of Swift tell to give: they suffice, each is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from attrs import evolve
from botocore.session import Session
from twisted.trial.unittest import TestCase

from raic.backends.s3 import S3Settings
from raic.errors import AccessDenied, ProviderError
from raic.interfaces import IInterruptedUploads, IStorageProvider
from tests.backends.s3.stores import MIB, s3_provider
from tests.backends.swift.swift_world import SwiftWorld
from tests.documentation.blocks import DOCS, shown_in
from tests.services.moto import S3Endpoint, moto_process

CONTAINER = "my-shares"
PREFIX = "attic/"
USER = "raic"
LARGE = 11 * MIB

Policy = dict[str, Any]


def shown_policy() -> Policy:
    """The policy on the page."""
    text = (DOCS / "providers" / "s3.rst").read_text()
    found = re.search(r"\.\. code-block:: json\n\n((?:    .*\n|\n)+)", text)
    assert found is not None
    policy: Policy = json.loads(found[1])
    return policy


def without(policy: Policy, action: str) -> Policy:
    """The policy with one right less."""
    statements = [
        {**each, "Action": [one for one in each["Action"] if one != action]}
        for each in policy["Statement"]
    ]
    return {**policy, "Statement": [each for each in statements if each["Action"]]}


def for_moto(policy: Policy) -> Policy:
    """The policy as moto reads it: it looks for the right to delete several objects in one request
    on the container, where Amazon looks for it on each object.
    """
    statements = policy["Statement"]
    if not any("s3:DeleteObject" in each["Action"] for each in statements):
        return policy
    container = f"arn:aws:s3:::{CONTAINER}"
    also = {"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": container}
    return {**policy, "Statement": [*statements, also]}


async def use(provider: IStorageProvider, large: int) -> None:
    """Everything that a node does with a provider."""
    await provider.start()
    try:
        await provider.put_object("a", b"small")
        upload = provider.open_upload("b", large)
        for _ in range(large // MIB):
            await upload.write(bytes(MIB))
        await upload.finish()
        given_up = provider.open_upload("c", large)
        for _ in range(large // MIB - 1):
            await given_up.write(bytes(MIB))
        await given_up.abort()
        assert await provider.get_object("a", 1, 3) == b"mal"
        listed = await provider.list_objects("", None)
        assert {"a", "b"} <= {each.key for each in listed.objects}
        assert not await provider.delete_objects(["a", "b"])
        if IInterruptedUploads.providedBy(provider):
            await IInterruptedUploads(provider).clear_interrupted_uploads("")
        await provider.get_space()
    finally:
        await provider.stop()


class Guarded:
    """A service that asks for rights, and a user who has some of them.

    :param endpoint: where it is; it has been asked nothing yet.
    """

    def __init__(self, endpoint: S3Endpoint) -> None:
        self._endpoint = endpoint
        self._session = Session()
        self._session.set_credentials(endpoint.access_key_id, endpoint.secret_access_key)
        self._guard(on=False)
        self._client("s3").create_bucket(Bucket=CONTAINER)
        iam = self._client("iam")
        iam.create_user(UserName=USER)
        key = iam.create_access_key(UserName=USER)["AccessKey"]
        self.user = evolve(
            endpoint, access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"]
        )

    def _client(self, service: str) -> Any:
        return self._session.create_client(
            service, region_name="us-east-1", endpoint_url=self._endpoint.url
        )

    def _guard(self, *, on: bool) -> None:
        answer = requests.post(
            f"{self._endpoint.url}/moto-api/reset-auth", data=b"0" if on else b"inf", timeout=20
        )
        answer.raise_for_status()

    @contextmanager
    def policy(self, policy: Policy) -> Iterator[None]:
        """Give the user these rights, and no others."""
        iam = self._client("iam")
        document = json.dumps(for_moto(policy))
        iam.put_user_policy(UserName=USER, PolicyName="least", PolicyDocument=document)
        self._guard(on=True)
        try:
            yield
        finally:
            self._guard(on=False)


@pytest.mark.service
class S3Rights(TestCase):
    """moto checks which actions a policy allows on which resources, though no signatures."""

    timeout = 120

    def setUp(self) -> None:
        service = moto_process()
        self.service = Guarded(service.__enter__())
        self.addCleanup(service.__exit__, None, None, None)
        self.user = self.service.user

    def provider(self, prefix: str = PREFIX) -> IStorageProvider:
        settings = S3Settings(
            CONTAINER, prefix, endpoint_url=self.user.url, region="us-east-1", part_size=5 * MIB
        )
        return s3_provider(self.user, settings)

    async def test_the_policy_suffices_and_each_of_its_rights_is_needed(self) -> None:
        policy = shown_policy()
        with self.service.policy(policy):
            await use(self.provider(), LARGE)
        for statement in policy["Statement"]:
            for action in statement["Action"]:
                with self.service.policy(without(policy, action)):
                    await self.refused(action, PREFIX)

    async def test_it_allows_nothing_under_another_prefix(self) -> None:
        with self.service.policy(shown_policy()):
            await self.refused("another prefix", "others/")

    async def refused(self, what: str, prefix: str) -> None:
        try:
            await use(self.provider(prefix), LARGE)
        except ProviderError as error:
            self.assertIsInstance(error, AccessDenied, what)
        else:
            self.fail(f"it works without {what}")


@pytest.mark.service
class SwiftRights(TestCase):
    """A real Swift."""

    timeout = 120

    async def test_the_access_list_suffices_for_a_user_without_any_other_right(self) -> None:
        world = SwiftWorld()
        self.addCleanup(world.close)
        (shown,) = [
            each.command
            for each in shown_in(DOCS / "providers" / "swift.rst")
            if each.command.startswith("swift post")
        ]
        lists = re.findall(r"--(read|write)-acl '([^']*)'", shown)
        self.assertEqual([kind for kind, _ in lists], ["read", "write"])
        user = {"user": world.server.reader, "key": world.server.reader_key}
        world.credentials = lambda: user  # type: ignore[method-assign]
        with self.assertRaises(AccessDenied):
            await use(world.provider(), MIB)
        for kind, value in lists:
            rights = value.replace("test:raic", world.server.reader)
            world.ask("POST", "", headers={f"X-Container-{kind}": rights})
        await use(world.provider(), 2 * MIB)
        self.assertEqual(world.names(), [])
