"""Nodes on clouds, with a status page that a test looks at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.end_to_end.harness import RaicNode
from tests.end_to_end.processes import Program, free_port, installed, run
from tests.services.moto import S3Endpoint

NOTICED_SECONDS = 30.0
"""How soon everything must say that a provider was stopped."""


class CloudsNode(RaicNode):
    """A node on clouds, with a status page."""

    def __init__(self, folder: Path, storage: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(folder)
        self.web = free_port()
        self.url = f"http://127.0.0.1:{self.web}/"
        self.configure({"node": {"web.port": str(self.web)}, **storage})
        self.environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        for section in storage:
            kind, _, name = section.partition(":")
            if kind == "provider":
                self.environment[f"RAIC_{name.upper()}_ACCESS_KEY_ID"] = "key-id"
                self.environment[f"RAIC_{name.upper()}_SECRET_ACCESS_KEY"] = "secret"

    def begin(self) -> None:
        """Start it, and return at once."""
        command = (installed("raic"), "run", self.folder)
        self.program = Program(command, self.log(), self.environment)

    def use(self) -> None:
        """Do with it what clients do."""
        run((installed("raic"), "selftest", "--thorough", self.folder))

    def get(self, path: str, **headers: str) -> requests.Response:
        """Ask the status page's port."""
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self.url + path, timeout=20, headers=headers)

    def provider(self, name: str) -> Any:
        """What the API says of a provider."""
        (server,) = self.get("api/v1/status").json()["servers"]
        (found,) = [each for each in server["providers"] if each["name"] == name]
        return found

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        families = text_string_to_metric_families(self.get("metrics").text)
        (value,) = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return float(value)


def s3_section(endpoint: S3Endpoint, url: str, **more: str) -> Mapping[str, str]:
    """A provider with a new container."""
    container = endpoint.make_container()
    return {"type": "s3", "container": container, "endpoint_url": url, "attempts": "2", **more}


def array_storage(
    endpoint: S3Endpoint, ports: Mapping[str, int], needed: int, happy: int
) -> Mapping[str, Mapping[str, str]]:
    """An array of new containers, each reached at a port of its own on loopback."""
    array = {"providers": ", ".join(ports), "needed": str(needed), "happy": str(happy)}
    members = {
        f"provider:{name}": s3_section(endpoint, f"http://127.0.0.1:{port}")
        for name, port in ports.items()
    }
    return {"storage": {"backend": "array:clouds"}, "array:clouds": array, **members}
