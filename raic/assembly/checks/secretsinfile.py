"""Secrets in ``raic.cfg``: in every line, comments and unknown sections among them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from attrs import evolve, frozen

from raic.assembly.checks.findings import Finding, error, good, warning
from raic.backends.registry import provider_type
from raic.config.checking import SECRET_NAME
from raic.config.reading import Text, read_text
from raic.config.sections import secret_problem, section_keys
from raic.errors import ConfigurationError

_SECTION = re.compile(r"\[(?P<name>[^]]+)\]")
_ENTRY = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9_. -]*?)\s*[=:]\s*(?P<value>\S.*)")
_PLACEHOLDER = re.compile(r"(\.{2,}|<.*>|\$\{?\w+\}?|[xX*]{3,}|your\b.*|none|true|false)\.*")
_KNOWN = (
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "an access key id of Amazon"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/@:]+:[^\s/@]+@"), "an address with a password"),
    (re.compile(r"\bpriv-v0-[a-z2-7]{52}\b"), "a signing key"),
    (re.compile(r"\braic-(?:seal|tag)-1 [a-z2-7]{52}\b"), "a key of a node"),
)
_WORD = re.compile(r"[A-Za-z0-9+/=_~.-]{32,}")
_RANDOM_BITS = 4.3
"""Bits in a character: prose, paths and host names have fewer, keys in base64 more."""


@frozen
class _Line:
    """:ivar comment: whether it is commented out."""

    number: int
    text: str
    section: str
    comment: bool


def check_secrets(text: str) -> list[Finding]:
    """What in the file is, or looks like, a secret; the findings never show it."""
    names = _Names(read_text(text))
    found = [each for line in _lines(text) if (each := _judged(line, names)) is not None]
    return found or [good("secrets", "there are none in the file")]


def _lines(text: str) -> Iterator[_Line]:
    section = ""
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.strip()
        comment = stripped.startswith(("#", ";"))
        content = stripped.lstrip("#; \t")
        if begun := _SECTION.fullmatch(content):
            section = begun["name"].strip()
        elif content:
            yield _Line(number, content, section, comment)


class _Names:
    """What the keys of each section are called."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._known: dict[str, frozenset[str]] = {}

    def known(self, section: str) -> frozenset[str]:
        """Those that may stand there."""
        if section not in self._known:
            keys = section_keys(self._text, section).values()
            self._known[section] = frozenset(key.name.lower() for key in keys if not key.refused)
        return self._known[section]

    def is_secret(self, section: str, key: str) -> bool:
        """Whether what has this name is a secret."""
        if key in self._secrets(section):
            return True
        if key in self.known(section) or key.endswith("file"):
            return False
        return bool(SECRET_NAME.search(key))

    def _secrets(self, section: str) -> frozenset[str]:
        kind = self._text.entries.get((section, "type"))
        if kind is None or not section.startswith("provider:"):
            return frozenset()
        try:
            secrets = provider_type(kind.value).secrets
        except ConfigurationError:
            return frozenset()
        return frozenset(each.name for each in secrets if each.hidden)


def _judged(line: _Line, names: _Names) -> Finding | None:
    entry = _ENTRY.fullmatch(line.text)
    key = entry["key"].lower() if entry else ""
    if entry and names.is_secret(line.section, key) and _is_value(line, key, entry["value"]):
        return _finding(line, key, "it holds a secret")
    for pattern, what in _KNOWN:
        if pattern.search(line.text):
            return _finding(line, key, f"it holds {what}")
    known = key in names.known(line.section) and not line.comment
    if not known and any(map(_looks_random, _WORD.findall(line.text))):
        text = "part of it looks like a secret" + (", commented out" if line.comment else "")
        remedy = "remove the line if it is one, and change the secret if others could read it"
        return _placed(warning(_subject(line, key), text, remedy), line, key)
    return None


def _is_value(line: _Line, key: str, value: str) -> bool:
    """Whether this is more than a hint where a value goes, or a sentence in a comment."""
    return not _PLACEHOLDER.fullmatch(value) and not (line.comment and " " in key + value)


def _finding(line: _Line, key: str, text: str) -> Finding:
    commented = ", though commented out" if line.comment else ""
    remedy = secret_problem(line.section).partition(": ")[2]
    return _placed(error(_subject(line, key), text + commented, remedy), line, key)


def _placed(finding: Finding, line: _Line, key: str) -> Finding:
    return evolve(finding, line=line.number, key=f"[{line.section}] {key}" if key else "")


def _subject(line: _Line, key: str) -> str:
    where = f", [{line.section}] {key}" if key and " " not in key else ""
    return f"line {line.number}{where}"


def _looks_random(word: str) -> bool:
    kinds = sum(bool(re.search(kind, word)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    bits = -sum(
        count / len(word) * math.log2(count / len(word)) for count in Counter(word).values()
    )
    return kinds == 3 and bits >= _RANDOM_BITS
