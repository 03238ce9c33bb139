"""Texts for the operator, without what they need not show."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(https?://[^/\s\"']+)/[^\s\"']+")
_STORAGE_INDEX = re.compile(r"(?<![a-z2-7])[a-z2-7]{26}(?![a-z2-7])")


def without_indexes(text: str) -> str:
    """The text with dots where it has storage indexes, such as in the key of an object, and where
    addresses go on after the name of a machine: with such keys, as a rule.
    """
    return _STORAGE_INDEX.sub("...", _ADDRESS.sub(r"\1/...", text))
