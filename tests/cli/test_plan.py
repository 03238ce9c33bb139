"""``raic plan``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.losing import Loss
from raic.cli import main
from raic.cli.plantables import percent, worst_domain
from tests.cli.test_commands import invoke
from tests.config.nodes import node_directory

THREE = (
    "--provider=aws:storage=0.023,download=0.09,requests=0.05,operator=amazon,jurisdiction=us",
    "--provider=b2:storage=0.006,download=0.01,requests=0.004,jurisdiction=us",
    "--provider=attic:availability=99",
)


class Plans(SynchronousTestCase):
    def planned(self, *arguments: str | Path) -> dict[str, Any]:
        result = invoke("plan", *arguments, "--json")
        self.assertEqual(result.exit_code, 0, result.output)
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def refused(self, *arguments: str | Path) -> str:
        result = invoke("plan", *arguments)
        self.assertEqual(result.exit_code, 2, result.output)
        return " ".join(result.stderr.split())

    def node(self, text: str) -> Path:
        path = Path(self.mktemp()).absolute()
        node_directory(path)
        (path / "raic.cfg").write_text(text)
        return path

    def test_all_choices_are_shown_with_what_they_cost(self) -> None:
        found = self.planned(
            *THREE, "--bytes=500GB", "--writes=20000", "--reads=10000", "--download=100GB"
        )
        codes = [(each["needed"], each["happy"], each["total"]) for each in found["choices"]]
        self.assertEqual(codes, [(1, 2, 2), (1, 2, 3), (1, 3, 3), (2, 3, 3)])
        last = found["choices"][-1]
        self.assertEqual(last["providers"], ["aws", "b2", "attic"])
        self.assertAlmostEqual(last["cost"]["storage"], 7.25)
        self.assertAlmostEqual(last["cost"]["requests"], 0.112)
        self.assertAlmostEqual(last["cost"]["download"], 0.5)
        self.assertAlmostEqual(last["cost"]["total"], 7.862)
        self.assertEqual((last["write_requests"], last["read_requests"]), (3, 2))
        self.assertAlmostEqual(last["write_availability"], 0.999**2 * 0.99)
        self.assertEqual((last["may_lose_at_once"], last["may_lose_repaired"]), (1, 1))
        domain = last["losses"][-1]
        self.assertEqual((domain["label"], domain["name"]), ("jurisdiction", "us"))
        self.assertFalse(domain["reads_go_on"])

    def test_domains_fail_as_a_whole(self) -> None:
        (found,) = self.planned(*THREE, "--needed=2", "--domain=jurisdiction=us:90")["choices"]
        self.assertAlmostEqual(found["write_availability"], 0.9 * 0.999**2 * 0.99)
        self.assertIn("no provider has site = x", self.refused(*THREE, "--domain=site=x:99"))

    def test_filters_allow_what_is_not_shown_without_them(self) -> None:
        (found,) = self.planned(*THREE, "--needed=2", "--total=3", "--happy=2")["choices"]
        self.assertEqual(found["may_lose_at_once"], 0)

    def test_the_providers_of_a_node_are_taken_and_can_be_corrected(self) -> None:
        path = self.node(
            "[storage]\nbackend = array:x\n[array:x]\nproviders = b, a\nneeded = 1\nhappy = 2\n"
            "[provider:a]\npath = a\nprice_storage = 0.5\noperator = me\navailability = 98\n"
            "[provider:b]\npath = b\n[provider:unused]\npath = c\n"
        )
        found = self.planned(path)["providers"]
        self.assertEqual([each["name"] for each in found], ["b", "a"])
        self.assertEqual([each["availability"] for each in found], [0.999, 0.98])
        found = self.planned(path, "--provider=a:storage=0.25,site=here", "--provider=c")
        _, corrected, new = found["providers"]
        self.assertEqual((corrected["storage"], corrected["availability"]), (0.25, 0.98))
        self.assertEqual(corrected["labels"], {"operator": "me", "site": "here"})
        self.assertEqual(new["name"], "c")

    def test_without_an_array_all_providers_are_taken(self) -> None:
        path = self.node(
            "[server:one]\nbackend = provider:a\ntub.port = tcp:4001\ntub.location = tcp:h:4001\n"
            "[server:two]\nbackend = provider:b\ntub.port = tcp:4002\ntub.location = tcp:h:4002\n"
            "[provider:a]\npath = a\n[provider:b]\npath = b\n[provider:c]\npath = c\n"
        )
        names = [each["name"] for each in self.planned(path)["providers"]]
        self.assertEqual(names, ["a", "b", "c"])
        self.assertEqual(len(self.planned(path / "servers" / "two")["providers"]), 3)

    def test_the_clients_own_coding_is_compared(self) -> None:
        found = self.planned(*THREE, "--needed=2", "--client=3-of-10")
        self.assertEqual(found["client"], {"needed": 3, "total": 10})
        overheads = [round(each["overhead"], 2) for each in found["arrangements"]]
        self.assertEqual(overheads, [3.33, 3.33, 5.0, 1.5])

    def test_the_tables_say_the_same(self) -> None:
        if "COLUMNS" in os.environ:  # as when there is a terminal, which may be narrow
            self.addCleanup(os.environ.__setitem__, "COLUMNS", os.environ.pop("COLUMNS"))
        result = invoke("plan", *THREE, "--client=3-of-10")
        self.assertEqual(result.exit_code, 0, result.output)
        rows = (line.split() for line in result.output.splitlines())
        row = next(row for row in rows if row[:1] == ["2-of-3"])
        self.assertEqual(row[:4], ["2-of-3", "3", "1.50x", "14.50"])
        self.assertIn("us: all is lost", result.output)
        told = " ".join(result.output.split())
        self.assertIn("Why not just lower the grid's own N?", told)
        self.assertIn("3-of-10 an array, 2-of-3 5.00x", told)
        self.assertIn("nobody measures it", told)

    def test_a_narrow_terminal_gets_several_tables(self) -> None:
        result = CliRunner().invoke(main, ["plan", *THREE], env={"COLUMNS": "80"})
        self.assertEqual(result.exit_code, 0, result.output)
        rows = (line.split() for line in result.output.splitlines())
        found = [row[2:] for row in rows if row[:2] == ["2-of-3", "3"]]
        costs, available, losses = found
        self.assertEqual(costs, ["1.50x", "14.50", "0.00", "0.00", "14.50"])
        self.assertEqual(available, ["3", "2", "99.9979", "%", "98.80", "%"])
        self.assertEqual(losses, ["1", "1", "us:", "all", "is", "lost"])

    def test_mistakes_are_told(self) -> None:
        for arguments, text in (
            ((), "name NODEDIR, or a provider"),
            (("--provider=a",), "no array can be made"),
            (("--provider=A:storage=1",), "in lower-case letters"),
            (("--provider=a:colour=red",), "colour=red: write key=value"),
            (("--provider=a:storage=cheap",), "storage=cheap: write an amount"),
            (("--provider=a:availability=101",), "write a percentage"),
            (("--domain=amazon:99",), "write such as operator=amazon:99.95"),
            (("--client=10-of-3",), "write such as 3-of-10"),
            (("--bytes=much",), "write a size"),
            ([f"--provider=p{number}" for number in range(20)], "too many: narrow it"),
        ):
            self.assertIn(text, self.refused(*arguments))
        sites = [f"--provider=p{number}:site=s{number}" for number in range(13)]
        many = [f"--domain=site=s{number}:99" for number in range(13)]
        self.assertIn("at most 12 domains", self.refused(*sites, *many, "--total=13", "--needed=3"))


class Words(SynchronousTestCase):
    def test_availabilities_are_told_apart_from_always(self) -> None:
        for down, words in (
            (0.0, "100 %"),
            (0.1, "90.00 %"),
            (0.001, "99.90 %"),
            (0.00000123, "99.99988 %"),
            (1.01e-9, "99.9999999 %"),
            (0.99e-9, "> 99.9999999 %"),
            (1e-12, "> 99.9999999 %"),
            (1.0, "0.00 %"),
        ):
            self.assertEqual(percent(down), words)

    def test_the_worst_domain_is_told(self) -> None:
        for fragments, words in ((1, "nothing"), (2, "writes stop"), (4, "all is lost")):
            loss = Loss("site", "x", fragments, needed=2, happy=4, total=5)
            self.assertEqual(worst_domain([loss]), f"x: {words}")
        loss = Loss("site", "x", 2, needed=2, happy=3, total=5)
        self.assertEqual(worst_domain([loss]), "x: newest at risk")
        self.assertEqual(worst_domain([]), "-")
