"""The alert rules, as Prometheus' own tool takes and tries them, and the metrics, as it likes them.

``alerts/`` has a file for each rule: what happens, when it must be told, and in which words.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from twisted.trial.unittest import SynchronousTestCase

from raic.server.web.metrics import TEXT
from tests.documentation.blocks import DOCS
from tests.server.web import statuses
from tests.services.prometheus import promtool

RULES = DOCS / "monitoring" / "alerts.yml"
CASES = Path(__file__).with_name("alerts")


@pytest.mark.service
class Alerts(SynchronousTestCase):
    def test_the_rules_are_well_formed(self) -> None:
        done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_each_is_told_when_it_must_be_and_not_before(self) -> None:
        groups = yaml.safe_load(RULES.read_text())["groups"]
        names = {rule["alert"] for group in groups for rule in group["rules"]}
        cases = sorted(CASES.iterdir())
        self.assertEqual({path.stem for path in cases}, names)
        for path in cases:
            (case,) = yaml.safe_load(path.read_text())["tests"]
            told = [bool(each.get("exp_alerts")) for each in case["alert_rule_test"]]
            self.assertEqual(set(told), {False, True}, path.stem)
            self.assertEqual({each["alertname"] for each in case["alert_rule_test"]}, {path.stem})
        done = promtool("test", "rules", *cases)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_rule_that_is_wrong_would_be_found(self) -> None:
        rules = RULES.read_text()
        for good, bad in (("raic_provider_up == 0", "raic_provider_up == 1"), ("1h", "2h")):
            self.assertIn(good, rules)
            Path("alerts.yml").write_text(rules.replace(good, bad))
            cases = []
            for path in CASES.iterdir():
                text = re.sub(r"rule_files: .*", "rule_files: [alerts.yml]", path.read_text())
                cases.append(Path(path.name))
                cases[-1].write_text(text)
            self.assertEqual(promtool("test", "rules", *cases).returncode, 1, bad)

    def test_the_metrics_are_named_as_is_usual(self) -> None:
        text = TEXT.expose(statuses.node()).decode()
        done = promtool("check", "metrics", stdin=text)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        done = promtool("check", "metrics", stdin="# TYPE raic_x counter\nraic_x 1\n")
        self.assertIn("counter metrics should have", done.stdout)
