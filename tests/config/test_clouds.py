from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.layers.stack import LayerSettings
from raic.config.loading import parse_config
from raic.config.model import CloudSettings, Config
from raic.errors import ConfigurationError

NODE = Path("/node")
SERVER = "v0-abc"


def cloud_text(section: str, *, kind: str = "s3", storage: str = "") -> str:
    """A configuration whose lines from the sixth on are the rest of the provider's section."""
    return (
        f"[storage]\n{storage or 'readonly = false'}\nbackend = provider:cloud\n"
        f"[provider:cloud]\ntype = {kind}\n{section}"
    )


def parsed(section: str, *, kind: str = "s3", storage: str = "") -> Config:
    return parse_config(NODE, cloud_text(section, kind=kind, storage=storage))


def cloud(section: str, kind: str = "s3") -> CloudSettings:
    settings = parsed(section, kind=kind).provider.cloud
    assert settings is not None
    return settings


class Settings(SynchronousTestCase):
    def test_a_container_is_all_that_s3_needs(self) -> None:
        provider = parsed("container = shares\n").provider
        self.assertEqual((provider.name, provider.kind, provider.path), ("cloud", "s3", None))
        self.assertTrue(provider.fsync)
        settings = cloud("container = shares\n")
        self.assertEqual(settings.values["container"], "shares")
        self.assertEqual(settings.values["part_size"], 8 * 2**20)
        self.assertIsNone(settings.values["region"])
        self.assertFalse(settings.wanted.ambient)
        self.assertEqual(
            settings.wanted.required, frozenset({"access_key_id", "secret_access_key"})
        )

    def test_the_layers_have_their_own_defaults(self) -> None:
        layers = cloud("container = shares\n").layers
        self.assertEqual(layers.rates is not None and layers.rates.any(), False)
        default = LayerSettings()
        for name in ("cache", "retry", "circuit", "connections", "timeouts", "log_interval"):
            self.assertEqual(getattr(layers, name), getattr(default, name), name)

    def test_the_layers_can_be_set(self) -> None:
        layers = cloud(
            "container = shares\ncache_size = 1MiB\nread_ahead = 0\nupload_rate = 100KiB\n"
            "download_rate = 200KiB\nrequest_rate = 5\nconnections = 2\nattempts = 3\ntimeout = 7\n"
        ).layers
        assert layers.cache is not None
        assert layers.rates is not None
        assert layers.retry is not None
        assert layers.timeouts is not None
        self.assertEqual((layers.cache.capacity, layers.cache.read_ahead), (2**20, 0))
        rates = layers.rates
        self.assertEqual((rates.upload, rates.download, rates.requests), (102400, 204800, 5))
        self.assertEqual((layers.connections, layers.retry.attempts), (2, 3))
        self.assertEqual(layers.timeouts.answer, 7)

    def test_there_may_be_no_cache(self) -> None:
        self.assertIsNone(cloud("container = shares\ncache_size = 0\n").layers.cache)

    def test_the_prefix_is_made_of_the_servers_id_unless_it_is_written(self) -> None:
        for written, expected in (
            ("", f"raic/{SERVER}/"),
            ("prefix = home\n", "home/"),
            ("prefix =\n", ""),
        ):
            for kind, rest in (("s3", ""), ("libcloud", "driver = azure_blobs\n")):
                settings = cloud(f"container = shares\n{rest}{written}", kind)
                self.assertEqual(settings.values_for(SERVER)["prefix"], expected)

    def test_it_says_where_the_objects_are(self) -> None:
        self.assertEqual(
            parsed("container = shares\n").provider.describe(SERVER),
            "s3 container shares, prefix raic/v0-abc/",
        )
        self.assertEqual(
            parse_config(NODE, "").provider.describe(SERVER), "filesystem /node/storage"
        )

    def test_paths_begin_in_the_node_directory(self) -> None:
        self.assertEqual(
            cloud("container = shares\nca_bundle = ca.pem\n").values["ca_bundle"], "/node/ca.pem"
        )
        local = cloud("container = shares\ndriver = local\npath = there\n", "libcloud")
        self.assertEqual(local.values["path"], "/node/there")

    def test_credentials_may_come_from_the_library_or_a_command(self) -> None:
        self.assertTrue(cloud("container = c\ncredentials = ambient\n").wanted.ambient)
        wanted = cloud("container = c\ncredentials_command = keys --for 'my shares'\n").wanted
        self.assertEqual(wanted.command, ("keys", "--for", "my shares"))

    def test_what_the_disk_must_leave_free_has_no_effect_and_that_is_said(self) -> None:
        (notice,) = parsed("container = shares\n", storage="reserved_space = 1G").notices
        self.assertIn("set quota in [provider:cloud]", notice)


