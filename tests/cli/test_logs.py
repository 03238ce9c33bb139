from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path

from twisted.logger import Logger, LogPublisher
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from raic.cli.logs import LogStyle, make_observer, style_for

PLAIN = LogStyle()


class LogLines(SynchronousTestCase):
    def lines(self, level: str, style: LogStyle = PLAIN) -> str:
        stream = StringIO()
        observer = make_observer(stream, level, style)
        own = Logger("raic.server", observer=observer)
        library = Logger("twisted.web", observer=observer)
        own.debug("own debug")
        own.info("own {what}", what="info")
        library.info("library info /storage/v1/immutable/aaaa")
        library.warn("library warning")
        try:
            raise ValueError("hunter2")
        except ValueError:
            own.failure("it broke")
        return stream.getvalue()

    def test_a_line_has_time_level_source_and_text(self) -> None:
        self.assertRegex(
            self.lines("info"),
            r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info raic\.server: own info$",
        )

    def test_libraries_are_heard_from_warnings_on(self) -> None:
        lines = self.lines("info")
        self.assertNotIn("library info", lines)
        self.assertIn("library warning", lines)

    def test_the_level_is_obeyed(self) -> None:
        self.assertNotIn("own debug", self.lines("info"))
        self.assertNotIn("own info", self.lines("warn"))
        self.assertNotIn("library warning", self.lines("error"))
        debug = self.lines("debug")
        self.assertIn("own debug", debug)
        self.assertIn("library info", debug)

    def test_a_failure_shows_its_frames_and_not_its_text(self) -> None:
        lines = self.lines("info")
        self.assertIn("it broke\n  builtins.ValueError\n", lines)
        self.assertIn("test_logs.py", lines)
        self.assertNotIn("hunter2", lines.replace('raise ValueError("hunter2")', ""))

    def test_at_the_level_debug_the_text_is_shown(self) -> None:
        self.assertIn("builtins.ValueError: hunter2", self.lines("debug"))

    def test_a_failure_in_the_old_way_does_not_show_its_text_either(self) -> None:
        stream = StringIO()
        publisher = LogPublisher(make_observer(stream, "info"))
        old = legacy.LogPublisher(publisher, publisher)
        old.msg("an old line")
        failure = Failure(ValueError("hunter2"))
        old.msg(failure=failure, why="it broke", isError=1)
        old.msg(failure=failure, why=None, isError=1)
        self.assertNotIn("hunter2", stream.getvalue())
        self.assertNotIn("an old line", stream.getvalue())
        self.assertIn("log_legacy: it broke\n  builtins.ValueError\n", stream.getvalue())
        self.assertIn("log_legacy: unexpected error\n", stream.getvalue())

    def test_as_json_each_event_is_one_object(self) -> None:
        lines = self.lines("info", LogStyle(as_json=True)).splitlines()
        own, warning, failure = (json.loads(line) for line in lines)
        self.assertRegex(own.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        expected = {"level": "info", "source": "raic.server", "message": "own info"}
        self.assertEqual(own, expected)
        self.assertEqual(warning["level"], "warn")
        self.assertEqual(failure["error"], "builtins.ValueError")
        self.assertTrue(any("test_logs.py" in frame for frame in failure["frames"]))
        self.assertNotIn("hunter2", json.dumps({**failure, "frames": []}))

    def test_the_journal_gets_priorities_and_no_times(self) -> None:
        lines = self.lines("debug", LogStyle(journal=True)).splitlines()
        self.assertEqual(lines[0], "<7>debug raic.server: own debug")
        self.assertEqual(lines[1], "<6>info raic.server: own info")
        self.assertEqual(lines[3], "<4>warn twisted.web: library warning")
        self.assertEqual(lines[4], "<2>critical raic.server: it broke")
        self.assertEqual({line[:3] for line in lines[5:]}, {"<2>"})

    def test_the_journal_gets_json_with_priorities(self) -> None:
        (first, *_) = self.lines("info", LogStyle(as_json=True, journal=True)).splitlines()
        self.assertEqual(first[:3], "<6>")
        self.assertEqual(json.loads(first[3:])["message"], "own info")


class Styles(SynchronousTestCase):
    def test_the_journal_is_known_by_what_systemd_says_of_it(self) -> None:
        with Path("log").open("w") as stream:
            status = os.fstat(stream.fileno())
            here = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            elsewhere = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}
            self.assertEqual(style_for("json", stream, here), LogStyle(True, True))
            self.assertEqual(style_for("plain", stream, elsewhere), LogStyle())
            self.assertEqual(style_for("plain", stream, {}), LogStyle())
        self.assertEqual(style_for("json", StringIO(), here), LogStyle(as_json=True))
