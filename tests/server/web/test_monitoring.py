"""What is shipped for Prometheus and Grafana, against what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from raic.server.web.families import FAMILIES
from raic.server.web.metrics import OPENMETRICS
from tests.server.web import statuses

DOCS = Path(__file__).parents[3] / "docs"

_STRING = re.compile(r'"[^"]*"')
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_FUNCTIONS = {"sum", "rate", "increase", "delta", "time", "histogram_quantile", "label_values"}
_WORDS = {"by", "and", "or", "on", "unless"}
_LABELS = {"server", "provider", "operation", "kind", "direction", "le", "job", "instance"}
_NO_METRICS = frozenset({*_FUNCTIONS, *_WORDS, *_LABELS, "up"})


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression of PromQL names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", _STRING.sub(" ", expression))
    return set(_NAME.findall(re.sub(r"\b\d+[smhd]?\b", " ", bare))) - _NO_METRICS


def labels_in(expression: str) -> set[str]:
    """The labels that it selects by."""
    selectors = " ".join(re.findall(r"\{[^}]*\}", expression))
    return set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)", selectors))


def expressions(value: Any) -> Iterator[str]:
    """All expressions in a file."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "expr" and isinstance(each, str):
                yield each
            else:
                yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)


class Shipped(SynchronousTestCase):
    def setUp(self) -> None:
        families = text_string_to_metric_families(OPENMETRICS.expose(statuses.node()).decode())
        self.labels: dict[str, set[str]] = {}
        for family in families:
            for sample in family.samples:
                self.labels.setdefault(sample.name, set()).update(sample.labels)

    def check(self, found: list[str]) -> None:
        self.assertGreater(len(found), 10)
        for expression in found:
            names = metrics_in(expression)
            self.assertEqual(names - self.labels.keys(), set(), expression)
            known = set().union(*(self.labels[name] for name in names)) | {"job"}
            self.assertEqual(labels_in(expression) - known, set(), expression)

    def test_alert_rules_name_what_there_is_and_say_what_to_do(self) -> None:
        rules = yaml.safe_load((DOCS / "monitoring" / "alerts.yml").read_text())
        self.check(list(expressions(rules)))
        for rule in [each for group in rules["groups"] for each in group["rules"]]:
            self.assertEqual({"summary", "action"}, set(rule["annotations"]), rule["alert"])
            self.assertIn(rule["labels"]["severity"], ("warning", "critical"))

    def test_the_dashboard_names_what_there_is(self) -> None:
        dashboard = json.loads((DOCS / "monitoring" / "dashboard.json").read_text())
        self.check(list(expressions(dashboard)))
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_a_name_that_is_no_metric_is_found(self) -> None:
        self.assertEqual(metrics_in('rate(raic_x{a="raic_y"}[5m]) > 3 * time()'), {"raic_x"})
        self.assertEqual(labels_in('raic_x{server=~"$s",kind!="b"}'), {"server", "kind"})
        with self.assertRaises(self.failureException):
            self.check(["raic_nothing > 0"] * 20)

    def test_every_metric_is_documented_and_no_other(self) -> None:
        text = (DOCS / "monitoring.rst").read_text()
        documented = set(re.findall(r"``(raic_\w+)``", text))
        samples = {name for family in FAMILIES.values() for name in family.sample_names()}
        self.assertEqual(documented, samples)
        self.assertEqual(set(self.labels), samples)
        for family in FAMILIES.values():
            self.assertIn(f"- {family.help}\n", text)
