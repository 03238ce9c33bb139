"""Tahoe's own storage client against a site on loopback; a program of its own.

Prints ``done`` when everything was as Tahoe's client wants it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from os import urandom
from pathlib import Path
from typing import Any

from allmydata.storage import http_client
from allmydata.storage.http_common import get_spki_hash
from cryptography.x509 import load_pem_x509_certificate
from hyperlink import DecodedURL
from twisted.internet.defer import Deferred
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import react

from raic.backends.memory import MemoryProvider
from raic.budget import MemoryBudget
from raic.server.http import make_site
from raic.server.operations import OperationMeter
from raic.shares.index import create_index, open_index
from raic.workers import ThreadWorkers
from tests.server.http.harness import MAX_MESSAGE, SWISSNUM, service_over

LEASE = (b"r" * 32, b"c" * 32)


async def fails_with(code: int, asked: Awaitable[object]) -> None:
    """Check that the client says so."""
    found = None
    try:
        await asked
    except http_client.ClientException as error:
        found = error.code
    assert found == code, f"{found} instead of {code}"


async def use_immutables(client: Any) -> None:
    immutables = http_client.StorageClientImmutables(client)
    general = http_client.StorageClientGeneral(client)
    index, secret, data = urandom(16), urandom(32), urandom(2_500_000)
    await fails_with(404, general.add_or_renew_lease(index, *LEASE))
    created = await immutables.create(index, {1, 7}, len(data), secret, *LEASE)
    assert (created.already_have, created.allocated) == (set(), {1, 7})
    for offset in range(0, len(data), 1_000_000):
        piece = data[offset : offset + 1_000_000]
        progress = await immutables.write_share_chunk(index, 1, secret, offset, piece)
    assert progress.finished
    assert await immutables.list_shares(index) == {1}
    assert await immutables.read_share_chunk(index, 1, 17, 900_000) == data[17:900_017]
    assert await immutables.read_share_chunk(index, 1, len(data) - 5, 100) == data[-5:]
    assert await immutables.read_share_chunk(index, 1, len(data), 100) == b""
    await fails_with(404, immutables.read_share_chunk(index, 2, 0, 1))
    await fails_with(401, immutables.write_share_chunk(index, 7, b"wrong", 0, b"x"))
    await fails_with(401, immutables.abort_upload(index, 7, b"wrong"))
    await immutables.write_share_chunk(index, 7, secret, 0, b"x")
    await fails_with(409, immutables.write_share_chunk(index, 7, secret, 0, b"y"))
    await fails_with(416, immutables.write_share_chunk(index, 7, secret, len(data), b"y"))
    await immutables.abort_upload(index, 7, secret)
    await fails_with(405, immutables.abort_upload(index, 1, secret))
    await fails_with(404, immutables.abort_upload(index, 7, secret))
    await immutables.advise_corrupt_share(index, 1, "OHNO \u1235")
    await fails_with(404, immutables.advise_corrupt_share(index, 7, "OHNO"))
    await general.add_or_renew_lease(index, *LEASE)


async def use_mutables(client: Any) -> None:
    mutables = http_client.StorageClientMutables(client)
    index, enabler = urandom(16), urandom(32)
    assert await mutables.list_shares(index) == set()
    write = http_client.TestWriteVectors(
        test_vectors=[http_client.TestVector(0, 1, b"")],
        write_vectors=[http_client.WriteVector(0, b"mutable" * 20_000)],
    )
    secrets = (enabler, *LEASE)
    reads = [http_client.ReadVector(0, 7)]
    result = await mutables.read_test_write_chunks(index, *secrets, {3: write}, reads)
    assert (result.success, result.reads) == (True, {})
    result = await mutables.read_test_write_chunks(index, *secrets, {3: write}, reads)
    assert (result.success, result.reads) == (False, {3: [b"mutable"]})
    wrong = (urandom(32), *LEASE)
    await fails_with(401, mutables.read_test_write_chunks(index, *wrong, {3: write}, reads))
    assert await mutables.list_shares(index) == {3}
    assert await mutables.read_share_chunk(index, 3, 139_996, 100) == b"able"
    await fails_with(404, mutables.read_share_chunk(index, 4, 0, 1))
    await mutables.advise_corrupt_share(index, 3, "OHNO")


async def use_site(reactor: Any, pem: str) -> None:
    provider = MemoryProvider("attic")
    await provider.start()
    create_index("index", 1)
    index = open_index("index", reactor, reactor, local_listing=True, on_fatal=print)
    service, space, _ = service_over(provider, index, reactor, MemoryBudget(2**28))
    workers = ThreadWorkers(reactor, 1, "bodies")
    site = make_site(
        service,
        SWISSNUM,
        reactor,
        workers,
        application_version=b"raic/0",
        max_message=MAX_MESSAGE,
        body_budget=MemoryBudget(16 * MAX_MESSAGE),
        meter=OperationMeter(reactor),
    )
    context = PrivateCertificate.loadPEM(pem).options()
    port = reactor.listenSSL(0, site, context, interface="127.0.0.1")
    spki = get_spki_hash(load_pem_x509_certificate(pem.encode("ascii"))).decode("ascii")
    nurl = f"pb://{spki}@127.0.0.1:{port.getHost().port}/{SWISSNUM.decode()}#v=1"
    factory = http_client.StorageClientFactory({"tcp": "tcp"}, None)
    client = await factory.create_storage_client(DecodedURL.from_text(nurl), reactor)
    version = await http_client.StorageClientGeneral(client).get_version()
    assert version[b"application-version"] == b"raic/0"
    await use_immutables(client)
    await use_mutables(client)
    await port.stopListening()
    await client.shutdown()
    await site.stop()
    space.stop()
    await workers.stop()
    await index.close()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text("ascii")
    react(lambda reactor: Deferred.fromCoroutine(use_site(reactor, text)))
