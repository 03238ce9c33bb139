"""Checks of storing and reading."""

from __future__ import annotations

from raic.backends.certify.bench import MIB, Bench, Receiver
from raic.backends.certify.content import Content, Digest
from raic.backends.certify.outcomes import CheckFailed, Finding, Result, expect, passed
from raic.backends.keys import MAX_KEY_CHARACTERS
from raic.errors import KeyTaken
from raic.interfaces import IInterruptedUploads, IObjectUpload
from raic.sizes import in_words

_EXACT = {
    "all.bin": bytes(range(256)) * 5,
    "lines.txt": b"unix\nmac\rdos\r\n\n\r \t\x1a\x00no end",
    "page.html": b"\xef\xbb\xbf<!DOCTYPE html><title>\xc3\xa9</title><p>&amp;\r\n",
    "squeezed.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + bytes(64),
    "zeros": bytes(64 * 1024),
    "chunked": b"5\r\nhello\r\n0\r\n\r\n",
}
"""What servers and proxies on the way like to improve upon, under names that invite them."""

_ODD = (
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "a-b_c.d",
    "a..b/...c/-/_/0",
    ".hidden/.file",
    "same",
    "same/below",
    "same/below/that",
    "same.not-below",
    "same-not-below",
    "samewise",
    "2024/01/01t00.00.00z",
)
# No key of a node ends in a dot, which some services drop.


async def create_and_read(bench: Bench) -> Finding:
    """Objects come back, small ones and empty ones too."""
    sizes = (0, 17, MIB + 1)
    for size in sizes:
        content = Content(size)
        data = content.part(0, size)
        await bench.must_read(await bench.put(f"create/{size}", data), data, in_words(size))
        key = bench.provider.key(f"create/upload-{size}")
        await _uploaded(bench.provider.open_upload(key, size), content)
        await _must_stream(bench, key, content)
    return passed(", ".join(in_words(size) for size in sizes) + " came back, put and streamed")


async def large_object(bench: Bench) -> Finding:
    """An object that is larger than one part is stored in parts, and shows only when complete."""
    content = Content(bench.large_size)
    key = bench.provider.key("large")
    upload = bench.provider.open_upload(key, content.size)
    try:
        for piece in content.pieces():
            await upload.write(piece)
        expect(await bench.is_gone(key), "an unfinished object can be read")
        expect(not await bench.keys("large"), "an unfinished object is listed")
        await upload.finish()
    except BaseException:
        await upload.abort()
        raise
    await _must_stream(bench, key, content)
    part = bench.part_size
    if part is None:
        return passed(f"{in_words(content.size)} in one piece: there are no parts")
    found = await bench.provider.get_object(key, part - 1000, 2000)
    expect(found == content.part(part - 1000, 2000), "a range across two parts came back altered")
    detail = f"{in_words(content.size)} in 2 parts of at most {in_words(part)}"
    if how := bench.emulated.get("large objects"):
        return Finding(Result.EMULATED, f"{detail}; {how}")
    return passed(detail)


async def ranges(bench: Bench) -> Finding:
    """Ranges are read exactly, also where the object ends."""
    size = 300_000
    data = Content(size).part(0, size)
    key = await bench.put("ranges", data)
    for what, offset, length in (
        ("at the beginning", 0, 1000),
        ("in the middle", 131_000, 2000),
        ("of one byte", 65_535, 1),
        ("of no bytes", 1000, 0),
        ("up to the end", size - 1000, 1000),
        ("across the end", size - 1000, 2000),
        ("at the end", size, 1000),
        ("beyond the end", size + 5000, 1000),
        ("of everything", 0, size),
    ):
        wanted = data[offset : offset + length]
        found = await bench.provider.get_object(key, offset, length)
        expect(found == wanted, f"a range {what} came back wrong")
        pieces: list[bytes] = []
        count = await bench.provider.stream_object(key, offset, length, Receiver(pieces.append))
        expect(b"".join(pieces) == wanted, f"a streamed range {what} came back wrong")
        expect(count == len(wanted), f"a streamed range {what} was counted wrong")
    if how := bench.emulated.get("ranges"):
        return Finding(Result.EMULATED, how)
    return passed("exact, and short at the end; only what is asked for is transferred")


