from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.config.loading import load_config, parse_config
from raic.config.model import Config, I2pSettings, OnionSettings
from raic.errors import ConfigurationError
from raic.values import ExpiryPolicy, ExpiryRule

NODE = Path("/node")
DAY = 24 * 60 * 60
NOW = 1_700_000_000
FURL = f"pb://{'a' * 32}@tcp:introducer.example:1/swissnum"


class Defaults(SynchronousTestCase):
    def test_an_empty_file_is_a_node_on_loopback_with_its_shares_beside_it(self) -> None:
        config = parse_config(NODE, "")
        self.assertEqual(config.node.ports, ("tcp:3457:interface=127.0.0.1",))
        self.assertEqual(config.node.hints, ("tcp:127.0.0.1:3457",))
        self.assertEqual((config.provider.name, config.provider.kind), ("disk", "filesystem"))
        self.assertEqual(config.provider.path, NODE / "storage")
        self.assertTrue(config.provider.fsync)
        self.assertEqual(config.storage.reserved_space, 0)
        self.assertEqual(config.storage.max_mutable_message, 256 * 2**20)
        self.assertEqual(config.introducers, ())
        self.assertEqual(config.notices, ())

    def test_every_honoured_key_arrives(self) -> None:
        config = parse_config(
            NODE,
            f"""
            [node]
            nickname = attic
            tub.port = tcp:4000
            tub.location = tcp:a.example:4000,tcp:b.example:4001
            web.port = tcp:3456
            timeout.keepalive = 240
            timeout.disconnect = 1800
            log_level = warn
            log_format = json
            stop_seconds = 0
            [storage]
            backend = provider:attic
            reserved_space = 5G
            readonly = true
            readonly_mutable = yes
            force_foolscap = on
            max_mutable_message = 1MiB
            upload_memory = 2MiB
            body_memory = 3MiB
            max_connections = 7
            [provider:attic]
            type = filesystem
            path = /mnt/attic
            fsync = false
            [client]
            introducer.furl = {FURL}
            """.replace("\n            ", "\n"),
        )
        node, storage = config.node, config.storage
        self.assertEqual((node.nickname, node.ports), ("attic", ("tcp:4000",)))
        self.assertEqual(node.hints, ("tcp:a.example:4000", "tcp:b.example:4001"))
        self.assertEqual((node.keepalive, node.disconnect, node.log_level), (240, 1800, "warn"))
        self.assertEqual((node.log_format, node.stop_seconds), ("json", 0))
        self.assertEqual(storage.reserved_space, 5 * 10**9)
        self.assertTrue(storage.readonly and storage.readonly_mutable and storage.force_foolscap)
        self.assertEqual(
            (storage.max_mutable_message, storage.upload_memory, storage.body_memory),
            (2**20, 2 * 2**20, 3 * 2**20),
        )
        self.assertEqual(storage.max_connections, 7)
        self.assertEqual(config.provider.path, Path("/mnt/attic"))
        self.assertFalse(config.provider.fsync)
        self.assertEqual(config.introducers, (FURL,))

    def test_where_the_status_page_is(self) -> None:
        config = parse_config(NODE, "[node]\nweb.port = tcp:3456\nweb.hosts = A.example, b\n")
        self.assertEqual(config.node.web_port, "tcp:3456")
        self.assertEqual(config.node.web_hosts, ("a.example", "b"))
        for wrong in ("ssl:3456", "tcp:99999", "tcp:1:interface=here", "unix:/tmp/x", "tcp:"):
            with self.assertRaises(ConfigurationError):
                parse_config(NODE, f"[node]\nweb.port = {wrong}\n")

    def test_harmless_leavings_of_a_tahoe_cfg_are_accepted(self) -> None:
        parse_config(
            NODE,
            "[node]\nreveal-IP-address = true\nweb.port =\n[storage]\nenabled = true\n"
            "anonymous = true\ndebug_discard = false\nexpire.enabled = false\nexpire.mode = age\n"
            "expire.override_lease_duration = 60 days\n[helper]\nenabled = false\n[tor]\n"
            "enabled = false\n[i2p]\nenabled = no\n[sftpd]\nenabled = 0\n"
            "[connections]\n tcp = tcp\n",
        )


