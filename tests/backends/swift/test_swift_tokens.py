"""Signing in: in every version, as seldom as possible, and without a failed operation."""

from __future__ import annotations

from twisted.internet.defer import gatherResults

from raic.errors import AccessDenied, ProviderBusy, ProviderTimedOut, StorageUnusable
from tests.backends.swift.little import PASSWORD, USER, is_sign_in
from tests.backends.swift.scripted import Scripted
from tests.contracts.driving import driven
from tests.services.scripted_http import Answer

TEN = b"0123456789"


class TokenTests(Scripted):
    """With Keystone's version 3 and a password."""

    @driven
    async def test_a_password_is_sent_as_keystone_wants_it(self) -> None:
        asked = self.swift.sent[0]
        self.assertEqual(
            asked["identity"],
            {
                "methods": ["password"],
                "password": {
                    "user": {"domain": {"name": "Default"}, "name": USER, "password": PASSWORD}
                },
            },
        )
        project = {"domain": {"id": "default"}, "name": "the-project"}
        self.assertEqual(asked["scope"], {"project": project})

    @driven
    async def test_one_token_serves_many_requests(self) -> None:
        for number in range(10):
            await self.provider.put_object(f"a/{number}", TEN)
            await self.provider.get_object(f"a/{number}", 0, 10)
        self.assertEqual(self.sign_ins(), [])
        self.assertEqual(len(self.server.requests), 20)

    @driven
    async def test_a_token_is_renewed_before_it_ends(self) -> None:
        self.later.shift = self.swift.life - 60
        await gatherResults([self.provider.put_object(f"a/{n}", TEN) for n in range(20)])
        self.assertEqual(len(self.sign_ins()), 1)
        self.assertEqual(len(self.server.requests), 21)

    @driven
    async def test_a_token_that_has_ended_is_renewed_once_for_all(self) -> None:
        self.later.shift = self.swift.life + 60
        self.swift.tokens.clear()
        await gatherResults([self.provider.put_object(f"a/{n}", TEN) for n in range(20)])
        self.assertEqual(len(self.sign_ins()), 1)
        self.assertEqual(len(self.server.requests), 21)

    @driven
    async def test_a_refused_token_is_replaced_without_a_failed_operation(self) -> None:
        self.swift.tokens.clear()
        puts = [self.provider.put_object(f"a/{n}", TEN) for n in range(10)]
        await gatherResults(puts)
        self.assertEqual(len(self.sign_ins()), 1)
        self.assertEqual(len(self.swift.objects), 10)

    @driven
    async def test_a_token_that_lives_goes_on_when_it_cannot_be_renewed(self) -> None:
        self.later.shift = self.swift.life - 60
        self.swift.interfere = lambda request: Answer(503) if is_sign_in(request) else None
        await self.provider.put_object("a/1", TEN)
        await self.provider.put_object("a/2", TEN)
        self.assertEqual(len(self.sign_ins()), 1)
        self.later.shift += 20
        await self.provider.put_object("a/3", TEN)
        self.assertEqual(len(self.sign_ins()), 2)
        self.later.shift += 60
        await self.refused(self.provider.put_object("a/4", TEN), ProviderBusy)

    @driven
    async def test_keystones_clock_and_ours_may_differ(self) -> None:
        self.swift.skew = -2 * self.swift.life
        self.swift.tokens.clear()
        for number in range(5):
            await self.provider.put_object(f"a/{number}", TEN)
        self.assertEqual(len(self.sign_ins()), 1)

    @driven
    async def test_a_changed_password_is_found_without_a_restart(self) -> None:
        self.swift.tokens.clear()
        self.swift.keys = {"another-password"}
        refused = await self.refused(self.provider.put_object("a", TEN), AccessDenied)
        self.assertIn("raic credentials set cloud", refused.remedy)
        self.assertNotIn(PASSWORD, str(refused))
        self.secrets = {"user": USER, "key": "another-password"}
        await self.provider.put_object("a", TEN)

    @driven
    async def test_credentials_can_be_renewed_on_demand(self) -> None:
        self.assertFalse(await self.provider.renew_credentials())
        self.swift.keys = {"another-password"}
        self.secrets = {"user": USER, "key": "another-password"}
        self.assertTrue(await self.provider.renew_credentials())
        self.assertEqual(len(self.sign_ins()), 1)

    @driven
    async def test_no_write_is_in_doubt_because_keystone_hangs(self) -> None:
        self.swift.tokens.clear()
        self.swift.interfere = lambda request: Answer(silent=True) if is_sign_in(request) else None
        await self.refused(self.provider.put_object("a", TEN), ProviderTimedOut)

    @driven
    async def test_a_wrong_region_names_what_to_correct(self) -> None:
        provider = self.make_provider(region="nowhere")
        refused = await self.refused(provider.start(), StorageUnusable)
        self.assertIn("region", refused.remedy)

    @driven
    async def test_a_wrong_auth_url_names_what_to_correct(self) -> None:
        self.swift.interfere = lambda _: Answer(404)
        wrong = f"{self.server.url}/wrong"
        refused = await self.refused(self.make_provider(auth_url=wrong).start(), StorageUnusable)
        self.assertIn(f"correct auth_url: {wrong}", refused.remedy)


class ApplicationCredentialTests(Scripted):
    options = {"auth_version": "v3_application_credential", "project": None}  # noqa: RUF012  # never altered

    @driven
    async def test_it_is_sent_as_keystone_wants_it(self) -> None:
        credential = {"id": USER, "secret": PASSWORD}
        identity = {"methods": ["application_credential"], "application_credential": credential}
        self.assertEqual(self.swift.sent, [{"identity": identity}])
        await self.provider.put_object("a", TEN)


class Version2Tests(Scripted):
    options = {"auth_version": "v2", "region": "HERE"}  # noqa: RUF012  # never altered

    @driven
    async def test_one_token_serves_many_requests(self) -> None:
        known = {"username": USER, "password": PASSWORD}
        self.assertEqual(self.swift.sent[0]["passwordCredentials"], known)
        self.assertEqual(self.swift.sent[0]["tenantName"], "the-project")
        await self.provider.put_object("a", TEN)
        await self.provider.get_object("a", 0, 1)
        self.assertEqual(self.sign_ins(), [])


class CloudFilesTests(Scripted):
    options = {"auth_version": "cloudfiles", "region": "HERE", "project": None}  # noqa: RUF012  # never altered

    @driven
    async def test_the_key_is_sent_as_rackspace_wants_it(self) -> None:
        known = {"username": USER, "apiKey": PASSWORD}
        self.assertEqual(self.swift.sent, [{"RAX-KSKEY:apiKeyCredentials": known}])
        await self.provider.put_object("a", TEN)


class Version1Tests(Scripted):
    options = {"auth_version": "v1"}  # noqa: RUF012  # never altered

    def make_settings(self, **changed: object) -> object:  # type: ignore[override]  # adds to it
        url = f"{self.server.url}/auth/v1.0"
        return super().make_settings(**{"auth_url": url, "region": None, **changed})

    @driven
    async def test_one_token_serves_many_requests(self) -> None:
        for number in range(5):
            await self.provider.put_object(f"a/{number}", TEN)
        self.assertEqual(self.sign_ins(), [])
        self.later.shift = self.swift.life + 60
        await self.provider.put_object("b", TEN)
        self.assertEqual(len(self.sign_ins()), 1)
