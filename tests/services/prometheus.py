"""A real Prometheus on loopback, and its tool."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml
from attrs import frozen

from tests.end_to_end.processes import Program, free_port
from tests.services.programs import need

SCRAPE_SECONDS = 5
"""As the documentation tells."""


def promtool(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the tool; both its outputs are in ``stdout``."""
    need("promtool")
    return subprocess.run(
        ["promtool", *map(str, arguments)],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


@frozen
class Prometheus:
    """A server that scrapes one node."""

    program: Program
    url: str

    def query(self, expression: str) -> list[Any]:
        """What an expression gives now; fails where it cannot be parsed."""
        found = self._ask("query", query=expression)
        return list(found["result"])

    def alerts(self) -> dict[str, list[Any]]:
        """What is pending or firing, by the alert's name."""
        found: dict[str, list[Any]] = {}
        for each in self._ask("alerts")["alerts"]:
            found.setdefault(each["labels"]["alertname"], []).append(each)
        return found

    def _ask(self, path: str, **parameters: str) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20)
        told = answer.json()
        assert told["status"] == "success", told
        return told["data"]


@contextmanager
def running_prometheus(folder: Path, target: str, rules: Path, **more: Any) -> Iterator[Prometheus]:
    """A server of one's own, which has scraped its target once.

    :param folder: where its files go; it is made.
    :param target: host and port of the node's page.
    :param more: for the configuration of the scraping.
    """
    need("prometheus")
    folder.mkdir()
    scraped = {"job_name": "raic", "scrape_interval": f"{SCRAPE_SECONDS}s", **more}
    config = {
        "scrape_configs": [{**scraped, "static_configs": [{"targets": [target]}]}],
        "rule_files": [str(rules)],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    program = Program(
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ],
        folder / "log",
        {"GOMAXPROCS": "1"},
    )
    try:
        server = Prometheus(program, f"http://{address}")
        program.wait_for_output("Server is ready to receive web requests")
        program.wait_for(lambda: server.query("up == 1"), "scraping", 4.0 * SCRAPE_SECONDS)
        yield server
    finally:
        program.terminate()