class Expiry(SynchronousTestCase):
    def policy(self, text: str) -> ExpiryPolicy:
        return parse_config(NODE, f"[storage]\n{text}").storage.expiry

    def test_nothing_expires_unless_it_is_said(self) -> None:
        for text, expires in (("", False), ("expire.enabled = true\n", True)):
            config = parse_config(NODE, f"[storage]\nexpire.mode = age\n{text}")
            self.assertEqual(config.storage.expires, expires)
            self.assertEqual(config.storage.expiry, ExpiryPolicy())

    def test_leases_end_by_age(self) -> None:
        text = "expire.enabled = true\nexpire.mode = age\n"
        self.assertEqual(self.policy(text), ExpiryPolicy())
        text += "expire.override_lease_duration = 2mo\nexpire.mutable = false\n"
        self.assertEqual(self.policy(text), ExpiryPolicy(62 * DAY, mutable=False))

    def test_leases_end_at_a_date(self) -> None:
        text = "expire.enabled = true\nexpire.mode = cutoff-date\nexpire.cutoff_date = 1970-01-03"
        policy = ExpiryPolicy(cutoff=2 * DAY, immutable=False)
        self.assertEqual(self.policy(text + "\nexpire.immutable = false"), policy)

    def test_a_lease_was_renewed_31_days_before_it_ends(self) -> None:
        self.assertEqual(ExpiryPolicy().rule(NOW), ExpiryRule(NOW))
        self.assertEqual(ExpiryPolicy(62 * DAY).rule(NOW), ExpiryRule(NOW - 31 * DAY))
        cut = ExpiryPolicy(cutoff=NOW - 5 * DAY, immutable=False, mutable=False)
        self.assertEqual(cut.rule(NOW), ExpiryRule(NOW + 26 * DAY, False, False))


class Mistakes(SynchronousTestCase):
    def problems(self, text: str) -> tuple[str, ...]:
        error = self.assertRaises(ConfigurationError, parse_config, NODE, text)
        assert isinstance(error, ConfigurationError)
        return error.problems

    def assert_problem(self, text: str, *parts: str) -> None:
        (problem,) = self.problems(text)
        for part in parts:
            self.assertIn(part, problem)

    def test_all_are_reported_together_in_the_order_of_their_lines(self) -> None:
        problems = self.problems(
            "[storage]\nreadonly = perhaps\n[stroage]\nx = 1\n[node]\nnick = 1\nweb.static = www\n"
            "huh\ntub.port = tcp:99999\ntub.location = x\n"
        )
        self.assertEqual(
            [problem.split(":")[0] for problem in problems],
            [f"raic.cfg, line {line}" for line in (2, 3, 6, 7, 8, 9, 10)],
        )

    def test_an_unknown_key_comes_with_the_nearest_known_one(self) -> None:
        self.assert_problem("[node]\nnicknam = x\n", "line 2", "[node] nicknam", "nickname?")

    def test_an_unknown_section_comes_with_the_nearest_known_one(self) -> None:
        self.assert_problem("[stroage]\nreadonly = true\n", "line 1", "[storage]?")

    def test_names_unlike_any_come_with_the_list(self) -> None:
        self.assert_problem("[zzz]\n", "known are", "[node]")
        self.assert_problem("[connections]\nqqqq = 1\n", "known are tcp")

    def test_a_key_of_another_section_is_told_where_it_belongs(self) -> None:
        self.assert_problem("[node]\nreadonly = true\n", "belongs in [storage]")
        self.assert_problem("[node]\nfsync = true\n", "belongs in [provider:*]")

    def test_secrets_are_refused_and_never_repeated(self) -> None:
        for key in ("secret_key", "password", "aws_access_key", "api-key", "auth_token"):
            (problem,) = self.problems(f"[provider:disk]\n{key} = hunter2\n")
            self.assertIn("secrets do not belong", problem)
            self.assertNotIn("hunter2", problem)

    def test_a_malformed_furl_is_not_repeated(self) -> None:
        (problem,) = self.problems("[client]\nintroducer.furl = pb://oops/hunter2\n")
        self.assertNotIn("hunter2", problem)

    def test_an_address_that_may_not_be_revealed_is_refused(self) -> None:
        hidden = "[node]\nreveal-IP-address = false\n"
        self.assert_problem(hidden, "tub.location", "reveal-IP-address = false")
        for location in ("tcp:a.example:1", "AUTO", "tor:x.onion:1,a.example:2"):
            self.assert_problem(f"{hidden}tub.location = {location}\n", "line 3", "allows tor:")
        self.assert_problem(
            f"{hidden}tub.location = tor:x.onion:1\n[client]\nintroducer.furl = {FURL}\n",
            "line 2",
            "forbids introducers",
        )
        parse_config(NODE, f"{hidden}tub.location = tor:x.onion:1,i2p:abc\n")

    def test_bodies_have_room_for_the_largest_message(self) -> None:
        self.assert_problem("[storage]\nmax_mutable_message = 1GiB\n", "body_memory", "raise it")

    def test_expiry_needs_a_mode(self) -> None:
        self.assert_problem("[storage]\nexpire.enabled = true\n", "expire.mode", "required")
        self.assert_problem(
            "[storage]\nexpire.enabled = true\nexpire.mode = cutoff-date\n",
            "expire.cutoff_date",
            "required",
        )

    def test_expiry_keys_of_the_other_mode_are_refused(self) -> None:
        self.assert_problem(
            "[storage]\nexpire.mode = age\nexpire.cutoff_date = 2030-01-01\n", "line 3", "cutoff"
        )
        self.assert_problem(
            "[storage]\nexpire.mode = cutoff-date\nexpire.cutoff_date = 2030-01-01\n"
            "expire.override_lease_duration = 1 day\n",
            "age",
        )

    def test_a_port_without_a_location_is_refused(self) -> None:
        self.assert_problem("[node]\ntub.port = tcp:4000\n", "tub.location", "required")

    def test_the_backend_must_be_a_provider_that_is_described(self) -> None:
        self.assert_problem("[storage]\nbackend = provider:attic\n", "[provider:attic]", "add it")
        self.assert_problem("[storage]\nbackend = array:clouds\n", "no section [array:clouds]")
        self.assert_problem("[storage]\nbackend = attic\n", "write provider:NAME")
        self.assert_problem("[storage]\nbackend = provider:\n", "write provider:NAME")
        self.assert_problem("[storage]\nbackend = provider:A b\n", "write provider:NAME")

    def test_a_provider_that_might_be_meant_has_to_be_named(self) -> None:
        self.assert_problem("[provider:attic]\npath = x\n", "backend", "provider:attic")

    def test_a_provider_that_nothing_uses_is_mentioned(self) -> None:
        config = parse_config(NODE, "[provider:disk]\n[provider:attic]\npath = x\n")
        (notice,) = config.notices
        self.assertIn("[provider:attic]: nothing is stored there", notice)
        self.assertEqual(set(config.providers), {"disk", "attic"})

    def test_beside_an_array_it_is_spare(self) -> None:
        members = "[provider:a]\npath = a\n[provider:b]\npath = b\n[provider:c]\npath = c\n"
        array = "[array:x]\nproviders = a, b\nneeded = 1\nhappy = 2\n"
        config = parse_config(NODE, f"[storage]\nbackend = array:x\n{array}{members}")
        self.assertEqual((config.notices, config.spare), ((), ("c",)))

    def test_another_type_of_provider_is_refused(self) -> None:
        self.assert_problem("[provider:disk]\ntype = tape\n", "line 2", "filesystem")