class Mistakes(SynchronousTestCase):
    def problems(self, section: str, kind: str = "s3") -> tuple[str, ...]:
        text = cloud_text(section, kind=kind)
        error = self.assertRaises(ConfigurationError, parse_config, NODE, text)
        assert isinstance(error, ConfigurationError)
        return error.problems

    def assert_problem(self, section: str, *parts: str, kind: str = "s3") -> None:
        (problem,) = self.problems(section, kind)
        for part in parts:
            self.assertIn(part, problem)

    def test_all_are_reported_with_their_lines(self) -> None:
        text = cloud_text(
            "endpoint_url = cloud\nregoin = x\nattempts = 0\n", storage="readonly = x"
        )
        error = self.assertRaises(ConfigurationError, parse_config, NODE, text)
        assert isinstance(error, ConfigurationError)
        self.assertEqual(
            [problem.split(" ")[2:5] for problem in error.problems],
            [
                ["2:", "[storage]", "readonly:"],
                ["4:", "[provider:cloud]", "container:"],
                ["6:", "[provider:cloud]", "endpoint_url:"],
                ["7:", "[provider:cloud]", "regoin:"],
                ["8:", "[provider:cloud]", "attempts:"],
            ],
        )
        self.assertIn("did you mean region?", error.problems[3])

    def test_an_empty_container_is_none(self) -> None:
        self.assert_problem("container =\n", "line 6", "required")

    def test_secrets_are_refused_with_the_command_that_keeps_them(self) -> None:
        for kind, rest, keys in (
            ("s3", "", ("access_key_id", "secret_access_key", "password", "api-key")),
            ("swift", "auth_url = https://a.example/v3\n", ("key", "user")),
        ):
            for key in keys:
                text = f"container = c\n{rest}{key} = hunter2\n"
                (problem,) = self.problems(text, kind)
                self.assertIn("'raic credentials set cloud'", problem)
                self.assertNotIn("hunter2", problem)

    def test_a_type_that_there_is_not_is_the_only_mistake(self) -> None:
        self.assert_problem(
            "container = shares\n", "line 5", "filesystem, libcloud, s3", kind="tape"
        )

    def test_keys_of_a_filesystem_are_refused(self) -> None:
        for key in ("fsync = true", "path = x"):
            self.assert_problem(f"container = c\n{key}\n", "line 7", "type = filesystem alone")

    def test_a_filesystem_has_no_layers_and_no_credentials(self) -> None:
        for key in ("cache_size = 0", "credentials = ambient", "timeout = 3"):
            self.assert_problem(f"{key}\n", "line 6", "does not go with", kind="filesystem")

    def test_ambient_credentials_need_a_type_that_finds_them(self) -> None:
        self.assert_problem(
            "container = c\ndriver = azure_blobs\ncredentials = ambient\n",
            "line 8",
            "write stored",
            kind="libcloud",
        )
        self.assert_problem(
            "container = c\ncredentials = ambient\ncredentials_command = x\n",
            "line 8",
            "remove one",
        )

    def test_no_request_may_take_longer_than_clients_wait(self) -> None:
        self.assert_problem("container = c\ntimeout = 46\n", "line 7", "at most 45")
