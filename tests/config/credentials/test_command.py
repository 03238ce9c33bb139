from __future__ import annotations

import os
import sys
from pathlib import Path
from time import monotonic

from twisted.trial.unittest import SynchronousTestCase

from raic.config.credentials import Secret
from raic.config.credentials.command import MAX_OUTPUT_BYTES, CommandSource
from raic.errors import CredentialsUnusable
from tests.config.credentials.wants import KEY, KEY_ID, SECRETS, s3

GOOD = f"access_key_id={KEY_ID}\n\nsecret_access_key = {KEY}\r\n"


class Command(SynchronousTestCase):
    def read(self, *words: str, seconds: float = 20.0) -> dict[str, Secret]:
        return dict(CommandSource(Path.cwd(), seconds).read(s3(command=words)))

    def python(self, program: str, *arguments: str, seconds: float = 20.0) -> dict[str, Secret]:
        return self.read(sys.executable, "-S", "-c", program, *arguments, seconds=seconds)

    def printed(self, output: str) -> dict[str, Secret]:
        Path("output").write_bytes(output.encode("utf-8", "surrogateescape"))
        return self.read("cat", "output")

    def refused(self, output: str) -> str:
        error = self.assertRaises(CredentialsUnusable, self.printed, output)
        self.assertIn("access_key_id=...", error.remedy)
        return str(error)

    def test_it_prints_a_line_for_each_secret(self) -> None:
        self.assertEqual(self.printed(GOOD), SECRETS)

    def test_it_may_print_a_part_or_nothing(self) -> None:
        self.assertEqual(self.printed("access_key_id=a=b=="), {"access_key_id": Secret("a=b==")})
        self.assertEqual(self.printed("session_token=\n"), {})
        self.assertEqual(self.printed(""), {})

    def test_without_a_command_nothing_is_run(self) -> None:
        self.assertEqual(self.read(), {})

    def test_no_shell_sees_it(self) -> None:
        tricky = "$(touch made) ; touch made | `touch made`"
        program = "import sys; print('access_key_id=' + sys.argv[1])"
        self.assertEqual(self.python(program, tricky), {"access_key_id": Secret(tricky)})
        self.assertFalse(Path("made").exists())

    def test_it_has_no_input(self) -> None:
        Path("typed").write_text("what was typed")
        before = os.dup(0)
        self.addCleanup(os.close, before)
        self.addCleanup(os.dup2, before, 0)
        with Path("typed").open() as typed:
            os.dup2(typed.fileno(), 0)
        program = "import sys; print('access_key_id=[' + sys.stdin.read() + ']')"
        self.assertEqual(self.python(program), {"access_key_id": Secret("[]")})

    def test_what_it_complains_of_is_not_repeated(self) -> None:
        program = f"import sys; sys.stderr.write({KEY!r}); print({GOOD!r}); sys.exit(3)"
        error = self.assertRaises(CredentialsUnusable, self.python, program)
        self.assertIn("it ended with exit code 3", str(error))
        self.assertNotIn(KEY, f"{error} {error.remedy}")

    def test_a_command_that_is_not_there_is_told(self) -> None:
        error = self.assertRaises(CredentialsUnusable, self.read, "/no/such/command", "aws")
        self.assertIn("/no/such/command: No such file or directory", str(error))
        self.assertIn("[provider:aws]", str(error))

    def test_junk_is_told_by_its_line_and_not_shown(self) -> None:
        for junk in (KEY, f"acess_key_id={KEY}", f"{KEY}=", "<html>"):
            text = self.refused(f"access_key_id={KEY_ID}\n{junk}\n")
            self.assertIn("line 2 of its output is not one of access_key_id=...,", text)
            self.assertNotIn(KEY, text)
            self.assertNotIn("html", text)
        twice = f"access_key_id={KEY_ID}\naccess_key_id={KEY}"
        self.assertIn("line 2 of its output gives access_key_id once more", self.refused(twice))
        self.assertIn("is not text", self.refused("access_key_id=\udcff"))

    def test_what_is_no_secret_is_told(self) -> None:
        self.assertIn("line 1 of its output", self.refused("access_key_id=a\tb"))

    def test_it_cannot_print_without_end(self) -> None:
        program = "import sys\nwhile True: sys.stdout.write('access_key_id=' * 100)"
        error = self.assertRaises(CredentialsUnusable, self.python, program)
        self.assertIn(f"more than {MAX_OUTPUT_BYTES} bytes", str(error))

    def test_one_that_hangs_is_ended_with_all_that_it_started(self) -> None:
        hang = "import time; time.sleep(60)"
        orphan = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", {hang!r}])
open("child", "w").write(str(child.pid))
"""
        closed = f"import sys, os; os.close(1); {hang}"
        for program in (hang, orphan, closed):
            began = monotonic()
            error = self.assertRaises(CredentialsUnusable, self.python, program, seconds=1.0)
            self.assertIn("did not end within 1 s", str(error))
            self.assertLess(monotonic() - began, 15)
        self.assertFalse(_runs(int(Path("child").read_text())))


def _runs(pid: int) -> bool:
    """Whether a process does anything yet: one that nobody waited for is still listed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
