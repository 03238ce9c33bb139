from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.config.loading import parse_config
from raic.config.model import ArraySettings, Prices
from raic.errors import ConfigurationError

NODE = Path("/node")
THREE = "".join(f"[provider:{name}]\npath = {name}\n" for name in "abc")


def text(*lines: str, providers: str = THREE) -> str:
    return "\n".join(("[storage]", "backend = array:x", "[array:x]", *lines, providers))


def array(*lines: str, providers: str = THREE) -> ArraySettings:
    found = parse_config(NODE, text(*lines, providers=providers)).backend
    assert isinstance(found, ArraySettings)
    return found


def labelled(label: str, *values: str) -> str:
    return "".join(
        f"[provider:{name}]\npath = {name}\n{label} = {value}\n"
        for name, value in zip("abcdefgh", values, strict=False)
    )


class Arrays(SynchronousTestCase):
    def test_an_array_has_its_providers_in_the_order_of_the_file(self) -> None:
        found = array("providers = c, a,b", "needed = 2", "happy = 3")
        self.assertEqual([member.name for member in found.members], ["c", "a", "b"])
        self.assertEqual((found.name, found.needed, found.happy, found.total), ("x", 2, 3, 3))
        self.assertEqual(found.block_size, 65536)
        self.assertTrue(found.fsync)
        self.assertIn("any 2 of c (filesystem /node/c)", found.describe("v0-a"))

    def test_an_array_without_syncs_of_one_member_is_without(self) -> None:
        providers = THREE.replace("path = a\n", "path = a\nfsync = false\n")
        self.assertFalse(
            array("providers = a, b, c", "needed = 2", "happy = 3", providers=providers).fsync
        )

    def test_no_cache_is_none(self) -> None:
        self.assertIsNone(
            array("providers = a, b", "needed = 1", "happy = 2", "cache_size = 0").cache
        )

    def test_a_mirror_and_a_bare_stripe_are_arrays_too(self) -> None:
        self.assertEqual(array("providers = a, b", "needed = 1", "happy = 2").needed, 1)
        self.assertEqual(array("providers = a, b", "needed = 2", "happy = 2").needed, 2)

    def test_availabilities_arrive(self) -> None:
        providers = THREE.replace("path = b\n", "path = b\navailability = 99.95\n")
        found = array("providers = a, b", "needed = 1", "happy = 2", providers=providers)
        self.assertEqual([member.availability for member in found.members], [99.9, 99.95])
        for wrong in ("0", "100.1", "99,9", "99 %"):
            with self.assertRaisesRegex(ConfigurationError, "write a percentage above 0"):
                providers = THREE.replace("path = b\n", f"path = b\navailability = {wrong}\n")
                array("providers = a, b", "needed = 1", "happy = 2", providers=providers)

    def test_prices_arrive(self) -> None:
        providers = THREE.replace(
            "path = b\n",
            "path = b\nprice_storage = 0.023\nprice_download = 0.09\nprice_requests = 0.05\n",
        )
        found = array("providers = a, b, c", "needed = 2", "happy = 3", providers=providers)
        self.assertEqual(found.members[1].prices, Prices(0.023, 0.09, 0.05))


class Mistakes(SynchronousTestCase):
    def assert_problem(self, text: str, *words: str) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            parse_config(NODE, text)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_what_is_required_is_asked_for(self) -> None:
        self.assert_problem(text("needed = 2", "happy = 3"), "providers: it is required")
        self.assert_problem(text("providers = a, b, c", "happy = 3"), "needed: it is required")
        self.assert_problem(text("providers = a, b, c", "needed = 2"), "happy: it is required")

    def test_every_provider_needs_a_section(self) -> None:
        self.assert_problem(
            text("providers = a, d, e", "needed = 1", "happy = 2"),
            "[provider:d]: add it",
            "[provider:e]: add it",
        )

    def test_a_provider_stands_there_once(self) -> None:
        self.assert_problem(text("providers = a, a", "needed = 1", "happy = 2"), "once only")

    def test_happy_cannot_exceed_the_providers(self) -> None:
        self.assert_problem(
            text("providers = a, b, c", "needed = 2", "happy = 4"), "there are 3 providers"
        )

    def test_happy_cannot_be_less_than_needed(self) -> None:
        self.assert_problem(
            text("providers = a, b, c", "needed = 3", "happy = 2"), "write at least 4"
        )

    def test_a_bare_acknowledgement_has_to_be_allowed(self) -> None:
        lines = ("providers = a, b, c", "needed = 2", "happy = 2")
        self.assert_problem(text(*lines), "allow_bare_ack = true")
        self.assertEqual(array(*lines, "allow_bare_ack = true").happy, 2)

    def test_blocks_are_powers_of_two(self) -> None:
        for wrong in ("65537", "2KiB", "2MiB", "x"):
            self.assert_problem(
                text("providers = a, b", "needed = 1", "happy = 2", f"block_size = {wrong}"),
                "block_size",
            )

    def test_one_domain_may_not_hold_more_than_can_be_lost(self) -> None:
        lines = ("providers = a, b, c, d", "needed = 2", "happy = 3")
        for label in ("operator", "jurisdiction", "site"):
            three = labelled(label, "x", "x", "x", "y")
            self.assert_problem(
                text(*lines, providers=three), f"{label} x holds 3 of 4 fragments", "only 2"
            )
            array(*lines, "allow_shared_domain = true", providers=three)
            array(*lines, providers=labelled(label, "x", "x", "y", "y"))

    def test_an_array_that_may_lose_nothing_has_no_domains_to_check(self) -> None:
        array("providers = a, b", "needed = 2", "happy = 2", providers=labelled("site", "x", "y"))
