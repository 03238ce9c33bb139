"""Fixtures for every test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trial's ``mktemp`` makes names relative to the current folder: keep them off the tree."""
    monkeypatch.chdir(tmp_path)
