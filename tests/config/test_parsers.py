from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from raic.config import parsers

TUB = "a" * 32


class Parsers(SynchronousTestCase):
    def assert_parses(self, parse: Callable[[str], Any], expected: dict[str, Any]) -> None:
        self.assertEqual({text: parse(text) for text in expected}, expected)

    def assert_refuses(self, parse: Callable[[str], Any], *texts: str) -> None:
        for text in texts:
            self.assertRaises(ValueError, parse, text)

    def test_sizes_have_the_abbreviations_of_tahoe(self) -> None:
        self.assert_parses(
            parsers.size,
            {
                "": 0,
                "12": 12,
                "100MB": 10**8,
                "100 M": 10**8,
                "100000kb": 10**8,
                "1GiB": 2**30,
                "1024 Ki": 2**20,
                "5G": 5 * 10**9,
                "2E": 2 * 10**18,
                "7B": 7,
            },
        )
        self.assert_refuses(parsers.size, "5X", "-1", "1.5G", "G", "1 2", "5GG")

    def test_a_size_above_nothing_is_not_nothing(self) -> None:
        self.assertEqual(parsers.positive_size("1k"), 1000)
        self.assert_refuses(parsers.positive_size, "0", "", "0G")

    def test_booleans_are_those_of_tahoe(self) -> None:
        self.assert_parses(
            parsers.boolean, {"True": True, "on": True, "1": True, "NO": False, "off": False}
        )
        self.assert_refuses(parsers.boolean, "", "maybe", "2")

    def test_one_sided_booleans_give_their_reason(self) -> None:
        parse = parsers.only(True, "because")
        self.assertTrue(parse("yes"))
        with self.assertRaisesRegex(ValueError, "because"):
            parse("no")

    def test_durations_and_dates(self) -> None:
        self.assert_parses(
            parsers.duration,
            {"7days": 7 * 86400, "31day": 31 * 86400, "2mo": 62 * 86400, "2 years": 730 * 86400},
        )
        self.assert_refuses(parsers.duration, "", "7", "7 weeks", "-1 day")
        self.assert_parses(parsers.date, {"1970-01-02": 86400, "2009-01-16": 1232064000})
        self.assert_refuses(parsers.date, "", "2009-13-01", "16.1.2009")

    def test_whole_numbers_and_optional_ones(self) -> None:
        self.assertEqual(parsers.whole("240"), 240)
        self.assert_refuses(parsers.whole, "0", "-3", "1.5", "", "9" * 10)
        self.assertIsNone(parsers.optional(parsers.whole)(""))

    def test_ports_are_endpoint_descriptions(self) -> None:
        self.assert_parses(
            parsers.ports,
            {
                "3457": ("tcp:3457",),
                "tcp:1:interface=127.0.0.1, tcp6:port=2": (
                    "tcp:1:interface=127.0.0.1",
                    "tcp6:port=2",
                ),
                r"tcp6:interface=2600\:3c01\:\:1:port=3456": (
                    r"tcp6:interface=2600\:3c01\:\:1:port=3456",
                ),
                "listen:tor,listen:i2p": ("listen:tor", "listen:i2p"),
                "systemd:domain=INET:index=0": ("systemd:domain=INET:index=0",),
            },
        )
        self.assert_refuses(
            parsers.ports,
            "disabled",
            "",
            "tcp",
            "tcp:",
            "tcp:0",
            "tcp:65536",
            "tcp:port=0",
            "tcp:interface=127.0.0.1",
            "tcp:1:nonsense=2",
            "tcp:1:2",
            "ssl:443",
            "listen:nowhere",
            "onion:80",
            "tcp:1,",
        )

    def test_hints_are_put_into_their_modern_form(self) -> None:
        self.assert_parses(
            parsers.location,
            {
                "tcp:a.example:1,tor:abc.onion:2": ("tcp:a.example:1", "tor:abc.onion:2"),
                "127.0.0.1:3457": ("tcp:127.0.0.1:3457",),
                "tcp:[::1]:9": ("tcp:[::1]:9",),
                "AUTO,tcp:a:1": ("AUTO", "tcp:a:1"),
                "i2p:c2ng2pbrmxmlwpijn": ("i2p:c2ng2pbrmxmlwpijn",),
            },
        )
        self.assert_refuses(
            parsers.location,
            "",
            "disabled",
            "tcp:a.example",
            "tcp:a.example:0",
            "tcp:a/b:1",
            "tcp:a b:1",
            "tor:a.example:1",
            "tcp:a:1,",
        )

    def test_port_numbers(self) -> None:
        self.assert_parses(parsers.port_number, {"1": 1, "65535": 65535})
        self.assert_refuses(parsers.port_number, "0", "65536", "x", "-1")

    def test_furls(self) -> None:
        good = f"pb://{TUB}@tcp:a.example:1,tcp:b:2/introducer"
        self.assertEqual(parsers.furl(good), good)
        self.assert_refuses(parsers.furl, "", "pb://x@y/z", good + "#x", good + " ")

    def test_words_texts_and_paths(self) -> None:
        self.assertEqual(parsers.one_of("a", "b")("b"), "b")
        self.assert_refuses(parsers.one_of("a", "b"), "c", "A")
        self.assertEqual(parsers.text("Bob's Knoten ü"), "Bob's Knoten ü")
        self.assert_refuses(parsers.text, "a\nb", "\x7f")
        self.assertEqual(parsers.file_name("a b"), "a b")
        self.assert_refuses(parsers.file_name, "", "a\nb")
