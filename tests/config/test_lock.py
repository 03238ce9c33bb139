from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.config.lock import NodeLock
from raic.errors import NodeDirectoryLocked

HOLD = """
import sys, time
from pathlib import Path
from raic.config.lock import NodeLock
lock = NodeLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


class Locking(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Path(self.mktemp())
        self.node.mkdir()

    def test_a_second_holder_is_refused_and_told_who_the_first_is(self) -> None:
        lock = NodeLock(self.node)
        self.addCleanup(lock.release)
        with self.assertRaisesRegex(NodeDirectoryLocked, f"process {os.getpid()}$") as caught:
            NodeLock(self.node)
        self.assertIn("stop the other process", caught.exception.remedy)

    def test_it_can_be_taken_again_after_its_release(self) -> None:
        NodeLock(self.node).release()
        NodeLock(self.node).release()

    def test_a_killed_process_leaves_no_lock(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.node)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), "held\n")
            with self.assertRaisesRegex(NodeDirectoryLocked, f"process {process.pid}$"):
                NodeLock(self.node)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        NodeLock(self.node).release()
