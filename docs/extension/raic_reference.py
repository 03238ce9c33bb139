"""Directives that put what RAIC knows of its keys and commands into the documentation."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from raic.cli import main
from raic.cli.manual import describe_commands
from raic.cli.remedies import describe_errors
from raic.config.describing import describe_keys, describe_live, describe_settings, describe_tahoe


class _Generated(SphinxDirective):
    def generate(self) -> list[str]:
        """The lines."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        try:
            lines = self.generate()
        except ValueError as error:
            raise self.error(str(error)) from error
        source = inspect.getsourcefile(type(self)) or ""
        container = nodes.section()
        container.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, source), container)
        return list(container.children)

    def more(self) -> dict[str, str]:
        """The content: names at the margin, the texts that belong to them below, indented."""
        found: dict[str, list[str]] = {}
        name = ""
        for line in self.content:
            if line and not line[0].isspace():
                name = line.strip()
                found[name] = []
            elif name:
                found[name].append(line)
        return {name: inspect.cleandoc("\n".join(lines)) for name, lines in found.items()}


class Keys(_Generated):
    """``.. raic-keys:: SECTION``: a heading for each key; the content adds to some of them."""

    required_arguments = 1
    has_content = True

    def generate(self) -> list[str]:
        return describe_keys(self.arguments[0], self.more())


class Settings(_Generated):
    """``.. raic-settings:: TYPE``: the keys that only providers of this type have."""

    required_arguments = 1
    has_content = True

    def generate(self) -> list[str]:
        return describe_settings(self.arguments[0], self.more())


class LiveKeys(_Generated):
    """``.. raic-live-keys::``: the keys that a running node takes up."""

    def generate(self) -> list[str]:
        return describe_live()


class TahoeKeys(_Generated):
    """``.. raic-tahoe-keys::``: what becomes of each key that Tahoe-LAFS has."""

    def generate(self) -> list[str]:
        return describe_tahoe()


class Manual(_Generated):
    """``.. raic-manual::``: every command with its options."""

    def generate(self) -> list[str]:
        return describe_commands(main)


class Errors(_Generated):
    """``.. raic-errors::``: every error with its remedy."""

    def generate(self) -> list[str]:
        return describe_errors()


class Alerts(_Generated):
    """``.. raic-alerts:: FILE``: every alert of a file of rules, when it comes, and what to do."""

    required_arguments = 1

    def generate(self) -> list[str]:
        _, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(path)
        groups = yaml.safe_load(Path(path).read_text())["groups"]
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 24 12 14 50", ""]
        lines += _row("Alert", "Severity", "When so for", "What it says, and what to do")
        for rule in (rule for group in groups for rule in group["rules"]):
            told = rule["annotations"]
            text = _readable(f"{told['summary']}  {told['action']}")
            lasts = _LASTS.get(rule.get("for", "0")[-1], "at once")
            after = f"{rule['for'][:-1]} {lasts}" if "for" in rule else lasts
            lines += _row(f"``{rule['alert']}``", rule["labels"]["severity"], after, text)
        return lines


_LASTS = {"s": "s", "m": "min", "h": "h"}


def _row(first: str, *others: str) -> list[str]:
    return [f"   * - {first}", *(f"     - {each}" for each in others)]


def _readable(text: str) -> str:
    """With the names of labels in the place of their values, and commands as such."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", text)
    text = re.sub(r"\{\{.*?\}\}", "...", text)
    return re.sub(r"'(raic [a-z ]+)'", r"``\1``", text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in (
        ("raic-keys", Keys),
        ("raic-settings", Settings),
        ("raic-live-keys", LiveKeys),
        ("raic-tahoe-keys", TahoeKeys),
        ("raic-manual", Manual),
        ("raic-errors", Errors),
        ("raic-alerts", Alerts),
    ):
        app.add_directive(name, directive)
    return {"parallel_read_safe": True}
