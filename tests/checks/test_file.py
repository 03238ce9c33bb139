"""Mistakes and secrets in raic.cfg."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.checks import Finding, Level
from raic.assembly.checks.configuration import check_configuration
from raic.assembly.checks.secretsinfile import check_secrets
from raic.errors import ConfigurationError
from tests.checks.world import CheckCase

AMAZON = "AKIAIOSFODNN7EXAMPLE"
RANDOM = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def secrets(text: str) -> list[Finding]:
    return [each for each in check_secrets(text) if each.level is not Level.OK]


class Secrets(SynchronousTestCase):
    def assert_told(self, text: str, line: int, level: Level = Level.ERROR) -> Finding:
        found = secrets(text)
        self.assertEqual([(each.line, each.level) for each in found], [(line, level)], text)
        self.assertTrue(found[0].remedy)
        for word in (AMAZON, RANDOM, "hunter2"):
            self.assertNotIn(word, f"{found}")
        return found[0]

    def assert_fine(self, text: str) -> None:
        self.assertEqual(secrets(text), [])

    def test_a_secret_of_the_providers_type_is_told_with_the_command_that_keeps_it(self) -> None:
        text = "[provider:aws]\ntype = s3\nsecret_access_key = hunter2\n"
        found = self.assert_told(text, 3)
        self.assertIn("raic credentials set aws", found.remedy)
        self.assertEqual(found.key, "[provider:aws] secret_access_key")

    def test_so_it_is_where_its_name_says_little(self) -> None:
        text = "[provider:rack]\ntype = swift\n{}key = hunter2\n"
        self.assert_told(text.format(""), 3)
        self.assert_told(text.format("# "), 3)
        self.assert_fine("[provider:disk]\ntype = filesystem\n# key = hunter2\n")

    def test_comments_are_looked_at_too(self) -> None:
        for text in ("# password = hunter2", "#password=hunter2", ";  api-key: hunter2"):
            found = self.assert_told(f"[node]\nnickname = attic\n{text}\n", 3)
            self.assertIn("commented out", found.text)

    def test_so_are_sections_that_nobody_knows_and_what_stands_before_any(self) -> None:
        self.assert_told("[elsewhere]\ntoken = hunter2\n", 2)
        self.assert_told("token = hunter2\n", 1)
        self.assert_told("[tor\ntoken = hunter2\n", 2)

    def test_prose_in_comments_is_no_secret(self) -> None:
        for text in (
            "# the secret access key: it is kept by raic credentials set aws",
            "# secret_access_key = ...",
            "# password = <yours>",
            "# token: see the documentation",
            "# password =",
            "# Every key is described in docs/configuration.rst.",
            "# https://docs.example.net/some/long/path/that/goes/on-and-on/Index9.html",
        ):
            self.assert_fine(f"[provider:aws]\ntype = s3\n{text}\n")

    def test_keys_that_may_stand_there_are_none(self) -> None:
        self.assert_fine("[provider:aws]\ntype = s3\ncredentials = ambient\n")
        self.assert_fine("[provider:aws]\ntype = s3\ncredentials_command = /bin/keys --for me\n")
        self.assert_fine("[tor]\nonion.private_key_file = private/tor.key\n")
        self.assert_fine(f"[client]\nintroducer.furl = pb://{'a' * 32}@tcp:h:1/{RANDOM[:20]}\n")

    def test_what_has_the_form_of_a_secret_is_one_wherever_it_stands(self) -> None:
        for text in (
            f"nickname = {AMAZON}",
            f"# {AMAZON}",
            "# https://me:hunter2@cloud.example.net/",
            "# -----BEGIN RSA PRIVATE KEY-----",
            f"# raic-seal-1 {'a2' * 26}",
        ):
            self.assert_told(f"[node]\n{text}\n", 2)

    def test_what_only_looks_like_one_is_a_warning(self) -> None:
        self.assert_told(f"[node]\n# {RANDOM}\n", 2, Level.WARNING)
        self.assert_told(f"[node]\nodd = {RANDOM}\n", 2, Level.WARNING)

    def test_a_type_that_nobody_knows_does_not_matter(self) -> None:
        self.assert_told("[provider:x]\ntype = unheard\n# secret_key = hunter2\n", 3)


class Mistakes(CheckCase):
    async def test_all_are_told_at_once_each_with_its_line_and_key(self) -> None:
        self.write(
            "[node]\nnicknam = attic\n[storage]\nreserved_space = much\nbackend = array:none\n"
            "[provider:disk]\nsecret_access_key = hunter2\nwhat is this\n"
        )
        report = await self.check()
        wrong = [each for each in report.findings if each.level is Level.ERROR]
        self.assertEqual(sorted(each.line or 0 for each in wrong), [2, 4, 5, 7, 8])
        keys = {each.line: each.key for each in wrong}
        self.assertEqual(keys[4], "[storage] reserved_space")
        self.assertEqual({each.group for each in wrong}, {"configuration"})
        text = f"{report}"
        self.assertIn("did you mean nickname", text)
        self.assertIn("write a size", text)
        self.assertIn("raic credentials set disk", text)
        self.assertNotIn("hunter2", text)
        self.assertTrue(all(each.remedy for each in wrong))

    async def test_what_does_not_need_the_file_is_looked_at_all_the_same(self) -> None:
        self.write("[storage]\nreserved_space = much\n")
        (self.path / "private" / "tag.key").chmod(0o644)
        report = await self.check()
        self.assertEqual(report.count(Level.ERROR), 2)

    async def test_a_missing_file_is_told(self) -> None:
        (self.path / "raic.cfg").unlink()
        await self.assert_found("raic.cfg", Level.ERROR, "create-node", "correct")

    async def test_a_file_that_is_no_text_is_told(self) -> None:
        (self.path / "raic.cfg").write_bytes(b"[node]\nnickname = \xff\n")
        await self.assert_found("raic.cfg", Level.ERROR, "not UTF-8", "correct")

    async def test_a_section_without_effect_is_a_warning(self) -> None:
        self.write("[provider:disk]\npath = a\n[provider:spare]\npath = spare\n")
        report = await self.check()
        (told,) = [each for each in report.findings if "nothing is stored there" in str(each)]
        self.assertEqual(told.level, Level.WARNING)

    async def test_what_an_array_could_make_use_of_is_none(self) -> None:
        providers = "".join(f"[provider:{name}]\npath = {name}\n" for name in "abc")
        array = "[array:x]\nproviders = a, b\nneeded = 1\nhappy = 2\n"
        self.write(f"[storage]\nbackend = array:x\n{array}{providers}")
        report = await self.check()
        (told,) = [each for each in report.findings if each.subject == "[provider:c]"]
        self.assertEqual(told.level, Level.OK)
        self.assertIn("raic array add c", told.text)

    async def test_a_file_that_others_can_write_to_is_a_warning(self) -> None:
        (self.path / "raic.cfg").chmod(0o666)
        await self.assert_found("permissions", Level.WARNING, "have the node run", "chmod go-w")

    def test_a_problem_without_a_line_is_told_as_it_is(self) -> None:
        loaded = ConfigurationError(["private/introducers.yaml: it is not YAML"])
        (finding,) = check_configuration(Path("/node"), loaded, ())
        self.assertEqual((finding.line, finding.key), (None, ""))
        self.assertIn("introducers.yaml", finding.text)