class Anonymity(SynchronousTestCase):
    def text(self, *, without: str = "", port: str = "listen:tor,listen:i2p") -> str:
        lines = [
            "[node]",
            f"tub.port = {port}",
            "tub.location = tor:x.onion:1,i2p:abc",
            "[tor]",
            "control.port = tcp:127.0.0.1:9051",
            "onion = true",
            "onion.local_port = 4000",
            "onion.external_port = 3457",
            "onion.private_key_file = private/tor_onion.privkey",
            "[i2p]",
            "sam.port = tcp:127.0.0.1:7656",
            "dest = true",
            "dest.port = 3457",
            f"dest.private_key_file = {self.i2p_key}",
        ]
        return "".join(f"{line}\n" for line in lines if not without or without not in line)

    def setUp(self) -> None:
        self.node = Path(self.mktemp()).absolute()
        (self.node / "private").mkdir(parents=True)
        self.onion_key = self.node / "private" / "tor_onion.privkey"
        self.onion_key.write_text("key")
        self.i2p_key = self.node / "i2p.privkey"
        self.i2p_key.write_text("key")

    def test_listeners_get_what_their_sections_say(self) -> None:
        config = parse_config(self.node, self.text())
        self.assertEqual(
            config.onion,
            OnionSettings("tcp:127.0.0.1:9051", 4000, 3457, self.onion_key),
        )
        self.assertEqual(config.i2p, I2pSettings("tcp:127.0.0.1:7656", 3457, self.i2p_key))

    def test_listeners_need_their_keys(self) -> None:
        for key in (
            *("control.port", "onion.local_port", "onion.external_port", "onion.private_key_file"),
            *("sam.port", "dest.port", "dest.private_key_file"),
        ):
            with self.assertRaisesRegex(ConfigurationError, f"{key}: it is required"):
                parse_config(self.node, self.text(without=key))

    def test_listeners_that_are_switched_off_are_refused(self) -> None:
        with self.assertRaisesRegex(ConfigurationError, "enabled.*listen:tor"):
            parse_config(self.node, self.text().replace("[tor]\n", "[tor]\nenabled = false\n"))

    def test_keys_without_a_listener_are_refused(self) -> None:
        error = self.assertRaises(
            ConfigurationError, parse_config, NODE, self.text(port="tcp:4000")
        )
        assert isinstance(error, ConfigurationError)
        self.assertEqual(len(error.problems), 9)
        self.assertIn("it needs listen:tor in tub.port", error.problems[0])

    def test_a_key_that_is_not_there_is_refused(self) -> None:
        self.onion_key.unlink()
        self.i2p_key.unlink()
        error = self.assertRaises(ConfigurationError, parse_config, self.node, self.text())
        assert isinstance(error, ConfigurationError)
        self.assertEqual(
            [problem.partition(": there is no file")[0].split()[-1] for problem in error.problems],
            ["onion.private_key_file", "dest.private_key_file"],
        )

    def test_daemons_are_not_launched(self) -> None:
        for section in ("tor", "i2p"):
            with self.assertRaisesRegex(ConfigurationError, "starts no daemon"):
                parse_config(NODE, f"[{section}]\nlaunch = true\n")


