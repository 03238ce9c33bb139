from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.backends.filesystems import FilesystemTestCase

KILLED = """
import sys
from twisted.internet.task import Clock
from raic.backends.filesystem import FilesystemProvider
from raic.workers import InlineWorkers
from tests.backends.disks import DiskWithoutProc, OldDisk, ScriptedDisk, ShortDisk
disk = OldDisk() if sys.argv[2] == "named" else ScriptedDisk()
provider = FilesystemProvider("attic", sys.argv[1], InlineWorkers(), Clock(), disk=disk)
provider.start()
provider.put_object("a/b/stored", b"stored")
provider.open_upload("a/b/begun", 10).write(b"begun")
provider.open_upload("c/d/begun", 10).write(b"begun")
print("ready", flush=True)
sys.stdin.read()
"""


class KilledTests(FilesystemTestCase):
    """The process is killed in the middle of two uploads."""

    def kill(self, kind: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(self.root), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        # If it never says so the test must end all the same.
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        with process:
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.send_signal(signal.SIGKILL)
        watchdog.cancel()
        self.start()
        page = self.successResultOf(self.provider.list_objects("", None))
        self.assertEqual([found.key for found in page.objects], ["a/b/stored"])

    def clear(self, prefix: str) -> int:
        return self.successResultOf(self.provider.clear_interrupted_uploads(prefix))

    def test_nothing_remains(self) -> None:
        self.kill("nameless")
        self.assertEqual(len(self.files()), 1)
        self.assertEqual(self.clear(""), 0)

    def test_what_has_a_name_is_cleared_by_the_owner_of_its_prefix(self) -> None:
        self.kill("named")
        self.assertEqual(len(self.files()), 3)
        self.assertEqual(self.clear("a/b/x"), 0)
        self.assertEqual(self.clear("a/"), 1)
        self.assertEqual(self.clear(""), 1)
        self.assertEqual(len(self.files()), 1)
