"""``raic check``: what would keep a node from working, found without changing anything."""

from __future__ import annotations

from raic.assembly.checks.findings import Finding, Level, Report
from raic.assembly.checks.running import check_node

__all__ = ["Finding", "Level", "Report", "check_node"]
