"""``raic.cfg``: its mistakes, all at once, and who can write to it."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection
from pathlib import Path

from attrs import evolve

from raic.assembly.checks.findings import Finding, error, good, warning
from raic.config.loading import CONFIG_NAME
from raic.config.model import Config
from raic.errors import ConfigurationError

_PLACED = re.compile(
    rf"{re.escape(CONFIG_NAME)}(?:, line (?P<line>\d+))?:"
    r" (?P<key>\[[^]]+\] [^:\s]+): (?P<text>.*)",
    re.DOTALL,
)
_USE = "raic array add {name}, or raic array replace OLD {name}, makes use of it"
_LINE = re.compile(rf"{re.escape(CONFIG_NAME)}, line (?P<line>\d+): (?P<text>.*)", re.DOTALL)


def check_configuration(
    directory: Path, loaded: Config | ConfigurationError, told: Collection[int]
) -> list[Finding]:
    """What is wrong with the file.

    :param loaded: what :func:`raic.config.loading.load_config` returned or raised.
    :param told: the lines of which it was said already that they hold secrets.
    """
    path = directory / CONFIG_NAME
    if isinstance(loaded, ConfigurationError):
        found = [_mistake(path, problem) for problem in loaded.problems]
        return [each for each in found if each.line is None or each.line not in told]
    findings = [good(CONFIG_NAME, "every key is known, every value can be used")]
    for notice in loaded.notices:
        key, _, text = notice.partition(": ")
        findings.append(evolve(warning(key, text, f"correct {path}"), key=key))
    for name in loaded.spare:
        findings.append(good(f"[provider:{name}]", f"spare: {_USE.format(name=name)}"))
    return findings


def _mistake(path: Path, problem: str) -> Finding:
    placed = _PLACED.fullmatch(problem) or _LINE.fullmatch(problem)
    if placed is None:
        return error(CONFIG_NAME, problem, f"correct {path}")
    parts = placed.groupdict()
    line, key = int(parts["line"]) if parts["line"] else None, parts.get("key") or ""
    where = "" if line is None else f"line {line}"
    remedy = f"correct {path}" + (f", {where}" if where else "")
    subject = ", ".join(filter(None, (where, key)))
    return evolve(error(subject, parts["text"], remedy), line=line, key=key)


def check_writers(directory: Path) -> list[Finding]:
    """Whether others can write the file: it may name a program that the node runs."""
    path = directory / CONFIG_NAME
    try:
        mode = path.stat().st_mode
    except OSError:
        return []  # which was said already
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = "other users can write to it, and so have the node run programs"
        return [warning("permissions", text, f"chmod go-w {path}")]
    return []
