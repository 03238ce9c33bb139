"""A real Prometheus watches a real node: the alerts come when they must, the dashboard has data."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.documentation.blocks import DOCS
from tests.end_to_end.harness import TahoeIntroducer
from tests.end_to_end.processes import ProgramFailed
from tests.end_to_end.watched_nodes import NOTICED_SECONDS, CloudsNode, array_storage
from tests.services.cuttable import CuttableService
from tests.services.moto import moto_endpoint
from tests.services.prometheus import Prometheus, promtool, running_prometheus

MONITORING = DOCS / "monitoring"
VARIABLES = {"$__rate_interval": "20s", "$server": ".*"}
"""What Grafana puts into an expression."""


@pytest.mark.service
class Watched(SynchronousTestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(TemporaryDirectory(prefix="raic-watched-")))
        self.endpoint = moto_endpoint()
        target = urlsplit(self.endpoint.url)
        self.lines = {
            name: CuttableService(str(target.hostname), target.port or 0) for name in "abc"
        }
        for line in self.lines.values():
            self.stack.callback(line.cut)
        self.node = self.make_node()

    def make_node(self) -> CloudsNode:
        """It takes writes while all of its providers are there."""
        introducer = TahoeIntroducer(self.folder / "introducer")
        self.stack.callback(introducer.stop)
        introducer.start()
        ports = {name: line.port for name, line in self.lines.items()}
        storage = array_storage(self.endpoint, ports, needed=2, happy=3)
        node = CloudsNode(self.folder / "node", storage)
        node.configure(
            {
                "client": {"introducer.furl": introducer.furl()},
                "provider:a": {"quota": "1GB"},
            }
        )
        self.stack.callback(node.stop)
        node.start()
        return node

    def test_it_alerts_within_half_a_minute_of_a_provider_that_hangs(self) -> None:
        node, lines = self.node, self.lines
        watching = running_prometheus(
            self.folder / "prometheus", f"127.0.0.1:{node.web}", MONITORING / "alerts.yml"
        )
        prometheus = self.stack.enter_context(watching)
        node.use()
        self.assertEqual(prometheus.alerts(), {})
        self.assertEqual(node.get("readyz").status_code, 200)

        lines["b"].hang()
        self.wait(prometheus, "RaicProviderDown", "RaicNotReady")
        (down,) = prometheus.alerts()["RaicProviderDown"]
        self.assertEqual((down["labels"]["provider"], down["state"]), ("b", "firing"))
        self.assertIn("raic doctor", down["annotations"]["action"])
        self.assertEqual(prometheus.query('raic_provider_up{provider="a"} == 0'), [])
        self.assertEqual(node.get("readyz").status_code, 503)
        self.assertIn("only 2 of 3", node.get("readyz").text)

        lines["b"].mend()
        node.running().wait_for(lambda: not prometheus.alerts(), "over", 120.0)
        self.assertEqual(node.get("readyz").status_code, 200)
        lines["b"].cut()
        with self.assertRaises(ProgramFailed):  # nothing can be written
            node.use()
        self.dashboard(prometheus)
        self.metrics()
        node.stop()
        self.wait(prometheus, "RaicDown")

    def wait(self, prometheus: Prometheus, *names: str) -> None:
        """Until these alerts are pending or firing."""

        def told() -> bool:
            return set(names) <= prometheus.alerts().keys()

        prometheus.program.wait_for(told, f"alerting {names}", NOTICED_SECONDS)

    def dashboard(self, prometheus: Prometheus) -> None:
        """Every expression can be parsed, and gives something once what it shows has happened."""
        shown = json.loads((MONITORING / "dashboard.json").read_text())
        wanted = {
            (panel["title"], target["expr"])
            for panel in shown["panels"]
            for target in panel["targets"]
        }
        self.assertGreater(len(wanted), 15)

        def missing() -> list[tuple[str, str]]:
            return [each for each in sorted(wanted) if not prometheus.query(filled(each[1]))]

        try:
            prometheus.program.wait_for(lambda: not missing(), "all shown", 20.0)
        except ProgramFailed:
            self.fail(f"{missing()}")

    def metrics(self) -> None:
        """Prometheus' own tool finds nothing to say against what a node tells."""
        told = self.node.get("metrics", Accept="text/plain")
        self.assertIn("text/plain; version=0.0.4", told.headers["Content-Type"])
        done = promtool("check", "metrics", stdin=told.text)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


def filled(expression: str) -> str:
    """An expression as Grafana would ask it."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression
