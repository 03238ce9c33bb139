from __future__ import annotations

from raic.assembly.checks import Level
from raic.assembly.checks.identityfiles import check_identity
from tests.checks.world import NOW, CheckCase

DAY = 24 * 60 * 60


class Files(CheckCase):
    async def test_a_new_node_is_well(self) -> None:
        await self.assert_well()
        await self.assert_found("identity", Level.OK, self.identity.server_id)

    async def test_every_missing_file_is_told(self) -> None:
        for name in ("seal.key", "node.pem"):
            (self.path / "private" / name).unlink()
        for name in ("seal.key", "node.pem"):
            await self.assert_found(f"private/{name}", Level.ERROR, "no file", "backup")

    async def test_a_missing_directory_is_told_once(self) -> None:
        (self.path / "private").rename(self.path / "elsewhere")
        report = await self.check()
        self.assertEqual(report.count(Level.ERROR), 1)
        await self.assert_found("private/", Level.ERROR, "no directory", "backup")

    async def test_what_others_can_read_is_told_with_the_command(self) -> None:
        for name in ("node.privkey", "servers.yaml"):
            (self.path / "private" / name).chmod(0o640)
            remedy = f"^chmod 600 {self.path}/private/{name}$"
            await self.assert_found(f"private/{name}", Level.ERROR, "mode is 640", remedy)

    async def test_a_directory_that_others_can_look_into_is_a_warning(self) -> None:
        (self.path / "private").chmod(0o755)
        await self.assert_found("private/", Level.WARNING, "look into", "chmod 700")

    async def test_keys_that_do_not_belong_together_are_told(self) -> None:
        (self.path / "private" / "seal.key").write_text("raic-seal-1 short\n")
        await self.assert_found("identity", Level.ERROR, "seal.key", "backup")
        await self.assert_found("private/", Level.OK, "6 files")

    async def test_no_provider_is_reached_without_them(self) -> None:
        (self.path / "private" / "seal.key").unlink()
        report = await self.check()
        self.assertNotIn("provider disk", {each.group for each in report.findings})


class Certificate(CheckCase):
    def level(self, now: float) -> Level:
        found = check_identity(self.path / "private", self.identity, now)
        (certificate,) = [each for each in found if each.subject == "certificate"]
        return certificate.level

    def test_it_holds_for_a_hundred_years(self) -> None:
        self.assertIs(self.level(NOW), Level.OK)
        self.assertIs(self.level(NOW - 2 * DAY), Level.ERROR)
        self.assertIs(self.level(NOW + 101 * 365 * DAY), Level.WARNING)
