from __future__ import annotations

import re
from pathlib import Path

import yaml
from foolscap.api import Tub
from foolscap.furl import decode_furl
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from raic.config.addresses import make_addresses, write_addresses
from raic.config.creating import NewNode, create_node_directory
from raic.config.files import base32, replace_file, unbase32, write_new_file
from raic.config.identity import Identity, load_identity
from raic.config.loading import load_config
from raic.config.tls import ServerTls
from raic.errors import ConfigurationError, IdentityError
from tests.config.nodes import NOW, node_directory

KEY_FILES = (
    "node.pem",
    "node.privkey",
    "storage.furl",
    "permutation-seed",
    "seal.key",
    "tag.key",
)


class IdentityCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Path(self.mktemp()).absolute()
        self.config, self.identity = node_directory(self.node)
        self.private = self.config.private

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.private.iterdir()}

    def assert_unusable(self, pattern: str) -> None:
        before = self.contents()
        with self.assertRaisesRegex(IdentityError, pattern) as caught:
            load_identity(self.private)
        self.assertIn("backup", caught.exception.remedy)
        self.assertEqual(self.contents(), before)


class Loading(IdentityCase):
    def test_it_reads_back_what_was_made(self) -> None:
        again = load_identity(self.private)
        names = ("pem", "swissnum", "permutation_seed", "seal_key", "tag_key", "array_key")
        for name in (*names, "server_id"):
            self.assertEqual(getattr(again, name), getattr(self.identity, name))

    def test_the_tub_id_is_the_one_that_foolscap_makes_of_the_certificate(self) -> None:
        self.assertEqual(Tub(certData=self.identity.pem).tubID, self.identity.tub_id)
        self.assertEqual(len(self.identity.nodeid), 20)

    def test_twisted_accepts_it_for_tls(self) -> None:
        server = ServerTls(self.private / "node.pem")
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, server))
        factory = TLSMemoryBIOFactory(server, False, Factory.forProtocol(Protocol))
        factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))

    def test_names_have_the_forms_that_clients_know(self) -> None:
        self.assertRegex(self.identity.server_id, "^v0-[a-z2-7]{52}$")
        self.assertRegex(self.identity.spki_hash, "^[A-Za-z0-9_-]{43}$")
        self.assertEqual("v0-" + self.identity.permutation_seed, self.identity.server_id)
        self.assertRegex((self.private / "node.privkey").read_text(), "^priv-v0-[a-z2-7]{52}\n$")

    def test_no_two_nodes_are_alike(self) -> None:
        _, other = node_directory(Path(self.mktemp()).absolute(), 1)
        for name in ("tub_id", "server_id", "swissnum", "spki_hash", "seal_key", "tag_key"):
            self.assertNotEqual(getattr(other, name), getattr(self.identity, name))

    def test_it_shows_no_secret(self) -> None:
        shown = repr(self.identity) + repr(self.config)
        for secret in secrets_of(self.identity):
            self.assertNotIn(secret, shown)

    def test_a_missing_file_is_never_made_anew(self) -> None:
        for name in KEY_FILES:
            kept = (self.private / name).read_bytes()
            (self.private / name).unlink()
            self.assert_unusable(re.escape(name))
            write_new_file(self.private / name, kept)

    def test_a_node_without_a_key_for_arrays_is_a_node(self) -> None:
        (self.private / "array.key").unlink()
        self.assertIsNone(load_identity(self.private).array_key)

    def test_a_damaged_key_for_arrays_is_refused(self) -> None:
        (self.private / "array.key").write_text("raic-array-1 x")
        self.assert_unusable("array.key")

    def test_a_damaged_file_is_refused(self) -> None:
        for name in KEY_FILES:
            kept = (self.private / name).read_bytes()
            half = kept[: len(kept) // 2]
            # Half a permutation seed is a permutation seed: other nodes have shorter ones.
            for damaged in (b"", b"\xff", kept.upper(), b"?" if name.endswith("seed") else half):
                replace_file(self.private / name, damaged)
                self.assert_unusable(re.escape(name))
            replace_file(self.private / name, kept)

    def test_files_of_two_nodes_are_told_apart(self) -> None:
        other, _ = node_directory(Path(self.mktemp()).absolute(), 1)
        for name in ("storage.furl", "node.pem"):
            kept = (self.private / name).read_bytes()
            replace_file(self.private / name, (other.private / name).read_bytes())
            self.assert_unusable("two different nodes")
            replace_file(self.private / name, kept)

    def test_a_certificate_with_the_key_of_another_is_refused(self) -> None:
        other, _ = node_directory(Path(self.mktemp()).absolute(), 1)
        marker = b"-----BEGIN PRIVATE"
        certificate = self.identity.pem.partition(marker)[0]
        key = marker + (other.private / "node.pem").read_bytes().partition(marker)[2]
        replace_file(self.private / "node.pem", certificate + key)
        self.assert_unusable("not that of the key")


class TheAddresses(IdentityCase):
    def test_the_furl_and_the_nurl_are_of_one_certificate_and_swissnum(self) -> None:
        furl = (self.private / "storage.furl").read_text().strip()
        self.assertEqual(
            decode_furl(furl),
            (self.identity.tub_id, ["tcp:127.0.0.1:3457"], self.identity.swissnum),
        )
        self.assertEqual(
            (self.private / "storage.nurl").read_text(),
            f"pb://{self.identity.spki_hash}@127.0.0.1:3457/{self.identity.swissnum}#v=1\n",
        )

    def test_the_entry_for_clients_is_yaml(self) -> None:
        entry = yaml.safe_load((self.private / "servers.yaml").read_text())
        announcement = entry["storage"][self.identity.server_id]["ann"]
        furl = (self.private / "storage.furl").read_text().strip()
        nurl = (self.private / "storage.nurl").read_text().strip()
        self.assertEqual(
            announcement,
            {
                "nickname": "raic",
                "anonymous-storage-FURL": furl,
                "anonymous-storage-NURLs": [nurl],
                "permutation-seed-base32": self.identity.permutation_seed,
            },
        )

    def test_any_nickname_survives_the_entry(self) -> None:
        for nickname in ("", 'Bob\'s "node": # {x}', "Knoten ü \U0001f5c4", "yes", "\\u0041"):
            entry = yaml.safe_load(
                make_addresses(self.identity, ("tcp:a:1",), nickname).servers_yaml
            )
            announcement = entry["storage"][self.identity.server_id]["ann"]
            self.assertEqual(announcement["nickname"], nickname)

    def test_tor_hints_become_nurls_of_their_own_scheme_and_i2p_hints_none(self) -> None:
        addresses = make_addresses(
            self.identity, ("tcp:[::1]:1", "tor:x.onion:2", "i2p:abc"), "n", ()
        )
        self.assertEqual(
            [nurl.replace(self.identity.spki_hash, "H") for nurl in addresses.nurls],
            [
                f"pb://H@[::1]:1/{self.identity.swissnum}#v=1",
                f"pb+tor://H@x.onion:2/{self.identity.swissnum}#v=1",
            ],
        )
        self.assertIn("@tcp:[::1]:1,tor:x.onion:2,i2p:abc/", addresses.furl)

    def test_without_http_there_are_no_nurls(self) -> None:
        addresses = make_addresses(self.identity, ("tcp:a:1",), "n", http=False)
        self.assertEqual(addresses.nurls, ())
        self.assertNotIn("NURL", addresses.servers_yaml)

    def test_certificates_of_grid_managers_are_announced(self) -> None:
        certificate = {"certificate": "{}", "signature": "x"}
        addresses = make_addresses(self.identity, ("tcp:a:1",), "n", [certificate])
        entry = yaml.safe_load(addresses.servers_yaml)["storage"][self.identity.server_id]
        self.assertEqual(entry["ann"]["grid-manager-certificates"], [certificate])

    def test_a_new_location_changes_the_addresses_and_neither_name_nor_swissnum(self) -> None:
        before = self.contents()
        write_addresses(self.private, make_addresses(self.identity, ("tcp:new.example:9",), "raic"))
        again = load_identity(self.private)
        self.assertEqual(again.tub_id, self.identity.tub_id)
        self.assertEqual(again.swissnum, self.identity.swissnum)
        after = self.contents()
        changed = {name for name in after if after[name] != before[name]}
        self.assertEqual(changed, {"storage.furl", "storage.nurl", "servers.yaml"})
        self.assertTrue(all(b"new.example" in after[name] for name in changed))
        self.assert_private()

    def assert_private(self) -> None:
        for path in self.private.iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        self.assertEqual(self.private.stat().st_mode & 0o777, 0o700)

    def test_nobody_else_may_read_the_files(self) -> None:
        self.assert_private()

    def test_unchanged_addresses_are_not_written(self) -> None:
        before = {path.name: path.stat().st_ino for path in self.private.iterdir()}
        write_addresses(
            self.private, make_addresses(self.identity, ("tcp:127.0.0.1:3457",), "raic")
        )
        after = {path.name: path.stat().st_ino for path in self.private.iterdir()}
        self.assertEqual(after, before)


class Creating(SynchronousTestCase):
    def create(self, path: Path, new: NewNode | None = None) -> None:
        create_node_directory(path, new or NewNode(), NOW)

    def test_what_is_made_can_be_loaded(self) -> None:
        path = Path(self.mktemp()).absolute()
        config, identity = create_node_directory(path, NewNode(nickname="attic"), NOW)
        self.assertEqual(load_config(path), config)
        self.assertEqual(load_identity(config.private).server_id, identity.server_id)
        self.assertEqual(config.node.nickname, "attic")
        self.assertEqual((path / "private").stat().st_mode & 0o777, 0o700)

    def test_own_addresses_are_left_to_the_start_of_the_node(self) -> None:
        path = Path(self.mktemp()).absolute()
        self.create(path, NewNode(location="AUTO,tcp:a.example:1"))
        self.assertIn("@tcp:a.example:1/", (path / "private" / "storage.furl").read_text())

    def test_every_option_reaches_the_file(self) -> None:
        introducer = f"pb://{'a' * 32}@tcp:introducer.example:1/swissnum"
        path = Path(self.mktemp()).absolute()
        self.create(path, NewNode("n", "tcp:4000", "tcp:a.example:4000", "tcp:3456", introducer))
        config = load_config(path)
        self.assertEqual((config.node.ports, config.node.web_port), (("tcp:4000",), "tcp:3456"))
        self.assertEqual(config.introducers, (introducer,))

    def test_an_empty_directory_is_taken_and_parents_are_made(self) -> None:
        path = Path(self.mktemp()).absolute() / "deep" / "node"
        path.mkdir(parents=True)
        self.create(path)
        self.create(path.parent / "other" / "node")
        self.assertEqual(sorted(child.name for child in path.parent.iterdir()), ["node", "other"])

    def test_what_is_there_is_left_alone(self) -> None:
        path = Path(self.mktemp()).absolute()
        self.create(path)
        before = (path / "private" / "node.pem").read_bytes()
        with self.assertRaisesRegex(IdentityError, "holds a node already"):
            self.create(path)
        self.assertEqual((path / "private" / "node.pem").read_bytes(), before)

    def test_other_files_and_broken_links_are_left_alone(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        (path / "letter.txt").write_text("dear")
        link = path / "link"
        link.symlink_to("nowhere")
        for taken in (path, path / "letter.txt", link):
            with self.assertRaisesRegex(IdentityError, "holds something else already"):
                self.create(taken)

    def test_mistakes_leave_nothing(self) -> None:
        path = Path(self.mktemp()).absolute()
        for new in (NewNode(port="tcp:0"), NewNode(nickname="a\n[storage]\nreadonly = true")):
            self.assertRaises(ConfigurationError, self.create, path, new)
        self.assertFalse(path.exists())

    def test_a_place_that_cannot_be_written_to_leaves_nothing(self) -> None:
        parent = Path(self.mktemp()).absolute()
        parent.write_text("a file")
        with self.assertRaisesRegex(IdentityError, "cannot be made"):
            self.create(parent / "node")

    def test_a_directory_that_fills_up_meanwhile_is_left_alone(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.mkdir()

        class Intruding(NewNode):
            def config_text(self, directory: Path) -> str:
                if path.exists():
                    (path / "letter.txt").write_text("dear")
                return NewNode().config_text(directory)

        with self.assertRaisesRegex(IdentityError, "holds something else|cannot be made"):
            self.create(path, Intruding())
        self.assertEqual([child.name for child in path.iterdir()], ["letter.txt"])
        self.assertEqual([child.name for child in path.parent.iterdir()], [path.name])


class Files(SynchronousTestCase):
    def test_base32_is_read_as_it_is_written_and_in_no_other_way(self) -> None:
        for length in range(9):
            data = bytes(range(200, 200 + length))
            self.assertEqual(unbase32(base32(data)), data)
        for wrong in ("a", "AA", "ab", "a1", "aa======", "ä"):
            self.assertRaises(ValueError, unbase32, wrong)

    def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "taken").mkdir()
        self.assertRaises(OSError, replace_file, directory / "taken", b"x")
        self.assertEqual([path.name for path in directory.iterdir()], ["taken"])


def secrets_of(identity: Identity) -> tuple[str, ...]:
    """Texts that may never be shown."""
    return (
        identity.swissnum,
        repr(identity.seal_key)[2:-1],
        repr(identity.tag_key)[2:-1],
        repr(identity.array_key)[2:-1],
        base32(identity.signing_key.private_bytes_raw()),
        "PRIVATE KEY",
    )
