from __future__ import annotations

import json
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from raic.config.schema import ANY, SCHEMA, keys_of

ASK_TAHOE = """
import json
from allmydata.client import _valid_config
sections = _valid_config()._static_valid_sections
print(json.dumps({name: list(keys) for name, keys in sections.items()}))
"""


class Schema(SynchronousTestCase):
    def test_it_knows_every_key_of_tahoe_and_marks_no_other_as_one(self) -> None:
        # A process of its own: Foolscap refuses to meet Tahoe's interfaces and ours in one.
        asked = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ASK_TAHOE],
            check=True,
            capture_output=True,
            timeout=60,
        )
        theirs = {
            (section, key) for section, keys in json.loads(asked.stdout).items() for key in keys
        }
        ours = {(key.section, key.name.lower()) for key in SCHEMA if key.tahoe and key.name != ANY}
        self.assertEqual(ours, theirs)

    def test_no_key_stands_in_it_twice(self) -> None:
        places = [(key.section, key.name.lower()) for key in SCHEMA]
        self.assertEqual(len(places), len(set(places)))

    def test_every_default_is_a_valid_value(self) -> None:
        for key in SCHEMA:
            if key.default is not None:
                key.parse(key.default)

    def test_every_key_has_a_help_text(self) -> None:
        self.assertEqual([key.name for key in SCHEMA if not key.help.endswith(".")], [])

    def test_sections_are_found_by_their_patterns(self) -> None:
        self.assertIn("path", keys_of("provider:attic"))
        self.assertEqual(keys_of("provider:"), {})
        self.assertIn(ANY, keys_of("storageserver.plugins.acme-foo-v1"))
        self.assertEqual(keys_of("nodes"), {})
