from __future__ import annotations

import os
import socket
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.assembly.checks import Level
from raic.assembly.checks.process import find_runner
from raic.assembly.checks.sockets import Listener, listeners, sockets_of
from raic.config.lock import NodeLock
from tests.checks.world import CheckCase
from tests.end_to_end.processes import free_port

FURL = f"pb://{'a' * 32}@{{}}/introducer"


def listening(port: int, host: str = "127.0.0.1") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, port))
    server.listen()
    return server


class Ports(CheckCase):
    def own(self) -> None:
        """Have this process be the node's."""
        lock = NodeLock(self.path)
        self.addCleanup(lock.release)

    async def test_one_that_is_free_is_fine(self) -> None:
        await self.assert_found("tub.port", Level.OK, "free$")

    async def test_one_that_another_program_has_is_an_error(self) -> None:
        with closing(listening(self.port)):
            await self.assert_found("tub.port", Level.ERROR, "another program", f":{self.port}'")

    async def test_one_that_the_running_node_has_is_fine(self) -> None:
        self.own()
        with closing(listening(self.port)):
            await self.assert_found("tub.port", Level.OK, "the running node listens there")

    async def test_one_that_the_running_node_does_not_have_needs_a_restart(self) -> None:
        self.own()
        await self.assert_found("tub.port", Level.WARNING, "does not listen", "restart")

    async def test_one_on_another_machines_address_is_an_error(self) -> None:
        self.configure(
            node=f"tub.port = tcp:{self.port}:interface=192.0.2.1\ntub.location = tcp:h.example:1\n"
        )
        await self.assert_found("tub.port", Level.ERROR, "no.* address of this machine", "ip addr")

    async def test_an_interface_is_an_address(self) -> None:
        self.configure(
            node=f"tub.port = tcp:{self.port}:interface=eth0\ntub.location = tcp:h.example:1\n"
        )
        await self.assert_found("tub.port", Level.ERROR, "eth0 is no address", "write")

    async def test_what_systemd_hands_over_is_left_to_the_start(self) -> None:
        self.configure(
            node="tub.port = systemd:domain=INET:index=0\ntub.location = tcp:127.0.0.1:1\n"
        )
        await self.assert_found("tub.port", Level.OK, "when the node starts")


class Locations(CheckCase):
    def say(self, hint: str, interface: str = "") -> None:
        bound = f":interface={interface}" if interface else ""
        self.configure(node=f"tub.port = tcp:{self.port}{bound}\ntub.location = {hint}\n")

    async def levels(self) -> list[Level]:
        findings = (await self.check()).findings
        return [each.level for each in findings if each.subject == "tub.location"]

    async def test_an_address_needs_no_name_service(self) -> None:
        self.say("tcp:192.0.2.7:3457")
        await self.assert_found("tub.location", Level.OK, "^tcp:192.0.2.7:3457$")

    async def test_a_name_that_leads_nowhere_is_a_warning(self) -> None:
        self.say("tcp:nowhere.invalid:3457")
        await self.assert_found("tub.location", Level.WARNING, "leads nowhere", "name service")

    async def test_an_onion_is_not_looked_up(self) -> None:
        self.say(f"tor:{'a' * 56}.onion:3457")
        await self.assert_found("tub.location", Level.OK, "well formed")

    async def test_loopback_for_a_public_port_is_a_warning(self) -> None:
        self.say("tcp:127.0.0.1:3457")
        self.assertEqual(await self.levels(), [Level.OK, Level.WARNING])
        self.say("tcp:127.0.0.1:3457", "127.0.0.1")
        self.assertEqual(await self.levels(), [Level.OK])

    async def test_a_public_address_for_a_port_on_loopback_is_a_warning(self) -> None:
        self.say("tcp:192.0.2.7:3457", "127.0.0.1")
        self.assertEqual(await self.levels(), [Level.OK, Level.WARNING])

    async def test_addresses_of_this_machine_need_a_port(self) -> None:
        self.configure(node="tub.port = systemd:domain=INET:index=0\ntub.location = AUTO\n")
        await self.assert_found("tub.location", Level.ERROR, "AUTO needs", "write")


