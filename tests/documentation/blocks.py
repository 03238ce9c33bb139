"""What the documentation shows: its console blocks, as commands and what they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from textwrap import dedent

from attrs import field, frozen

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^( *)\.\. code-block:: console\n((?:\n|\1 +.*\n)+)", re.MULTILINE)
_INI = re.compile(r"^( *)\.\. code-block:: ini\n((?:\n|\1 +.*\n)+)", re.MULTILINE)
_LITERAL = re.compile(r"^ +(venv/bin/raic .*)$", re.MULTILINE)


@frozen
class Shown:
    """One command of a console block.

    :ivar place: the file it stands in.
    :ivar command: the whole line, continued lines joined.
    :ivar output: the lines that follow.
    """

    place: str
    command: str
    output: list[str] = field(factory=list)


def pages() -> list[Path]:
    """Every page, the README included."""
    return [ROOT / "README.rst", *sorted(DOCS.rglob("*.rst"))]


def shown_in(page: Path) -> list[Shown]:
    """The commands of all console blocks of a page, in order."""
    found: list[Shown] = []
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        lines = [line.strip() for line in match[2].replace("\\\n", " ").splitlines()]
        for line in lines:
            if line.startswith(("$ ", "# ")):
                found.append(Shown(page.name, " ".join(line[2:].split())))
            elif line and found:
                found[-1].output.append(line)
    if page.name == "README.rst":
        found += [Shown(page.name, line) for line in _LITERAL.findall(text)]
    return found


def configurations_in(page: Path) -> list[str]:
    """The pieces of ``raic.cfg`` that a page shows, without what is left out in them."""
    found = [dedent(match[2]) for match in _INI.finditer(page.read_text())]
    return [
        re.sub(r"^.*\.\.\.$", "", text, flags=re.MULTILINE)
        for text in found
        if text.lstrip("\n").startswith("[") and not re.search(r"\[(Unit|Service)\]", text)
    ]


def raic_commands(shown: Shown) -> Iterator[list[str]]:
    """The words of each ``raic`` command in a line, alternatives written out, brackets left out."""
    line = re.sub(r'"\$\(.*?\)"', "NURL", shown.command)
    line = re.sub(r"\$\(.*?\)", "1", line)
    line = re.sub(r"[][]", " ", line).replace("...", " ")
    for part in re.split(r"&&|;| \| | > .*", line):
        words = shlex.split(part)
        names = [at for at, word in enumerate(words) if word in ("raic", "venv/bin/raic")]
        if not names or (names[0] != 0 and words[0] != "runuser"):
            continue
        rest = words[names[-1] + 1 :]
        for chosen in product(*[_alternatives(word) for word in rest]):
            yield [word for word in chosen if word != "OPTIONS"]


def _alternatives(word: str) -> list[str]:
    return word.split("|") if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word) else [word]
