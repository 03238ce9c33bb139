"""A node directory, and the check of it in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keyring
from keyring.backends import fail
from twisted.trial.unittest import TestCase

from raic.assembly.checks import Finding, Level, Report, check_node
from tests.config.nodes import NOW, node_directory
from tests.contracts.driving import reactor
from tests.end_to_end.processes import free_port

__all__ = ["NOW", "CheckCase", "snapshot"]

Snapshot = Mapping[str, tuple[int, int, bytes]]


def snapshot(folder: Path) -> Snapshot:
    """Every path below a folder: its mode, when it changed, and what is in it.

    But for what SQLite shares between processes: there it notes who reads.
    """
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *sorted(folder.rglob("*"))]
        if not path.name.endswith("-shm")
    }


class CheckCase(TestCase):
    """Every check is also a check that nothing in the node directory changes."""

    seconds = 10.0

    def setUp(self) -> None:
        # What keyrings this machine has is another test's business.
        self.addCleanup(keyring.set_keyring, keyring.get_keyring())
        keyring.set_keyring(fail.Keyring())
        self.path = Path(self.mktemp()).absolute()
        _, self.identity = node_directory(self.path)
        self.port = free_port()
        self.environment: dict[str, str] = {}
        self.configure()

    def configure(self, storage: str = "", rest: str = "", node: str = "") -> None:
        port = f"tub.port = tcp:{self.port}:interface=127.0.0.1\n"
        location = f"tub.location = tcp:127.0.0.1:{self.port}\n"
        self.write(f"[node]\n{node or port + location}[storage]\n{storage}{rest}")

    def write(self, text: str) -> None:
        (self.path / "raic.cfg").write_text(text)

    async def check(self) -> Report:
        before = snapshot(self.path)
        report = await check_node(self.path, reactor, self.environment, self.seconds)
        self.assertEqual(snapshot(self.path), before)
        return report

    async def found(self, subject: str) -> Finding:
        """The only finding of that subject."""
        report = await self.check()
        found = [each for each in report.findings if each.subject == subject]
        self.assertEqual(len(found), 1, report.findings)
        return found[0]

    async def assert_found(self, subject: str, level: Level, text: str, remedy: str = "") -> None:
        finding = await self.found(subject)
        self.assertEqual(finding.level, level, finding)
        self.assertRegex(finding.text, text or ".*")
        self.assertRegex(finding.remedy, remedy or ".*")
        self.assertEqual(bool(finding.remedy), level is not Level.OK)

    async def assert_well(self) -> None:
        report = await self.check()
        self.assertEqual(report.worst, Level.OK, report.findings)