class Introducers(CheckCase):
    def name(self, hints: str) -> None:
        self.configure(rest=f"[client]\nintroducer.furl = {FURL.format(hints)}\n")

    async def test_they_are_counted(self) -> None:
        await self.assert_found("introducers", Level.OK, "servers.yaml")
        self.name("tcp:intro.example.net:1234,127.0.0.1:1234")
        await self.assert_found("introducers", Level.OK, "1, well formed")

    async def test_one_without_an_address_is_told_but_not_shown(self) -> None:
        self.name("")
        finding = await self.found("introducers")
        self.assertIs(finding.level, Level.ERROR)
        self.assertNotIn("a" * 32, f"{finding}")


class Process(CheckCase):
    async def test_a_lock_that_a_dead_process_left_is_none(self) -> None:
        lock = NodeLock(self.path)
        await self.assert_found("process", Level.OK, f"process {os.getpid()}$")
        lock.release()
        await self.assert_found("process", Level.OK, "not running")

    def test_without_the_kernels_list_the_noted_process_counts_if_it_lives(self) -> None:
        nowhere = Path("nowhere")
        self.assertIsNone(find_runner(self.path, nowhere))
        for noted, runner in ((str(os.getpid()), os.getpid()), ("1", 1), ("999999999", None)):
            (self.path / "running.lock").write_text(f"{noted}\n")
            self.assertEqual(find_runner(self.path, nowhere), runner)

    def test_a_file_system_may_show_programs_another_device(self) -> None:
        lock, listed = self.path / "running.lock", Path("locks")
        lock.write_text("4711\n")
        inode = lock.stat().st_ino
        for process, runner in ((4711, 4711), (4712, None)):
            listed.write_text(f"1: FLOCK  ADVISORY  WRITE {process} ff:ff:{inode} 0 EOF\n")
            self.assertEqual(find_runner(self.path, listed), runner)


class Sockets(SynchronousTestCase):
    def test_the_kernel_tells_who_listens(self) -> None:
        for host in ("127.0.0.1", "0.0.0.0"):
            with closing(listening(0, host)) as server:
                (found,) = listeners(server.getsockname()[1])
                self.assertEqual(found.address, ip_address(host))
                self.assertIn(found.socket, sockets_of(os.getpid()) or ())

    def test_addresses_of_ipv6_are_read_too(self) -> None:
        net = Path(self.mktemp())
        net.mkdir()
        head = "  sl  local_address\n"
        rest = "00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 77 1 0 100"
        (net / "tcp6").write_text(f"{head}0: 00000000000000000000000001000000:0D81 {rest}\n")
        self.assertEqual(listeners(3457, net), [Listener(ip_address("::1"), 3457, 77)])

    def test_a_process_that_is_not_ours_keeps_its_sockets_to_itself(self) -> None:
        self.assertIsNone(sockets_of(1, Path("nowhere")))

    def test_which_addresses_stand_in_whose_way(self) -> None:
        for there, wanted, covers in (
            ("127.0.0.1", "127.0.0.1", True),
            ("127.0.0.1", "127.0.0.2", False),
            ("127.0.0.1", "0.0.0.0", True),
            ("0.0.0.0", "127.0.0.1", True),
            ("::", "127.0.0.1", True),
            ("::1", "127.0.0.1", False),
            ("0.0.0.0", "::1", False),
        ):
            found = Listener(ip_address(there), 1, 1).covers(ip_address(wanted))
            self.assertEqual(found, covers, (there, wanted))


class Pages(CheckCase):
    def open_to(self, interface: str, rest: str = "") -> None:
        port = f"tub.port = tcp:{self.port}:interface=127.0.0.1\n"
        location = f"tub.location = tcp:127.0.0.1:{self.port}\n"
        page = f"web.port = tcp:{free_port()}:interface={interface}\n"
        self.configure(rest=rest, node=port + location + page)

    async def test_one_that_others_reach_needs_a_password(self) -> None:
        self.open_to("0.0.0.0")
        text = "others reach 0.0.0.0, and no password is kept: the node does not start"
        await self.assert_found(
            "web.port", Level.ERROR, text, "raic credentials set web --nodedir "
        )
        self.environment["RAIC_WEB_PASSWORD"] = "secret"
        await self.assert_found("web.port", Level.OK, "it asks for a password")

    async def test_one_that_only_this_machine_reaches_needs_none(self) -> None:
        self.open_to("127.0.0.1")
        await self.assert_well()