async def conditional_create(bench: Bench) -> Finding:
    """Storing the same again succeeds; other bytes under the same key are refused, if at all."""
    key = await bench.put("conditional", b"the first")
    await bench.put("conditional", b"the first")
    try:
        await bench.provider.put_object(key, b"another one")
    except KeyTaken:
        await bench.must_read(key, b"the first", "after another was refused")
        return passed("a second object under the same key is refused")
    return Finding(
        Result.NOT_OFFERED,
        "an object can be overwritten; a node never does: each key is used once",
    )


async def aborted_upload(bench: Bench) -> Finding:
    """Of an upload that was given up nothing remains."""
    content = Content(bench.large_size)
    key = bench.provider.key("aborted")
    upload = bench.provider.open_upload(key, content.size)
    try:
        for piece in content.pieces():
            await upload.write(piece)
    finally:
        await upload.abort()
    expect(await bench.is_gone(key), "an object whose upload was aborted can be read")
    expect(not await bench.keys("aborted"), "an object whose upload was aborted is listed")
    if not IInterruptedUploads.providedBy(bench.provider):
        return passed("nothing is left")
    clearing = IInterruptedUploads(bench.provider).clear_interrupted_uploads(key)
    left = await clearing
    expect(
        not left,
        f"parts of {left} upload{'s' if left > 1 else ''} were left; they are cleared now",
        "see that the credentials may abort uploads: parts that are left cost money",
    )
    return passed("nothing is left, and no parts of it")


async def odd_keys(bench: Bench) -> Finding:
    """Every key that may be is kept apart from all others, and listed as it is."""
    folder = bench.provider.key("odd/")
    room = MAX_KEY_CHARACTERS - len(folder)
    longest = ("long-name/" * 60)[: room - 1] + "x"
    names = [*_ODD, longest]
    for name in names:
        await bench.put(f"odd/{name}", name.encode("ascii"))
    for name in names:
        await bench.must_read(folder + name, name.encode("ascii"), f"the key {name}")
    wanted = sorted(folder + name for name in names)

    async def listed() -> bool:
        return await bench.keys("odd/") == wanted

    await bench.settled(listed, "the keys are still not listed as they are")
    failed = await bench.provider.delete_objects([folder + "same"])
    expect(not failed, "one of them could not be deleted")
    await bench.must_read(folder + "same/below", b"same/below", "after another key was deleted")
    return passed(f"{len(names)} keys of all characters, up to {MAX_KEY_CHARACTERS} of them")


async def exact_bytes(bench: Bench) -> Finding:
    """Nothing on the way transforms what is sent."""
    for name, data in _EXACT.items():
        key = await bench.put(f"exact/{name}", data)
        await bench.must_read(key, data, name)
    return passed("no bytes are transformed: text, markup, compressed, zeros")


async def _uploaded(upload: IObjectUpload, content: Content) -> None:
    try:
        for piece in content.pieces():
            await upload.write(piece)
        stored = await upload.finish()
    except BaseException:
        await upload.abort()
        raise
    expect(stored.size == content.size, f"{stored.size} bytes were stored, not {content.size}")


async def _must_stream(bench: Bench, key: str, content: Content) -> None:
    digest = Digest()
    asked = content.size + 1
    count = await bench.provider.stream_object(key, 0, asked, Receiver(digest.add))
    if digest.size != content.size or count != content.size:
        raise CheckFailed(f"{digest.size} bytes came back instead of {content.size}")
    expect(digest.value() == content.digest(), f"{in_words(content.size)} came back altered")