class Certificates(SynchronousTestCase):
    def config(self, content: str, management: str = "true") -> Config:
        node = Path(self.mktemp())
        node.mkdir()
        (node / "cert.json").write_text(content)
        return parse_config(
            node,
            f"[storage]\ngrid_management = {management}\n"
            "[grid_manager_certificates]\nmine = cert.json\n",
        )

    def test_they_are_read(self) -> None:
        config = self.config('{"certificate": "{}", "signature": "x"}')
        self.assertEqual(config.certificates, ({"certificate": "{}", "signature": "x"},))

    def test_what_is_no_certificate_is_refused(self) -> None:
        for content in ("", "[]", '{"certificate": "{}"}', '{"a": 1}'):
            self.assertRaises(ConfigurationError, self.config, content)

    def test_a_missing_one_is_refused(self) -> None:
        self.assertRaises(
            ConfigurationError,
            parse_config,
            NODE,
            "[storage]\ngrid_management = true\n[grid_manager_certificates]\nx = nowhere.json\n",
        )

    def test_certificates_that_would_not_be_announced_are_refused(self) -> None:
        error = self.assertRaises(
            ConfigurationError, self.config, '{"certificate": "{}", "signature": "x"}', "false"
        )
        self.assertIn("would not be announced", str(error))


class Introducers(SynchronousTestCase):
    def config(self, introducers: str, text: str = "") -> Config:
        node = Path(self.mktemp())
        (node / "private").mkdir(parents=True)
        (node / "private" / "introducers.yaml").write_text(introducers)
        return parse_config(node, text)

    def test_those_of_the_list_are_added_to_the_one_in_the_configuration(self) -> None:
        other = FURL.replace("introducer.example", "other.example")
        config = self.config(
            f"introducers:\n  one:\n    furl: {FURL}\n  two:\n    furl: '{other}'\n",
            f"[client]\nintroducer.furl = {FURL}\n",
        )
        self.assertEqual(config.introducers, (FURL, other))

    def test_an_empty_list_is_none(self) -> None:
        for text in ("", "introducers:\n", "introducers: {}\n"):
            self.assertEqual(self.config(text).introducers, ())

    def test_mistakes_are_told_with_the_others_and_without_the_furl(self) -> None:
        for text in (
            "hunter2",
            "introducer: {}",
            "introducers: [hunter2]",
            "introducers: {one: hunter2}",
            "introducers: {one: {furl: hunter2}}",
            "introducers: {one: {furl: pb://hunter2, more: 1}}",
            "introducers:\n  one: {hunter2",
            "\x00hunter2",
        ):
            error = self.assertRaises(ConfigurationError, self.config, text, "[zzz]\n")
            assert isinstance(error, ConfigurationError)
            self.assertEqual(len(error.problems), 2, text)
            self.assertIn("private/introducers.yaml: ", error.problems[1])
            self.assertNotIn("hunter2", error.problems[1])

    def test_a_list_that_cannot_be_read_is_refused(self) -> None:
        node = Path(self.mktemp())
        (node / "private" / "introducers.yaml").mkdir(parents=True)
        with self.assertRaisesRegex(ConfigurationError, "cannot be read"):
            parse_config(node, "")


class Files(SynchronousTestCase):
    def test_a_missing_file_says_how_to_make_one(self) -> None:
        error = self.assertRaises(ConfigurationError, load_config, Path(self.mktemp()))
        self.assertIn("raic create-node", str(error))

    def test_a_file_that_is_not_utf8_is_refused(self) -> None:
        node = Path(self.mktemp())
        node.mkdir()
        (node / "raic.cfg").write_bytes(b"[node]\nnickname = \xff\n")
        error = self.assertRaises(ConfigurationError, load_config, node)
        self.assertIn("UTF-8", str(error))
