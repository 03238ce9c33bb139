"""Changes of a ``raic.cfg`` that leave everything else in it as it is, comments too."""

from __future__ import annotations

import re

_SECTION = re.compile(r"\s*\[(?P<name>[^\]]*)\]")
_BACKEND = re.compile(r"backend\s*[=:]", re.IGNORECASE)


def with_backend(text: str, backend: str, more: str = "") -> str:
    """A configuration with another ``[storage] backend``.

    :param more: sections to add.
    """
    lines, section, written = [], "", False
    for line in text.splitlines():
        found = _SECTION.match(line)
        if found:
            section = found["name"].strip()
        if section == "storage" and not found and _BACKEND.match(line):
            continue
        lines.append(line)
        if found and section == "storage" and not written:
            lines.append(f"backend = {backend}")
            written = True
    if not written:
        lines += ["", "[storage]", f"backend = {backend}"]
    if more.strip():
        lines += ["", *more.strip().splitlines()]
    return "\n".join(lines) + "\n"
