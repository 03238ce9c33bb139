"""Tahoe's ``private/introducers.yaml``: the introducers to announce the node to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from raic.config import parsers


def read_introducers(path: Path) -> tuple[str, ...]:
    """The FURLs in the file; none if there is no such file.

    :raises ValueError: what is wrong with it; no FURL is repeated in the text.
    """
    try:
        loaded = yaml.safe_load(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f", line {mark.line + 1}"
        raise ValueError(f"it is not YAML{place}") from None
    return tuple(_furl(name, each) for name, each in _introducers(loaded).items())


def _introducers(loaded: Any) -> dict[Any, Any]:
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or set(loaded) - {"introducers"}:
        raise ValueError("write 'introducers:' and below it 'NAME:', each with 'furl: FURL'")
    introducers = loaded.get("introducers") or {}
    if not isinstance(introducers, dict):
        raise ValueError("write 'NAME:' below 'introducers:', each with 'furl: FURL'")
    return introducers


def _furl(name: object, introducer: Any) -> str:
    if not isinstance(introducer, dict) or set(introducer) != {"furl"}:
        raise ValueError(f"{name}: write 'furl: FURL' below it, and nothing else")
    try:
        return parsers.furl(str(introducer["furl"]))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
