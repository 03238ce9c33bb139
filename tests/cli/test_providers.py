"""``raic providers list``, and mistakes on the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.certified import keep_record
from raic.backends import certify
from raic.backends.certify import Certification, Row
from raic.cli import main
from raic.cli.providers import providers
from raic.cli.providertables import describe_certification
from raic.config.loading import load_config
from tests.config.nodes import node_directory
from tests.documentation.blocks import DOCS

NOW = 1_900_000_000.9

SECTIONS = """
[provider:aws]
type = s3
container = my-shares
prefix = raic/home

[provider:azure]
type = libcloud
driver = azure_blobs
container = blobs
"""

PASSED = Certification(
    (
        Row("access", certify.Result.PASS, "all is allowed", "", 0.25),
        Row("clock", certify.Result.WARNING, "2 min ahead", "set it", 0.0),
        Row("ranges", certify.Result.EMULATED, "by reading \x1b[31mall", "", 1.0),
        Row("conditional create", certify.Result.NOT_OFFERED, "not needed", "", 0.0),
    ),
    {"put_p50_seconds": 0.01},
    {"ranges": "all is read"},
)
FAILED = evolve(
    PASSED,
    rows=(*PASSED.rows, Row("deleting", certify.Result.FAIL, "it stays", "ask them", 30.0)),
    left=("certify/x/delete/1",),
)


class ProvidersCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Path("raic-node").absolute()
        _, self.identity = node_directory(self.node)
        self.configure(SECTIONS)

    def configure(self, sections: str) -> None:
        path = self.node / "raic.cfg"
        text = path.read_text().partition("\n[provider:aws]")[0]
        path.write_text(text + sections)

    def invoke(self, *words: str) -> Result:
        result = CliRunner().invoke(main, ["providers", *words], env={"COLUMNS": "150"})
        if not isinstance(result.exception, SystemExit | None):
            raise result.exception
        return result

    def keep(self, name: str, found: Certification) -> Mapping[str, Any]:
        config = load_config(self.node)
        return keep_record(config, self.identity, config.providers[name], found, NOW)

    def listed(self) -> dict[str, Any]:
        found = json.loads(self.invoke("list", "--json").output)["providers"]
        return {each["name"]: each for each in found}

    def lines(self, name: str) -> str:
        """What the table has of one provider, white space made even."""
        rows = self.invoke("list").output.splitlines()[3:]
        begin = next(at for at, row in enumerate(rows) if row.startswith(f" {name} "))
        rest = [row for row in rows[begin + 1 :] if row.strip()]
        more = []
        for row in rest:
            if not row.startswith("  "):
                break
            more.append(row)
        return " ".join(" ".join([rows[begin], *more]).split())


class Listing(ProvidersCase):
    """What ``list`` prints, and what ``certify`` refuses."""

    def test_all_that_are_configured_are_shown_those_in_use_first(self) -> None:
        found = self.listed()
        self.assertEqual(list(found), ["disk", "aws", "azure"])
        self.assertEqual([each["used"] for each in found.values()], [True, False, False])
        self.assertEqual(found["disk"]["where"], {"path": str(self.node / "storage")})
        self.assertEqual(found["aws"]["where"], {"container": "my-shares", "prefix": "raic/home/"})
        azure = found["azure"]
        self.assertEqual(azure["where"]["driver"], "azure_blobs")
        self.assertEqual(azure["where"]["prefix"], f"raic/{self.identity.server_id}/")
        self.assertEqual(sorted(azure["emulated"]), ["large objects", "pages"])
        self.assertEqual({each["certification"] for each in found.values()}, {None})

    def test_the_table_says_it_for_people(self) -> None:
        aws = self.lines("aws")
        self.assertEqual(aws, "aws s3 container my-shares no never - prefix raic/home/")
        self.assertIn("large objects", self.lines("azure"))
        self.assertIn(" yes never", self.lines("disk"))

    def test_the_last_certification_is_shown(self) -> None:
        record = self.keep("aws", PASSED)
        self.assertEqual(self.listed()["aws"]["certification"], record)
        self.assertIn("pass 2030-03-17 17:46 UTC", self.lines("aws"))
        self.keep("aws", FAILED)
        self.assertIn("fail 2030-03-17 17:46 UTC", self.lines("aws"))
        self.assertIn("failed: deleting", self.lines("aws"))
        self.keep("aws", evolve(PASSED, interrupted=True))
        self.assertIn("interrupted", self.lines("aws"))
        self.assertEqual([path.name for path in (self.node / "certified").iterdir()], ["aws.json"])

    def test_a_certification_of_another_place_counts_no_longer(self) -> None:
        self.keep("aws", PASSED)
        self.assertIs(self.listed()["aws"]["certified_elsewhere"], False)
        self.configure(SECTIONS.replace("my-shares", "other-shares"))
        self.assertIs(self.listed()["aws"]["certified_elsewhere"], True)
        self.assertIn("at another place: certify it anew", self.lines("aws"))

    def test_what_cannot_be_understood_is_as_good_as_nothing(self) -> None:
        self.keep("aws", PASSED)
        for text in ("", "[]", '{"format": 2}'):
            (self.node / "certified" / "aws.json").write_text(text)
            self.assertIn("never", self.lines("aws"))

    def test_settings_that_do_not_go_together_do_not_hide_the_others(self) -> None:
        self.configure(SECTIONS.replace("driver = azure_blobs", "driver = nonesuch"))
        self.assertEqual(self.listed()["azure"]["emulated"], {})

    def test_an_unknown_name_is_a_mistake_and_those_there_are_are_named(self) -> None:
        result = self.invoke("certify", "rackspace")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("no section [provider:rackspace]; there are: aws, azure, disk", result.stderr)

    def test_mistakes_on_the_command_line(self) -> None:
        for words in (("--bytes", "much"), ("--samples", "0"), ("--connections", "none")):
            self.assertEqual(self.invoke("certify", "aws", *words).exit_code, 2)
        self.assertEqual(self.invoke("certify").exit_code, 2)
        self.assertEqual(self.invoke("list", "nowhere").exit_code, 2)

    def test_every_option_is_documented(self) -> None:
        section = (DOCS / "commands.rst").read_text().partition("\n``raic providers``\n")[2]
        for command in providers.commands.values():
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    self.assertIn(f"\n``{parameter.opts[0]}", section)


class Table(ProvidersCase):
    """What ``certify`` prints."""

    def printed(self, found: Certification) -> str:
        record = self.keep("aws", found)

        @click.command()
        def show() -> None:
            describe_certification(record)

        return CliRunner().invoke(show, env={"COLUMNS": "90"}).output

    def test_each_check_has_a_line_and_the_whole_a_sum(self) -> None:
        text = self.printed(PASSED)
        self.assertIn("aws: s3, container my-shares, prefix raic/home/\n", text)
        self.assertRegex(text, r"(?m)^ access +pass +all is allowed +0\.2 *$")
        self.assertRegex(text, r"(?m)^ conditional create +not.offered +not needed")
        self.assertRegex(
            text, r"(?m)^ clock +warning +2 min ahead +0\.0 *\n +what to do: set it *$"
        )
        self.assertTrue(
            text.endswith(
                "1 passed, 1 emulated, 1 not offered, 1 with a warning:"
                " aws does what a node relies on\n"
            )
        )

    def test_nothing_moves_the_cursor(self) -> None:
        self.assertNotIn("\x1b", self.printed(PASSED))

    def test_a_failure_says_what_to_do_and_what_is_left(self) -> None:
        text = self.printed(FAILED)
        self.assertIn("what to do: ask them", text)
        self.assertIn("perhaps left behind: certify/x/delete/1\n", text)
        self.assertIn("1 failed: aws cannot be relied on\n", text)

    def test_an_interruption_is_told(self) -> None:
        text = self.printed(evolve(PASSED, interrupted=True))
        self.assertIn("interrupted before all checks were made\n", text)
