"""Types of providers, found by entry points."""

from __future__ import annotations

import sys
from importlib import invalidate_caches
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.registry import (
    ProviderType,
    Setting,
    boolean,
    one_of,
    prefix,
    provider_type,
    provider_types,
    size,
    text,
    url,
    whole,
)
from raic.errors import ConfigurationError


class RegistryTests(SynchronousTestCase):
    def offer(self, package: str, line: str, code: str = "") -> None:
        """Put a package with an entry point where Python finds it."""
        folder = Path(self.mktemp()).absolute()
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[raic.providers]\n{line}\n")
        (folder / f"{package}_code.py").write_text(code)
        sys.path.insert(0, str(folder))
        self.addCleanup(sys.path.remove, str(folder))
        self.addCleanup(sys.modules.pop, f"{package}_code", None)
        invalidate_caches()

    def problem(self, name: str) -> str:
        (problem,) = self.assertRaises(ConfigurationError, provider_type, name).problems
        return str(problem)

    def test_our_own_types_are_found(self) -> None:
        for name in ("swift", "cloudfiles", "libcloud"):
            self.assertIn(name, provider_types())
            self.assertIsInstance(provider_type(name), ProviderType)

    def test_an_unknown_type_names_the_known_ones(self) -> None:
        self.assertIn("swift", self.problem("tape"))

    def test_a_type_that_cannot_be_imported_names_its_package(self) -> None:
        self.offer("brokenone", "tape = brokenone_code:TAPE", "raise RuntimeError('no drive')")
        self.assertIn("tape", provider_types())
        problem = self.problem("tape")
        self.assertIn("brokenone", problem)
        self.assertIn("RuntimeError: no drive", problem)

    def test_what_is_no_type_is_refused(self) -> None:
        self.offer("wrongone", "tape = wrongone_code:TAPE", "TAPE = 3")
        self.assertIn("no ProviderType", self.problem("tape"))

    def test_two_packages_with_one_type_are_refused(self) -> None:
        self.offer("firstone", "tape = firstone_code:TAPE")
        self.offer("secondone", "tape = secondone_code:TAPE")
        self.assertIn("firstone and secondone both", self.problem("tape"))


class SettingTests(SynchronousTestCase):
    def setUp(self) -> None:
        def never(*_: object) -> None:
            raise AssertionError

        self.kind = ProviderType(
            make=never,  # type: ignore[arg-type]  # it makes nothing
            settings=(
                Setting("place", "Where.", required=True),
                Setting("level", "How high.", whole, "3"),
                Setting("note", "What else."),
            ),
        )

    def test_absent_keys_have_their_defaults(self) -> None:
        values = self.kind.parsed({"place": "here"})
        self.assertEqual(values, {"place": "here", "level": 3, "note": None})

    def test_all_mistakes_are_told_at_once(self) -> None:
        texts = {"level": "0", "colour": "red"}
        problems = self.assertRaises(ConfigurationError, self.kind.parsed, texts).problems
        self.assertEqual(
            [problem.partition(":")[0] for problem in problems], ["colour", "place", "level"]
        )

    def test_good_texts_are_parsed(self) -> None:
        for parse, written, value in (
            (text, "a b", "a b"),
            (boolean, "Yes", True),
            (boolean, "off", False),
            (size, "8MiB", 8 * 2**20),
            (size, "3 kB", 3000),
            (url, "https://a.example:1/b/", "https://a.example:1/b"),
            (prefix, "", ""),
            (prefix, "raic/home/", "raic/home/"),
            (prefix, "raic", "raic/"),
            (one_of("a", "b"), "b", "b"),
        ):
            self.assertEqual(parse(written), value)

    def test_bad_texts_say_what_to_write(self) -> None:
        for parse, written in (
            *((text, "a\nb"), (boolean, "maybe"), (whole, "-1"), (whole, "0"), (size, "0")),
            *((size, "big"), (url, "ftp://a"), (url, "https://user@a"), (prefix, "a b")),
            *((prefix, "/a"), (prefix, "a//b"), (prefix, "a/../b"), (one_of("a", "b"), "c")),
        ):
            refused = self.assertRaises(ValueError, parse, written)
            self.assertIn("write", str(refused))
