from __future__ import annotations

import os
from pathlib import Path

from raic.assembly.checks import Level
from raic.assembly.checks.space import judge_space
from raic.shares.index import create_index
from tests.checks.world import CheckCase


class Folder(CheckCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = self.path / "storage"

    def at(self, path: str) -> None:
        self.configure(rest=f"[provider:disk]\npath = {path}\n")

    async def test_it_is_proved_without_a_trace(self) -> None:
        self.folder.mkdir()
        await self.assert_found("rights", Level.OK, "list, read, write and delete")
        self.assertEqual(list(self.folder.iterdir()), [])

    async def test_the_first_start_makes_it(self) -> None:
        await self.assert_found("rights", Level.OK, "the first start makes it")
        self.assertFalse(self.folder.exists())

    async def test_it_is_not_made_in_what_is_not_there(self) -> None:
        self.at("mnt/attic/storage")
        await self.assert_found("rights", Level.ERROR, "No such file", "mount .*mnt/attic/storage")

    async def test_it_is_no_file(self) -> None:
        self.folder.write_text("not a folder")
        await self.assert_found("rights", Level.ERROR, "Not a directory", "a directory")

    async def test_where_files_need_names_the_permissions_are_believed(self) -> None:
        self.at("/proc/self/task")
        if os.geteuid() == 0:
            await self.assert_found("rights", Level.OK, "say the permissions")
        else:
            await self.assert_found("rights", Level.ERROR, "Permission denied", "let the node")

    async def test_rights_are_those_of_this_user(self) -> None:
        self.folder.mkdir()
        self.folder.chmod(0o500)
        self.addCleanup(self.folder.chmod, 0o700)
        level = Level.OK if os.geteuid() == 0 else Level.ERROR
        self.assertIs((await self.found("rights")).level, level)

    async def test_objects_without_an_index_are_an_error(self) -> None:
        (self.folder / "shares" / "aa").mkdir(parents=True)
        (self.folder / ",,incoming").mkdir()
        (self.folder / ",,incoming" / "left").write_bytes(b"no object")
        await self.assert_well()
        (self.folder / "shares" / "aa" / "x").write_bytes(b"an object")
        await self.assert_found("objects", Level.ERROR, "no index", "raic restore --local")
        create_index(self.path / "index.sqlite", 1)
        await self.assert_well()

    async def test_reserved_space_is_subtracted(self) -> None:
        found = os.statvfs(self.path)
        free = found.f_bavail * found.f_frsize
        self.configure(f"reserved_space = {free * 2}\n")
        await self.assert_found("space", Level.ERROR, "none is left", "lower reserved_space")

    def test_little_space_is_a_warning(self) -> None:
        self.assertIs(judge_space(3 * 10**9, 10**9).level, Level.OK)
        self.assertIs(judge_space(3 * 10**9, 29 * 10**8).level, Level.WARNING)

    async def test_a_directory_that_is_gone_is_not_made(self) -> None:
        self.at(str(Path("gone").absolute() / "storage"))
        await self.check()
        self.assertFalse(Path("gone").exists())
