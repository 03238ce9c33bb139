"""From nothing to a node of three providers with a client, as the README and the questions lead;
then one provider is stopped, and everything that an operator looks at says so and what to do.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import requests
import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.backends.swift.swift_world import SwiftWorld
from tests.documentation.blocks import DOCS
from tests.end_to_end.conversation import (
    Conversation,
    folder_steps,
    s3_steps,
    swift_steps,
)
from tests.end_to_end.harness import TahoeClient
from tests.end_to_end.processes import Program, clean_environment, free_port, installed
from tests.end_to_end.suite import content, get, put
from tests.services.moto import moto_endpoint
from tests.services.prometheus import Prometheus, running_prometheus
from tests.services.secret_service import secret_service
from tests.services.swift import running_swift

NOTICED_SECONDS = 30.0


@pytest.mark.service
class Newcomer(SynchronousTestCase):
    def setUp(self) -> None:
        self.held = ExitStack()
        self.addCleanup(self.held.close)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.node = self.folder / "node"
        self.moto = moto_endpoint()
        self.container = self.moto.make_container()
        self.swift = ExitStack()
        self.held.callback(self.swift.close)
        self.world = SwiftWorld(self.swift.enter_context(running_swift()))
        self.held.callback(self.world.close)
        self.keychain = self.held.enter_context(secret_service())
        self.web = free_port()

    @property
    def environment(self) -> Mapping[str, str]:
        backend = "keyring.backends.SecretService.Keyring"
        return {**self.keychain.environment, "PYTHON_KEYRING_BACKEND": backend}

    def raic(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed("raic"), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment() | dict(self.environment) | {"COLUMNS": "200"},
            check=False,
        )

    def create(self) -> None:
        talk = Conversation(self.node, self.environment)
        self.addCleanup(talk.kill)
        port = str(free_port())
        keys = (self.moto.access_key_id, self.moto.secret_access_key)
        users = (self.world.server.user, self.world.server.key)
        talk.answer(
            [
                ("name that clients show", "newcomer"),
                ("where clients reach", ""),
                ("where [folder]", "array"),
                ("how many", "3"),
                ("the port to listen on", port),
                *folder_steps("attic", self.folder / "attic"),
                *s3_steps("moto", "missing", self.moto.url, keys),
            ]
        )
        # The container is not there: this comes to light at once, and the answers are asked again.
        talk.expect("what to do: create the container missing")
        talk.answer([("tries again", "change")])
        talk.answer(s3_steps("moto", self.container, self.moto.url, keys)[2:])
        talk.expect("moto can be used")
        talk.answer(swift_steps("swift", self.world.container, self.world.server.auth_url, users))
        talk.expect("swift can be used")
        talk.answer(
            [
                ("shall suffice to read", ""),
                ("before it is acknowledged", ""),
                ("an introducer", ""),
                ("the status page", str(self.web)),
                ("make this node in", "y"),
            ]
        )
        talk.expect("start it: raic run")
        self.assertEqual(talk.end(), 0)
        for secret in (*keys, users[1]):
            self.assertNotIn(secret, (self.node / "raic.cfg").read_text())
        self.assertEqual(
            set(self.keychain.secrets()), {*keys, *users}, "the secrets are in the keychain"
        )

    def test_everything(self) -> None:
        self.create()
        checked = self.raic("check", self.node)
        self.assertEqual(checked.returncode, 0, checked.stdout)
        program = Program(
            [installed("raic"), "run", self.node], self.folder / "log", self.environment
        )
        self.held.callback(program.terminate)
        program.wait_for_output("storage node is ready", 60.0)
        servers = yaml.safe_load((self.node / "private" / "servers.yaml").read_text())["storage"]
        client = TahoeClient(self.folder / "client", servers)
        client.start()
        self.held.callback(client.stop)
        cap = put(client, content(100_000))
        self.assertEqual(get(client, cap), content(100_000))
        watching = running_prometheus(
            self.folder / "prometheus", f"127.0.0.1:{self.web}", DOCS / "monitoring" / "alerts.yml"
        )
        prometheus = self.held.enter_context(watching)
        self.assert_all_is_well()
        self.assertEqual(prometheus.alerts(), {})
        self.swift.close()
        self.assert_told(program, prometheus)
        # What was stored can be read all the same.
        self.assertEqual(get(client, cap), content(100_000))

    def get(self, path: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"http://127.0.0.1:{self.web}{path}", timeout=20)

    def assert_all_is_well(self) -> None:
        shown = self.raic("status", self.node)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("ready, room for", shown.stdout)
        self.assertIn("3 of 3 providers can be written to", shown.stdout)
        doctor = self.raic("doctor", self.node)
        self.assertEqual(doctor.returncode, 0, doctor.stdout)
        self.assertIn("All is well", self.get("/").text)
        self.assertEqual(self.get("/readyz").status_code, 200)

    def assert_told(self, program: Program, prometheus: Prometheus) -> None:
        """That Swift is gone, and what to do, within half a minute, though nobody uses it."""
        began = monotonic()
        program.wait_for(lambda: self._is_noticed(prometheus), "noticing", NOTICED_SECONDS)
        shown = self.raic("status", self.node).stdout
        doctor = self.raic("doctor", self.node)
        page, ready = self.get("/").text, self.get("/readyz")
        told = json.loads(self.get("/api/v1/status").text)["servers"][0]
        alerts = prometheus.alerts()
        self.assertLess(monotonic() - began, NOTICED_SECONDS + 30.0)
        self.assertRegex(shown, r"swift +failing")
        self.assertIn("takes no shares: only 2 of 3 providers can be written to", shown)
        self.assertRegex(shown, r"(?s)swift: .*?\n  what to do: \S")
        self.assertEqual(doctor.returncode, 1)
        self.assertRegex(doctor.stdout, r"ERROR +swift +failing for")
        self.assertIn(f"raic array replace swift NEW {self.node}", doctor.stdout)
        self.assertRegex(doctor.stdout, r"(?s)provider swift\n  ERROR +reach .*?what to do: \S")
        remedy = "check auth_url, the network and the name service"
        for text in ("swift is failing", "only 2 of 3 providers can be written to", remedy):
            self.assertIn(text, page)
        self.assertEqual(ready.status_code, 503)
        self.assertIn(remedy, ready.text)
        (swift,) = [each for each in told["providers"] if each["name"] == "swift"]
        self.assertEqual((swift["health"], swift["remedy"]), ("failing", remedy))
        self.assertEqual(told["readiness"]["remedy"], remedy)
        for name in ("RaicProviderDown", "RaicNotReady"):
            self.assertIn("raic doctor", alerts[name][0]["annotations"]["action"])

    def _is_noticed(self, prometheus: Prometheus) -> bool:
        told: dict[str, Any] = json.loads(self.raic("status", self.node, "--json").stdout)
        health = {each["name"]: each["health"] for each in told["servers"][0]["providers"]}
        metrics = self.get("/metrics").text
        return (
            health["swift"] in ("failing", "away")
            and health["moto"] == "well"
            and re.search(r'^raic_provider_up{provider="swift",.*} 0', metrics, re.M) is not None
            and {"RaicProviderDown", "RaicNotReady"} <= prometheus.alerts().keys()
        )
