from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

PIECES = """
import resource
import sys
from raic.cli.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    keep_freed_memory()
piece = memoryview(b"x" * 1024 * 1024)
for turn in range(40):
    if turn == 20:
        before = faults()
    held = [b"".join((piece, b"y")) for _ in range(8)]
    del held
print(faults() - before)
"""


class AllocatorTests(SynchronousTestCase):
    def faults(self, what: str) -> int:
        """How many pages the system had to provide for 160 pieces of 1 MiB."""
        command = [sys.executable, "-c", PIECES, what]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    def test_pieces_get_memory_that_others_had_before(self) -> None:
        self.assertLess(self.faults("keep"), 1000)
        # Else the function is of no use any more.
        self.assertGreater(self.faults("as it is"), 20_000)
