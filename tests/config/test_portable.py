"""The identity in one file."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from raic.config.creating import create_server_directory
from raic.config.credentials import Secret
from raic.config.identity import load_identity
from raic.config.loading import load_config, load_servers
from raic.config.portable import (
    PortableIdentity,
    gather_identity,
    open_identity,
    put_identity,
    seal_identity,
)
from raic.errors import IdentityError
from tests.config.nodes import NOW, node_directory

PASSPHRASE = Secret("correct horse battery")
CHEAP = 2**4
SECRETS = {".": {"aws": {"access_key_id": "AKIA", "secret_access_key": "verysecret"}}}


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Portable(SynchronousTestCase):
    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.node = self.base / "node"
        _, self.identity = node_directory(self.node)

    def travel(self, identity: PortableIdentity, name: str = "other") -> Path:
        """Into a file, out of it again, and into a directory."""
        opened = open_identity(seal_identity(identity, PASSPHRASE, CHEAP), PASSPHRASE)
        self.assertTrue(put_identity(opened, self.base / name, NOW))
        return self.base / name

    def gather(self) -> PortableIdentity:
        return gather_identity(self.node, {}, NOW)

    def test_the_same_node_comes_out(self) -> None:
        (self.node / "private" / "introducers.yaml").write_text("introducers: {}\n")
        (self.node / "index.sqlite").write_text("can be made anew")
        before = tree(self.node)
        other = self.travel(self.gather())
        del before["index.sqlite"]
        before["private/announcement.seqnum"] = b"%d\n" % NOW
        self.assertEqual(tree(other), before)
        identity = load_identity(other / "private")
        self.assertEqual(identity.server_id, self.identity.server_id)
        self.assertEqual(identity.seal_key, self.identity.seal_key)
        self.assertEqual(load_config(other).node.nickname, load_config(self.node).node.nickname)
        for path in (other, other / "private", other / "private" / "node.pem"):
            self.assertEqual(path.stat().st_mode & 0o077, 0)

    def test_announcements_go_on_with_higher_numbers(self) -> None:
        number = self.node / "private" / "announcement.seqnum"
        for before, after in ((b"41\n", NOW), (b"%d\n" % (NOW + 5), NOW + 5)):
            number.write_bytes(before)
            other = self.travel(self.gather(), f"other-{after}")
            written = (other / "private" / "announcement.seqnum").read_bytes()
            self.assertEqual(written, b"%d\n" % after)

    def test_what_raic_cfg_names_comes_along(self) -> None:
        config = self.node / "raic.cfg"
        with config.open("a") as file:
            file.write("[grid_manager_certificates]\nours = ours.cert\nfar = /far.cert\n")
        text = config.read_text().replace("[storage]\n", "[storage]\ngrid_management = true\n")
        certificate = json.dumps({"certificate": "x", "signature": "y"})
        (self.node / "ours.cert").write_text(certificate)
        far = self.base / "far.cert"
        far.write_text(certificate)
        config.write_text(text.replace("/far.cert", str(far)))
        gathered = self.gather()
        self.assertEqual(gathered.left_out, (str(far),))
        self.assertEqual((self.travel(gathered) / "ours.cert").read_text(), certificate)

    def test_all_servers_come_along(self) -> None:
        rest = "".join(
            f"[server:{name}]\nbackend = provider:{name}\ntub.port = tcp:{port}\n"
            f"tub.location = tcp:127.0.0.1:{port}\n[provider:{name}]\npath = {name}\n"
            for name, port in (("one", 4001), ("two", 4002))
        )
        (self.node / "raic.cfg").write_text(f"[node]\nnickname = many\n{rest}")
        for config in load_servers(self.node):
            create_server_directory(config, NOW)
        other = self.travel(self.gather())
        for old, new in zip(load_servers(self.node), load_servers(other), strict=True):
            ids = [load_identity(each.private).server_id for each in (old, new)]
            self.assertEqual(ids[0], ids[1])

    def test_secrets_are_in_it_only_if_they_are_given(self) -> None:
        (self.node / "private" / "credentials.sealed").write_text("of the clouds")
        self.assertNotIn("private/credentials.sealed", self.gather().files)
        self.assertEqual(self.gather().secrets, {})
        given = evolve(self.gather(), secrets=SECRETS)
        data = seal_identity(given, PASSPHRASE, CHEAP)
        self.assertNotIn(b"verysecret", data)
        self.assertNotIn(self.identity.swissnum.encode(), data)
        self.assertEqual(open_identity(data, PASSPHRASE).secrets, SECRETS)
        self.assertNotIn("verysecret", repr(given))

    def test_a_wrong_passphrase_or_an_altered_file_is_told(self) -> None:
        data = seal_identity(self.gather(), PASSPHRASE, CHEAP)
        with self.assertRaisesRegex(IdentityError, "passphrase is wrong, or the file was altered"):
            open_identity(data, Secret("another"))
        header = json.loads(data)
        sealed = header["sealed"]
        for name, value in (
            ("sealed", ("B" if sealed[0] == "A" else "A") + sealed[1:]),
            ("salt", header["nonce"]),
            ("cost", 2 * CHEAP),
        ):
            with self.assertRaisesRegex(IdentityError, "altered"):
                open_identity(json.dumps(header | {name: value}).encode(), PASSPHRASE)
        for name, value in (("format", "x"), ("cost", 2**40), ("sealed", "?"), ("cost", 3)):
            with self.assertRaisesRegex(IdentityError, "not a file made by"):
                open_identity(json.dumps(header | {name: value}).encode(), PASSPHRASE)
        for wrong in (b"", b"[]", b"\xff", data[: len(data) // 2]):
            with self.assertRaisesRegex(IdentityError, "not a file made by"):
                open_identity(wrong, PASSPHRASE)

    def test_no_file_leads_out_of_the_directory(self) -> None:
        for name in ("../evil", "/evil", "private/../../evil"):
            gathered = self.gather()
            files = {**gathered.files, name: b"x"}
            data = seal_identity(evolve(gathered, files=files), PASSPHRASE, CHEAP)
            with self.assertRaisesRegex(IdentityError, "outside"):
                open_identity(data, PASSPHRASE)

    def test_what_is_there_is_never_replaced(self) -> None:
        gathered = self.gather()
        before = tree(self.node)
        self.assertFalse(put_identity(gathered, self.node, NOW))
        other = self.base / "other"
        node_directory(other, 1)
        with self.assertRaisesRegex(IdentityError, "holds another node already"):
            put_identity(gathered, other, NOW)
        (self.base / "something").mkdir()
        (self.base / "something" / "else").write_text("x")
        with self.assertRaisesRegex(IdentityError, "holds something else already"):
            put_identity(gathered, self.base / "something", NOW)
        self.assertEqual(tree(self.node), before)

    def test_without_a_key_nothing_is_written(self) -> None:
        (self.node / "private" / "seal.key").unlink()
        with self.assertRaisesRegex(IdentityError, r"seal\.key cannot be read"):
            self.gather()
