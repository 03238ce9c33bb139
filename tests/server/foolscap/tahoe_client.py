"""A program: visits a storage server with Tahoe's own remote interfaces, tells what it saw as JSON.

It runs in a process of its own, because Foolscap keeps one definition of each interface.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable
from typing import Any

from allmydata.storage_client import _StorageServer
from foolscap.api import Referenceable, Tub
from twisted.internet.defer import Deferred
from twisted.internet.task import react

RENEW, CANCEL, ENABLER = b"r" * 32, b"c" * 32, b"w" * 32
INDEX, SLOT = b"i" * 16, b"s" * 16


async def failure_of(call: Awaitable[object]) -> list[str]:
    """The name and the text of the exception that a call fails with."""
    try:
        await call
    except Exception as error:  # noqa: BLE001 - whatever Foolscap makes of it
        failure = error.failure  # type: ignore[attr-defined]  # a RemoteException
        return [f"{failure.type.__module__}.{failure.type.__name__}", failure.value]
    return []


async def visit(server: Any) -> dict[str, Any]:
    """Call every method."""
    version = await server.get_version()
    told: dict[str, Any] = {
        "flags": sorted(
            key.decode()
            for key, value in version[b"http://allmydata.org/tahoe/protocols/storage/v1"].items()
            if value is True
        )
    }
    _, writers = await server.allocate_buckets(INDEX, RENEW, CANCEL, {0, 1}, 1000, Referenceable())
    await writers[0].callRemote("write", 0, b"x" * 600)
    await writers[0].callRemote("write", 600, b"y" * 400)
    told["conflict"] = await failure_of(writers[0].callRemote("write", 0, b"z"))
    told["too far"] = await failure_of(writers[0].callRemote("write", 999, b"zz"))
    await writers[0].callRemote("close")
    await writers[1].callRemote("abort")
    held, _ = await server.allocate_buckets(INDEX, RENEW, CANCEL, {0}, 1000, Referenceable())
    told["held"] = sorted(held)
    await server.add_lease(INDEX, RENEW, CANCEL)
    await server.add_lease(b"n" * 16, RENEW, CANCEL)
    readers = await server.get_buckets(INDEX)
    told["readers"] = sorted(readers)
    told["read"] = (await readers[0].callRemote("read", 598, 4)).decode()
    told["past"] = (await readers[0].callRemote("read", 998, 4)).decode()
    await readers[0].callRemote("advise_corrupt_share", b"bad")
    await server.advise_corrupt_share(b"immutable", INDEX, 0, b"bad")
    secrets = (ENABLER, RENEW, CANCEL)
    change = server.slot_testv_and_readv_and_writev
    told["created"] = await change(SLOT, secrets, {2: ([(0, 1, b"")], [(0, b"abc")], None)}, [])
    told["unequal"], old = await change(
        SLOT, secrets, {2: ([(0, 1, b"z")], [(0, b"z")], None)}, [(0, 9)]
    )
    told["old"] = {shnum: [each.decode() for each in texts] for shnum, texts in old.items()}
    told["enabler"] = await failure_of(
        change(SLOT, (b"W" * 32, RENEW, CANCEL), {2: ([], [(0, b"z")], None)}, [])
    )
    slot = await server.slot_readv(SLOT, [], [(1, 5)])
    told["slot"] = {shnum: [each.decode() for each in texts] for shnum, texts in slot.items()}
    await change(SLOT, secrets, {2: ([], [], 0)}, [])
    told["deleted"] = await server.slot_readv(SLOT, [], [(0, 5)])
    for wrong, arguments in {
        "short secret": (INDEX, RENEW[1:], CANCEL),
        "long secret": (INDEX, RENEW + b"r", CANCEL),
        "short index": (INDEX[1:], RENEW, CANCEL),
    }.items():
        call = server._rref.callRemote("add_lease", *arguments, _useSchema=False)
        told[wrong] = (await failure_of(call))[0]
    return told


async def vanish(server: Any) -> None:
    """Die in the middle of an upload."""
    _, writers = await server.allocate_buckets(INDEX, RENEW, CANCEL, {0}, 1000, Referenceable())
    await writers[0].callRemote("write", 0, b"x" * 600)
    os._exit(0)


async def main(furl: str, errand: str) -> None:
    """Connect, do what is asked, and print what came of it."""
    tub = Tub()
    tub.setOption("expose-remote-exception-types", False)
    tub.startService()
    remote = await tub.getReference(furl)
    server = _StorageServer(lambda: remote)
    if errand == "vanish":
        await vanish(server)
    print(json.dumps(await visit(server)))  # noqa: T201 - that is its purpose
    await tub.stopService()


if __name__ == "__main__":
    react(lambda _: Deferred.fromCoroutine(main(*sys.argv[1:])))
