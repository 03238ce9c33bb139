"""Fixtures and rules for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background, where a shell has programs ignore it, and what they start too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that several processes end at about the same time.

    What else needs services comes next, by file.
    """
    needing = {item.path for item in items if item.get_closest_marker("service")}

    def turn(item: pytest.Item) -> int:
        if not _takes_minutes(item.path):
            return 1 if item.path in needing else 2
        return 0

    items.sort(key=turn)


def _takes_minutes(path: Path) -> bool:
    return "end_to_end" in path.parts or path.parts[-2:] == ("documentation", "test_commands.py")


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trial's ``mktemp`` makes names relative to the current folder: keep them off the tree."""
    monkeypatch.chdir(tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, a test that needs a real service and was skipped has failed."""
    report = yield
    unforeseen = report.skipped and not hasattr(report, "wasxfail")
    if unforeseen and os.environ.get("CI") and item.get_closest_marker("service"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed in CI: {report.longrepr}"
    return report
