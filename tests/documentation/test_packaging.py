"""What is shipped to run a node with: the systemd unit, the Dockerfile, the manual page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from shutil import copy, which

import pytest
from twisted.trial.unittest import SynchronousTestCase

from raic.cli import main
from raic.cli.manual import walk
from raic.cli.process import STOP_SECONDS
from raic.config.schema import keys_of
from tests.documentation.blocks import DOCS, ROOT
from tests.end_to_end.processes import installed

PACKAGING = DOCS / "packaging"
EXPOSURE = 15
"""In tenths: what ``systemd-analyze security`` may find at most, of 100."""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.service
class Unit(SynchronousTestCase):
    def setUp(self) -> None:
        if which("systemd-analyze") is None:
            raise pytest.skip.Exception("the Debian package systemd is not installed")
        text = (PACKAGING / "raic.service").read_text()
        self.assertIn("/opt/raic/bin/raic run", text)
        self.unit = Path("raic.service").absolute()
        self.unit.write_text(text.replace("/opt/raic/bin/raic", installed("raic")))

    def test_systemd_finds_nothing_wrong_with_it_nor_with_its_drop_in(self) -> None:
        folder = self.unit.with_name("raic.service.d")
        folder.mkdir()
        copy(PACKAGING / "credentials.conf", folder)
        done = run("systemd-analyze", "verify", "--man=no", self.unit)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_mistake_in_it_would_be_found(self) -> None:
        self.unit.write_text(self.unit.read_text().replace("WatchdogSec=", "WatchDogSec="))
        done = run("systemd-analyze", "verify", "--man=no", self.unit)
        self.assertIn("WatchDogSec", done.stdout)

    def test_it_is_hardened(self) -> None:
        command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}"]
        done = run(*command, "--no-pager", self.unit)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_it_waits_for_a_node_as_long_as_that_may_take(self) -> None:
        text = self.unit.read_text()
        (minutes,) = re.findall(r"^TimeoutStopSec=(\d+)min$", text, re.MULTILINE)
        seconds = int(keys_of("node")["stop_seconds"].default or "")
        self.assertGreaterEqual(int(minutes) * 60, seconds + 2 * STOP_SECONDS)


class Installation(SynchronousTestCase):
    def test_the_node_that_is_made_is_the_one_that_is_run_and_may_be_written(self) -> None:
        unit = (PACKAGING / "raic.service").read_text()
        page = (DOCS / "running.rst").read_text()
        (run_there,) = re.findall(r"^ExecStart=\S+ run (\S+)$", unit, re.MULTILINE)
        (made_there,) = re.findall(r"# runuser -u raic -- raic create-node (\S+)", page)
        self.assertEqual(made_there, run_there)
        # It is made aside in its parent, which the node's user has to own.
        (owned,) = re.findall(r"# install -d -o raic -g raic -m 700 (\S+)", page)
        (state,) = re.findall(r"^StateDirectory=(\S+)$", unit, re.MULTILINE)
        self.assertEqual(str(Path(run_there).parent), owned)
        self.assertEqual(owned, f"/var/lib/{state}")


@pytest.mark.service
class Container(SynchronousTestCase):
    def test_the_linter_finds_nothing_in_the_dockerfile(self) -> None:
        done = run(installed("hadolint"), "--no-color", PACKAGING / "Dockerfile")
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_it_copies_all_that_an_installation_is_made_of(self) -> None:
        text = (PACKAGING / "Dockerfile").read_text()
        copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
        names = {name for line in copied for name in line.split()}
        self.assertLessEqual(
            {"pyproject.toml", "setup.cfg", "README.rst", "LICENSE", "raic"}, names
        )
        for name in names:
            self.assertTrue((ROOT / name).exists(), name)


class ManualPage(SynchronousTestCase):
    def test_it_is_made_of_every_command(self) -> None:
        done = run(installed("sphinx-build"), "-q", "-n", "-W", "-b", "man", DOCS, "man")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        page = Path("man/raic.1").read_text().replace("\\-", "-")
        self.assertIn(".SH NAME", page)
        for path, command in walk(main, "raic"):
            section = page.partition(f".SS {path}\n")[2].partition("\n.SS ")[0]
            self.assertTrue(section, path)
            for parameter in command.params:
                if parameter.param_type_name == "option":
                    self.assertIn(parameter.opts[0], section)
