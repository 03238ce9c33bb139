"""Every key, command, option and error is documented, and nothing else is."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.registry import provider_type, provider_types
from raic.cli import main
from raic.cli.manual import walk
from raic.cli.remedies import WITHOUT_REMEDY, all_errors, describe_errors, what_to_do
from raic.config.checking import check_text
from raic.config.describing import (
    describe_keys,
    describe_settings,
    describe_tahoe,
    is_written,
    place,
)
from raic.config.loading import parse_servers
from raic.config.schema import SCHEMA, keys_of
from raic.errors import ConfigurationError
from tests.documentation.blocks import (
    DOCS,
    ROOT,
    configurations_in,
    pages,
    raic_commands,
    shown_in,
)

CONFIGURATION = (DOCS / "configuration.rst").read_text()
COMMANDS = (DOCS / "commands.rst").read_text() + (DOCS / "credentials.rst").read_text()


class Keys(SynchronousTestCase):
    def test_every_section_that_can_be_written_is_in_the_reference_once(self) -> None:
        sections = {key.section for key in SCHEMA if is_written(key)} - {"connections"}
        shown = re.findall(r"^\.\. raic-keys:: (.*)$", CONFIGURATION, re.MULTILINE)
        self.assertEqual(sorted(shown), sorted(sections))

    def test_each_key_has_a_heading_its_value_and_its_default(self) -> None:
        for key in SCHEMA:
            if is_written(key):
                lines = describe_keys(key.section, {})
                at = lines.index(f"``{place(key)}``")
                self.assertEqual(set(lines[at + 1]), {"~"})
                self.assertIn(key.help, lines[at + 3])
                self.assertRegex(lines[at + 5], r"^:Value: [A-Z]")
                if key.default:
                    self.assertEqual(lines[at + 6], f":Default: ``{key.default}``")

    def test_what_is_added_by_hand_belongs_to_a_key_and_repeats_no_default(self) -> None:
        self.assertRaisesRegex(
            ValueError, "no key nicknam in node", describe_keys, "node", {"nicknam": ""}
        )
        self.assertRaisesRegex(ValueError, "no keys in nodes", describe_keys, "nodes", {})
        self.assertNotIn("Default:", CONFIGURATION)

    def test_every_type_of_provider_has_its_keys_on_a_page(self) -> None:
        texts = [page.read_text() for page in (DOCS / "providers").glob("*.rst")]
        shown = sorted(chain(*[re.findall(r"raic-settings:: (\w+)", text) for text in texts]))
        ours = {"s3", "swift", "cloudfiles", "libcloud"}
        self.assertEqual(shown, sorted(ours))
        self.assertLessEqual(ours, set(provider_types()))
        for kind in ours:
            lines = describe_settings(kind, {})
            for setting in provider_type(kind).settings:
                self.assertIn(f"``{setting.name}``", lines)

    def test_every_key_of_tahoe_has_a_fate(self) -> None:
        lines = describe_tahoe()
        fates = dict(zip(lines[4::2], lines[5::2], strict=False))
        fates = {row.strip("* -`"): fate.strip("- ") for row, fate in fates.items()}
        for key in SCHEMA:
            if key.tahoe:
                fate = fates[place(key)]
                self.assertRegex(fate, r"^(Honoured\.|Refused: .+\.|Only .+ is refused: .+\.)")


class Commands(SynchronousTestCase):
    def test_every_command_is_shown_and_every_option_described(self) -> None:
        for path, command in walk(main, "raic"):
            self.assertIn(f"   $ {path}", COMMANDS)
            section = self.section(" ".join(path.split()[:2]))
            for parameter in command.params:
                if isinstance(parameter, click.Option) and not parameter.hidden:
                    described = f"``{parameter.opts[0]}" in section
                    self.assertTrue(described, f"{path} {parameter.opts[0]}")

    def section(self, noun: str) -> str:
        """What is said of a command, or of all commands of a noun."""
        found = re.search(rf"^``{noun}``\n-+\n(.*?)(?=^``raic \S+``\n-|\Z)", COMMANDS, re.M | re.S)
        self.assertIsNotNone(found, noun)
        return COMMANDS if found is None or noun == "raic credentials" else found[1]

    def test_the_defaults_of_options_are_those_of_the_commands(self) -> None:
        compared = 0
        for path, command in walk(main, "raic"):
            section = self.section(" ".join(path.split()[:2]))
            for option in command.params:
                said = re.findall(
                    rf"^``{option.opts[0]}\b[^\n]*\n((?:   .*\n)+)", section, re.MULTILINE
                )
                found = (
                    re.search(r"Default:\s+(``(.+?)``|[\w-]+)", said[0]) if len(said) == 1 else None
                )
                if found is not None and isinstance(option.default, (int, float, str)):
                    compared += 1
                    default = found[2] or found[1]
                    shown = re.sub(r"\.0$", "", f"{option.default}")
                    self.assertEqual(default, shown, f"{path} {option.opts[0]}")
        self.assertGreater(compared, 10)

    def test_no_command_is_described_that_there_is_not(self) -> None:
        headings = re.findall(r"^``raic (\S+)``\n-", COMMANDS, re.MULTILINE)
        self.assertEqual(sorted(headings), sorted(main.commands))


class ShownCommands(SynchronousTestCase):
    def test_every_shown_raic_command_can_be_parsed(self) -> None:
        seen = 0
        for page in pages():
            for shown in shown_in(page):
                for words in raic_commands(shown):
                    seen += 1
                    self.parse(words, f"{page.relative_to(ROOT)}: {shown.command}")
        self.assertGreater(seen, 80)

    def parse(self, words: list[str], where: str) -> None:
        command: click.Command = main
        context = click.Context(main, info_name="raic")
        while isinstance(command, click.Group):
            self.assertTrue(words, where)
            found = command.get_command(context, words[0])
            self.assertIsNotNone(found, f"{where}: there is no command {words[0]}")
            assert found is not None
            command, words = found, words[1:]
            context = click.Context(command, info_name=command.name, parent=context)
        try:
            values, rest, _ = command.make_parser(context).parse_args(list(words))
        except click.UsageError as error:
            self.fail(f"{where}: {error.format_message()}")
        self.assertEqual(rest, [], where)
        self.choices(command, values, where)

    def choices(self, command: click.Command, values: dict[str, object], where: str) -> None:
        for parameter in command.params:
            value = values.get(parameter.name or "")
            if (
                isinstance(parameter.type, click.Choice)
                and isinstance(value, str)
                and "|" not in value
            ):
                self.assertIn(value, parameter.type.choices, where)

    def test_one_that_is_wrong_would_be_found(self) -> None:
        for words in (["runn"], ["run", "--fast"], ["array"], ["array", "scrub", "a", "b", "c"]):
            self.assertRaises(self.failureException, self.parse, words, "here")


class Errors(SynchronousTestCase):
    def test_every_error_has_a_remedy_or_says_why_not(self) -> None:
        text = describe_errors()
        for kind in all_errors():
            self.assertTrue(what_to_do(kind).endswith("."), kind)
            self.assertIn(f"``{kind.__name__}``", text)
        superfluous = [kind.__name__ for kind in WITHOUT_REMEDY if kind.remedy]
        self.assertEqual(superfluous, [])

    def test_every_message_that_is_quoted_can_be_said(self) -> None:
        page = (DOCS / "troubleshooting.rst").read_text()
        page = page[page.index("By symptom") : page.index(".. _errors:")]
        sources = [path.read_text() for path in (ROOT / "raic").rglob("*.py")]
        code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources))
        quoted = re.findall(r"``([a-z][^`]* [^`]*)``", page)
        ours = [text for text in quoted if not re.match(r"(raic|tahoe|systemctl|ss|tcp:)", text)]
        self.assertGreater(len(ours), 10)
        for text in ours:
            if "=" not in text:
                for piece in text.split("..."):
                    self.assertIn(piece.strip(), code, text)


class Specifications(SynchronousTestCase):
    def test_every_test_and_file_that_the_coverage_table_names_exists(self) -> None:
        page = (DOCS / "specifications" / "protocol.rst").read_text()
        tests = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
        defined = set(
            re.findall(r"^ *(?:async )?(?:def|class) (\w+)", "\n".join(tests), re.MULTILINE)
        )
        files = {
            path.name for folder in ("raic", "tests") for path in (ROOT / folder).rglob("*.py")
        }
        named = re.findall(r"``(test_\w+|[A-Z]\w+Tests|\w+\.py)``", page)
        self.assertGreater(len(named), 60)
        self.assertEqual([name for name in named if name not in defined | files], [])


class Metrics(SynchronousTestCase):
    def test_every_metric_is_described(self) -> None:
        sources = [path.read_text() for path in (ROOT / "raic").rglob("*.py")]
        names = set(re.findall(r'\bFamily\(\s*"(raic_\w+)"', "\n".join(sources)))
        texts = "\n".join(page.read_text() for page in pages())
        self.assertGreater(len(names), 30)
        self.assertEqual(sorted(name for name in names if name not in texts), [])


class Layers(SynchronousTestCase):
    def test_the_defaults_in_the_table_of_layers_are_those_of_the_keys(self) -> None:
        page = (DOCS / "providers" / "layers.rst").read_text()
        table = page[page.index(".. list-table::") : page.index("How to size them")]
        shown = re.findall(r"``(\w+) = (\w+)``", table)
        known = keys_of("provider:any")
        self.assertEqual(shown, [(name, known[name].default) for name, _ in shown])
        self.assertGreater(len(shown), 4)


class Configurations(SynchronousTestCase):
    def problems(self, text: str) -> str:
        """What the checks of single keys and values say, the places of secrets excepted."""
        try:
            check_text("raic.cfg", text).raise_problems()
        except ConfigurationError as error:
            return str(error)
        return ""

    def test_every_shown_configuration_has_keys_and_values_that_a_node_takes(self) -> None:
        seen = 0
        for page in pages():
            for text in configurations_in(page):
                seen += 1
                self.assertEqual(self.problems(text), "", f"{page.name}:\n{text}")
        self.assertGreater(seen, 20)

    def test_every_whole_configuration_is_one_with_which_a_node_would_start(self) -> None:
        whole = 0
        for page in pages():
            for text in configurations_in(page):
                # What only mentions some of its sections says so in a comment.
                if re.search(r"^backend = ", text, re.MULTILINE) and "# ..." not in text:
                    whole += 1
                    try:
                        parse_servers(Path.cwd(), text)
                    except ConfigurationError as error:
                        self.fail(f"{page.name}: {error}\n{text}")
        self.assertGreater(whole, 6)

    def test_a_mistake_would_be_found(self) -> None:
        self.assertIn("nickname?", self.problems("[node]\nnicknam = attic\n"))
