"""How fast the service is, and whether it can do several things at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import ceil

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from raic.backends.certify.bench import Bench, Receiver
from raic.backends.certify.content import Content, Digest
from raic.backends.certify.outcomes import Finding, expect, passed
from raic.sizes import in_words

SMALL_BYTES = 1024
AT_ONCE_BYTES = 64 * 1024


async def latency(bench: Bench) -> Finding:
    """How long small objects take: to put, to get and to delete."""
    taken: dict[str, list[float]] = {"put": [], "get": [], "delete": []}
    content = Content(SMALL_BYTES)
    data = content.part(0, SMALL_BYTES)
    for number in range(bench.options.samples):
        key = bench.provider.key(f"latency/{number}")
        seconds, _ = await bench.timed(bench.provider.put_object(key, data))
        taken["put"].append(seconds)
        seconds, found = await bench.timed(bench.provider.get_object(key, 0, SMALL_BYTES))
        taken["get"].append(seconds)
        expect(found == data, "a small object came back altered")
        seconds, failed = await bench.timed(bench.provider.delete_objects([key]))
        taken["delete"].append(seconds)
        expect(not failed, "a small object could not be deleted")
    figures, words = {}, []
    for operation, each in taken.items():
        half, nearly_all = percentile(each, 50), percentile(each, 99)
        figures[f"{operation}_p50_seconds"] = round(half, 6)
        figures[f"{operation}_p99_seconds"] = round(nearly_all, 6)
        words.append(f"{operation} {_milliseconds(half)} / {_milliseconds(nearly_all)}")
    return passed(f"{', '.join(words)} ms (p50 / p99)", **figures)


async def throughput(bench: Bench) -> Finding:
    """How fast an object goes up and comes down."""
    content = Content(bench.options.transfer_bytes)
    key = bench.provider.key("throughput")
    up, _ = await bench.timed(_sent(bench, key, content))
    digest = Digest()
    streaming = bench.provider.stream_object(key, 0, content.size, Receiver(digest.add))
    down, _ = await bench.timed(streaming)
    expect(digest.value() == content.digest(), "what was sent came back altered")
    rates = [content.size / max(seconds, 1e-6) for seconds in (up, down)]
    size = in_words(content.size)
    detail = f"up {in_words(int(rates[0]))}/s, down {in_words(int(rates[1]))}/s with {size}"
    return passed(detail, upload_bytes_per_second=rates[0], download_bytes_per_second=rates[1])


async def at_once(bench: Bench) -> Finding:
    """Several puts at once work, and several gets."""
    count = bench.options.connections
    content = Content(AT_ONCE_BYTES)
    data = content.part(0, AT_ONCE_BYTES)
    numbers = range(count)

    async def put(number: int) -> None:
        await bench.put(f"at-once/{number}", data)

    async def get(number: int) -> None:
        await bench.must_read(bench.provider.key(f"at-once/{number}"), data, "one of many")

    puts, _ = await bench.timed(_all(put, numbers))
    gets, _ = await bench.timed(_all(get, numbers))
    detail = f"{count} puts at once took {_milliseconds(puts)} ms, {count} gets"
    return passed(f"{detail} {_milliseconds(gets)} ms", connections=count)


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g}" if seconds < 0.1 else f"{seconds * 1000:.0f}"


async def _sent(bench: Bench, key: str, content: Content) -> None:
    upload = bench.provider.open_upload(key, content.size)
    try:
        for piece in content.pieces():
            await upload.write(piece)
        await upload.finish()
    except BaseException:
        await upload.abort()
        raise


async def _all(function: Callable[[int], Awaitable[None]], numbers: range) -> None:
    """Call for all numbers at once; raises the first failure when all have ended."""
    failures: list[Failure] = []

    async def one(number: int) -> None:
        await function(number)

    each = [Deferred.fromCoroutine(one(number)).addErrback(failures.append) for number in numbers]
    await gatherResults(each)
    if failures:
        failures[0].raiseException()
