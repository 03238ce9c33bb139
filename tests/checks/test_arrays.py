"""What is said of arrays."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly import StorageNode
from raic.assembly.checks import Finding, Level
from raic.assembly.checks.arrays import ArrayView, check_members
from raic.assembly.checks.findings import error
from raic.assembly.checks.indexfile import IndexState
from raic.assembly.checks.view import ConfiguredNode, Surroundings
from raic.config.identity import load_identity
from raic.config.loading import load_config
from raic.config.model import ArraySettings, ProviderSettings
from raic.workers import InlineWorkers
from tests.checks.world import CheckCase
from tests.config.nodes import node_directory
from tests.contracts.driving import reactor
from tests.services.moto import moto_endpoint


class ArrayCase(CheckCase):
    def array(self, names: str, keys: str, labels: str = "") -> None:
        """An array of folders.

        :param keys: of the array's section.
        :param labels: ``NAME KEY VALUE``, separated by semicolons.
        """
        said = [each.split() for each in labels.split(";") if each.strip()]
        sections = "".join(
            f"[provider:{name}]\npath = {name}\n"
            + "".join(f"{key} = {value}\n" for of, key, value in said if of == name)
            for name in names
        )
        self.configure(
            "backend = array:x\n", f"[array:x]\nproviders = {', '.join(names)}\n{keys}{sections}"
        )

    async def run_once(self) -> None:
        identity = load_identity(self.path / "private")
        node = StorageNode(load_config(self.path), identity, reactor, self.fail)
        await node.start()
        await node.stop()


class Losses(ArrayCase):
    async def test_what_is_promised_is_said(self) -> None:
        self.array("abcd", "needed = 2\nhappy = 3\n")
        await self.assert_well()
        await self.assert_found(
            "promise",
            Level.OK,
            "loss of any 1 provider at once, and of any 2 providers once repaired;"
            " reads go on while 2 of 4 are well, writes while 3 are",
        )
        said = {each.subject: each.text for each in (await self.check()).findings}
        for name in "abcd":
            self.assertEqual(
                said[f"loss of {name}"],
                "reads go on, writes go on, 1 fragment of each object lost, 1 more may be lost",
            )

    async def test_writes_that_stop_are_said(self) -> None:
        self.array("abc", "needed = 1\nhappy = 3\n")
        await self.assert_found("loss of b", Level.OK, "reads go on, writes stop, 1 fragment .*, 1")

    async def test_each_domain_of_several_is_looked_at(self) -> None:
        labels = "a operator me;b operator me;c operator you;a site home;b site away;c site away"
        self.array("abcd", "needed = 1\nhappy = 3\n", labels)
        for domain in ("operator me", "site away"):
            await self.assert_found(
                f"loss of {domain}",
                Level.OK,
                "writes stop, 2 fragments of each object lost, 1 more",
            )
        await self.assert_found("labels", Level.OK, "^d: no operator, jurisdiction or site")
        report = await self.check()
        subjects = {each.subject for each in report.findings if each.group == "array x"}
        self.assertNotIn("loss of operator you", subjects)

    async def test_what_was_just_acknowledged_may_be_with_one_domain(self) -> None:
        self.array("abcd", "needed = 2\nhappy = 3\n", "a operator me;b operator me")
        await self.assert_found(
            "loss of operator me", Level.WARNING, "only just acknowledged may be", "happy = 4, or"
        )
        self.array("abcde", "needed = 3\nhappy = 4\n", "a site x;b site x;c operator y")
        await self.assert_found("loss of site x", Level.WARNING, "acknowledged", "write happy = 5")

    async def test_a_domain_that_holds_too_much_is_a_warning_when_it_is_accepted(self) -> None:
        labels = "a site x;b site x"
        self.array("abc", "needed = 2\nhappy = 3\nallow_shared_domain = true\n", labels)
        await self.assert_found(
            "loss of site x",
            Level.WARNING,
            "reads and writes stop: 1 of 3 fragments are left, and 2 are needed, which"
            " allow_shared_domain = true accepts",
            "do not share",
        )

    async def test_bare_acknowledgements_are_a_warning(self) -> None:
        self.array("abc", "needed = 2\nhappy = 2\nallow_bare_ack = true\n")
        await self.assert_found("allow_bare_ack", Level.WARNING, "survives no loss", "happy = 3")
        await self.assert_found(
            "promise", Level.OK, "the loss of no provider at once, and of any 1"
        )

    async def test_an_array_without_redundancy_is_a_warning(self) -> None:
        self.array("ab", "needed = 2\nhappy = 2\n")
        await self.assert_found("needed", Level.WARNING, "any provider loses everything", "lower")
        await self.assert_found("loss of a", Level.OK, "reads and writes stop: 1 of 2 fragments")


class Members(ArrayCase):
    async def test_members_in_error_are_counted(self) -> None:
        self.array("abcd", "needed = 2\nhappy = 3\n")
        await self.assert_found("members", Level.OK, "all 4 can be used")
        for name, level, text in (
            ("a", Level.WARNING, "3 of 4 can be used, not a: reads and writes go on"),
            ("b", Level.ERROR, "2 of 4 can be used, not a, b: reads go on, writes need 3"),
            ("c", Level.ERROR, "1 of 4 can be used, not a, b, c: reads need 2"),
        ):
            (self.path / name).write_text("no directory")
            await self.assert_found("members", level, text, "put right what is in error with a")

    async def test_a_missing_key_is_an_error(self) -> None:
        self.array("abc", "needed = 1\nhappy = 2\n")
        (self.path / "private" / "array.key").unlink()
        await self.assert_found("array.key", Level.ERROR, "missing", "backup of private/")

    async def test_without_an_identity_the_rest_is_said_all_the_same(self) -> None:
        self.array("abc", "needed = 1\nhappy = 2\n")
        (self.path / "private" / "seal.key").unlink()
        await self.assert_found("promise", Level.OK, "any 1 provider at once")
        subjects = {each.subject for each in (await self.check()).findings}
        self.assertFalse(subjects & {"members", "array.key"})


class Placements(ArrayCase):
    async def test_a_node_that_ran_has_its_fragments_where_it_says(self) -> None:
        self.array("abc", "needed = 1\nhappy = 2\n")
        await self.run_once()
        await self.assert_well()
        await self.assert_found("placement", Level.OK, "3 fragments, one with each provider")

    async def test_providers_that_came_and_went_are_told(self) -> None:
        self.array("abc", "needed = 1\nhappy = 2\n")
        await self.run_once()
        self.array("abd", "needed = 1\nhappy = 2\n")
        found = [each for each in (await self.check()).findings if each.subject == "placement"]
        self.assertEqual([each.level for each in found], [Level.ERROR, Level.WARNING])
        self.assertIn("fragments on c, not among", found[0].text)
        self.assertIn("no fragments go to d", found[1].text)
        self.assertEqual(found[1].remedy, f"raic array add d {self.path}")

    async def test_more_than_there_are_to_write_to_is_an_error(self) -> None:
        self.array("abc", "needed = 1\nhappy = 3\n")
        await self.run_once()
        self.array("abcd", "needed = 1\nhappy = 4\n")
        await self.assert_found("placement", Level.ERROR, "writes need 4 providers: there can be")

    async def test_a_move_that_is_under_way_is_told(self) -> None:
        self.array("abc", "needed = 1\nhappy = 2\n")
        await self.run_once()
        with closing(sqlite3.connect(self.path / "index.sqlite")) as connection:
            connection.execute("UPDATE placements SET former = 'a' WHERE number = 2")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await self.assert_found("placement", Level.OK, "fragments are moving away from a")


@pytest.mark.service
class Claims(ArrayCase):
    """Members of an array in clouds, of which every one has the claims whole."""

    def setUp(self) -> None:
        super().setUp()
        self.endpoint = moto_endpoint()
        self.containers = [self.endpoint.make_container() for _ in range(2)]
        sections = "".join(
            f"[provider:{name}]\ntype = s3\ncontainer = {container}\n"
            f"endpoint_url = {self.endpoint.url}\n"
            for name, container in zip("bc", self.containers, strict=True)
        )
        self.environment.update(
            {
                f"RAIC_{name}_{key}": "x"
                for name in "BC"
                for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
            }
        )
        self.configure(
            "backend = array:x\n",
            "[array:x]\nproviders = a, b, c\nneeded = 1\nhappy = 2\n[provider:a]\npath = a\n"
            + sections,
        )

    async def prefixes(self) -> list[Finding]:
        return [each for each in (await self.check()).findings if each.subject == "prefix"]

    async def test_each_member_in_a_cloud_says_whose_it_is(self) -> None:
        self.assertEqual(
            [each.text for each in await self.prefixes()],
            ["nobody has claimed it, and it is empty"] * 2,
        )
        self.patch_environment()
        await self.run_once()
        for found in await self.prefixes():
            self.assertEqual(found.level, Level.OK)
            self.assertIn("this node's own: claimed by server v0-", found.text)
        (self.path / "index.sqlite").unlink()
        (self.path / "a" / ",").mkdir(exist_ok=True)
        for found in await self.prefixes():
            self.assertEqual(found.level, Level.ERROR)
            self.assertIn("there is no index here", found.text)
        (self.path / "a" / "," / "claims,2.x.3").write_bytes(b"x")
        await self.assert_found("objects", Level.ERROR, "holds some", "restore --local")
        await self.assert_found("members", Level.OK, "all 3 can be used")

    async def test_what_trying_out_left_is_no_object(self) -> None:
        for container in self.containers:
            for key in ("certify/x", "probe/x"):
                place = f"raic/{self.identity.server_id}/{key}"
                self.endpoint.client().put_object(Bucket=container, Key=place, Body=b"x")
        for folder in ("certify", "probe"):
            for place in (f"{folder}/y/x", f",/{folder},x"):
                path = self.path / "a" / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"x")
        await self.assert_well()
        self.patch_environment()
        await self.run_once()
        await self.assert_well()

    def patch_environment(self) -> None:
        self.patch(os, "environ", {**os.environ, **self.environment})


class TakeOvers(CheckCase):
    async def test_one_that_was_cut_short_is_an_error(self) -> None:
        (self.path / "taking-over").write_bytes(b"")
        await self.assert_found("take-over", Level.ERROR, "cut short", "raic run --take-over")


class Several(CheckCase):
    def setUp(self) -> None:
        super().setUp()
        self.several = Path(self.mktemp()).absolute()
        (self.several / "servers").mkdir(parents=True)
        self.path.rename(self.several / "servers" / "one")
        (self.several / "servers" / "one" / "raic.cfg").unlink()
        self.path = self.several
        self.servers()

    def servers(self, more: str = "") -> None:
        ports = (self.port, self.port + 1)
        self.write(
            "".join(
                f"[server:{name}]\nbackend = provider:{name}\n"
                f"tub.port = tcp:{port}:interface=127.0.0.1\n"
                f"tub.location = tcp:127.0.0.1:{port}\n[provider:{name}]\npath = {name}\n"
                for name, port in zip(("one", "two"), ports, strict=True)
            )
            + more
        )

    async def test_all_servers_are_looked_at(self) -> None:
        report = await self.check()
        self.assertEqual(report.worst, Level.OK, report.findings)
        groups = list(dict.fromkeys(each.group for each in report.findings))
        self.assertEqual(
            groups,
            [
                "configuration",
                "one: identity",
                "one: process",
                "one: network",
                "one: index",
                "one: provider one",
                "two: identity",
            ],
        )
        self.assertIn("first start makes this server's keys", report.findings[-1].text)

    async def test_one_of_them_can_be_looked_at_alone(self) -> None:
        self.path = self.several / "servers" / "one"
        report = await self.check()
        self.assertEqual(report.worst, Level.OK, report.findings)
        self.assertEqual(report.findings[0].subject, "raic.cfg")
        self.assertIn("provider one", {each.group for each in report.findings})

    async def test_mistakes_are_told_once_and_nothing_is_said_of_keys(self) -> None:
        self.servers("[array:x]\nneeded = many\n")
        report = await self.check()
        self.assertEqual({each.group for each in report.findings}, {"configuration"})
        self.assertEqual(report.worst, Level.ERROR)

    async def test_a_directory_of_no_server_is_told_which_there_are(self) -> None:
        (self.several / "servers" / "three").mkdir()
        self.path = self.several / "servers" / "three"
        report = await self.check()
        (found,) = (
            each for each in report.findings if each.group == "configuration" and each.remedy
        )
        self.assertIn("has no [server:three]", found.text)


class Judging(SynchronousTestCase):
    def test_a_member_that_is_full_can_be_read(self) -> None:
        config, identity = node_directory(Path(self.mktemp()).absolute())
        state = IndexState(exists=False)
        surroundings = Surroundings(reactor, InlineWorkers(), {}, 5.0)
        node = ConfiguredNode(config.node_directory, surroundings, None, config, identity, state)
        members = tuple(ProviderSettings(name, "filesystem") for name in "abc")
        settings = ArraySettings("x", members, 2, 3, 65536, 2, None, None, False)
        full, refused = error("space", "none is left", "free some"), error("rights", "no", "do")
        for found, text in (
            ({"a": [full], "b": [full], "c": []}, "reads go on, writes need 3"),
            ({"a": [full], "b": [refused, full], "c": [full]}, "reads go on, writes need 3"),
            ({"a": [refused], "b": [refused, full], "c": []}, "reads need 2"),
        ):
            (told,) = check_members(ArrayView(node, settings, identity, found))
            self.assertEqual(told.level, Level.ERROR)
            self.assertIn(text, told.text)
