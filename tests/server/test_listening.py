"""Ports and locations."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from raic.errors import ConfigurationError
from raic.server import listening
from raic.server.listening import (
    I2pDestination,
    describe_port,
    local_addresses,
    make_endpoint,
    resolve_location,
)
from raic.server.onion import OnionEndpoint, OnionService

ONION = OnionService("tcp:127.0.0.1:9051", 7000, 3457, Path("/node/private/onion.key"))
I2P = I2pDestination("tcp:127.0.0.1:7656", 3457, Path("/node/private/i2p.key"))


class PortTests(SynchronousTestCase):
    def test_a_number_is_a_tcp_port(self) -> None:
        self.assertEqual(describe_port("3457"), "tcp:3457")

    def test_other_descriptions_stay(self) -> None:
        self.assertEqual(describe_port("tcp6:3457"), "tcp6:3457")

    def test_an_endpoint_listens_where_its_description_says(self) -> None:
        reactor = MemoryReactor()
        endpoint = make_endpoint(reactor, "tcp:3457:interface=127.0.0.1")
        self.assertTrue(IStreamServerEndpoint.providedBy(endpoint))

    def test_a_description_that_nobody_understands_is_refused(self) -> None:
        for description in ("nonsense:1", "tcp", "tcp:port=many"):
            with self.assertRaisesRegex(ConfigurationError, "tub.port"):
                make_endpoint(MemoryReactor(), description)

    def test_a_tor_listener_is_a_hidden_service(self) -> None:
        endpoint = make_endpoint(MemoryReactor(), "listen:tor", ONION)
        self.assertIsInstance(endpoint, OnionEndpoint)
        self.assertIn("Tor daemon at tcp:127.0.0.1:9051", describe_port("listen:tor", ONION))

    def test_an_i2p_listener_asks_the_router(self) -> None:
        self.patch(listening, "_NEEDS", {"i2p": "txtorcon"})
        self.assertEqual(
            describe_port("listen:i2p", i2p=I2P),
            r"i2p:/node/private/i2p.key:3457:api=SAM:apiEndpoint=tcp\:127.0.0.1\:7656",
        )

    def test_a_missing_library_is_named_with_the_remedy(self) -> None:
        self.patch(listening, "_NEEDS", {"tor": "no_such_library"})
        with self.assertRaisesRegex(ConfigurationError, "pip install no_such_library"):
            describe_port("listen:tor", ONION)

    def test_the_package_of_a_missing_library_is_named(self) -> None:
        self.patch(listening, "find_spec", lambda name: None)
        with self.assertRaisesRegex(ConfigurationError, "pip install txi2p-tahoe"):
            describe_port("listen:i2p", i2p=I2P)

    def test_a_missing_section_is_named_with_its_keys(self) -> None:
        with self.assertRaisesRegex(ConfigurationError, r"onion.local_port.*\[tor\]"):
            describe_port("listen:tor")


class LocationTests(SynchronousTestCase):
    def resolve(self, hints: list[str], ports: list[str]) -> tuple[str, ...]:
        return resolve_location(hints, ports, lambda: ("192.0.2.5", "127.0.0.1"))

    def test_auto_means_every_address_of_the_machine(self) -> None:
        for port in ("3457", "tcp:3457", "tcp:port=3457", "tcp:3457:interface=0.0.0.0"):
            self.assertEqual(
                self.resolve(["AUTO"], [port]), ("tcp:192.0.2.5:3457", "tcp:127.0.0.1:3457")
            )

    def test_auto_means_the_one_interface_that_is_listened_on(self) -> None:
        hints = self.resolve(["AUTO"], ["tcp:3457:interface=127.0.0.1"])
        self.assertEqual(hints, ("tcp:127.0.0.1:3457",))

    def test_other_hints_stay_where_they_are_and_none_comes_twice(self) -> None:
        hints = self.resolve(
            ["tor:x.onion:80", "AUTO", "tcp:192.0.2.5:3457"], ["listen:tor", "tcp:3457"]
        )
        self.assertEqual(hints, ("tor:x.onion:80", "tcp:192.0.2.5:3457", "tcp:127.0.0.1:3457"))

    def test_auto_needs_a_tcp_port(self) -> None:
        self.assertRaises(ConfigurationError, self.resolve, ["AUTO"], ["listen:tor"])

    def test_the_machine_has_a_loopback_address_and_it_comes_last(self) -> None:
        self.assertTrue(local_addresses()[-1].startswith("127."))
