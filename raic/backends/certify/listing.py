"""Checks of listing and deleting."""

from __future__ import annotations

from raic.backends.certify.bench import Bench
from raic.backends.certify.outcomes import Finding, Result, expect, passed
from raic.interfaces import IShortPages
from raic.values import ListedObject

_NAMES = ("b", "a/2", "c", "a/10", "a-1")
"""In no order."""

_PAGE = 2


async def listing_after_write(bench: Bench) -> Finding:
    """What was written is soon listed, in order, with the right sizes."""
    wanted = await _written(bench, "listing/")

    async def listed() -> bool:
        page = await bench.provider.list_objects(bench.provider.key("listing/"), None)
        keys = [found.key for found in page.objects]
        expect(keys == sorted(set(keys)), "keys are not listed in ascending order, each once")
        return list(page.objects) == wanted

    seconds = await bench.settled(listed, "not all objects are listed with their sizes")
    when = f"after {seconds:.1f} s" if seconds >= 0.05 else "at once"
    detail = f"{len(wanted)} objects were listed {when}, in order"
    return passed(detail, listed_after_seconds=round(seconds, 3))


async def pages(bench: Bench) -> Finding:
    """A listing of several pages has each object on one of them."""
    if not IShortPages.providedBy(bench.leaf):
        return Finding(
            Result.NOT_OFFERED,
            "this type always lists as much as it can; nothing was written to fill a page",
        )
    leaf = IShortPages(bench.leaf)
    wanted = await _written(bench, "pages/")
    prefix = bench.provider.key("pages/")
    counts: list[int] = []

    async def listed() -> bool:
        found: list[ListedObject] = []
        counts.clear()
        token = None
        while True:
            page = await leaf.list_some(prefix, token, _PAGE)
            expect(len(page.objects) <= _PAGE, "a page is longer than asked for")
            counts.append(len(page.objects))
            found += page.objects
            token = page.next_token
            if token is None:
                keys = [each.key for each in found]
                expect(keys == sorted(set(keys)), "pages overlap, or are not in order")
                return found == wanted

    await bench.settled(listed, "the pages do not have all objects")
    detail = f"{len(wanted)} objects on {sum(map(bool, counts))} pages of {_PAGE}"
    if how := bench.emulated.get("pages"):
        return Finding(Result.EMULATED, f"{detail}; {how}")
    return passed(f"{detail}, each once")


async def deleting(bench: Bench) -> Finding:
    """What was deleted can be neither read nor listed; deleting what is not there is no error."""
    keys = [await bench.put(f"delete/{number}", b"to go") for number in range(3)]
    one, *others = keys
    await bench.must_read(one, b"to go", "before it was deleted")
    began = bench.clock.seconds()
    for batch in ([one], others, [one, bench.provider.key("delete/never-there")]):
        failed = await bench.provider.delete_objects(batch)
        expect(not failed, f"{len(failed)} of {len(batch)} objects could not be deleted")

    async def unreadable() -> bool:
        return all([await bench.is_gone(key) for key in keys])

    async def unlisted() -> bool:
        return not await bench.keys("delete/")

    await bench.settled(unreadable, "what was deleted can still be read")
    await bench.settled(unlisted, "what was deleted is still listed")
    seconds = bench.clock.seconds() - began
    detail = f"neither read nor listed after {seconds:.1f} s; a missing one counts as deleted"
    return passed(detail, deleted_after_seconds=round(seconds, 3))


async def _written(bench: Bench, folder: str) -> list[ListedObject]:
    """Write a few objects; returns how they are to be listed."""
    written = []
    for size, name in enumerate(_NAMES):
        key = await bench.put(folder + name, b"x" * size)
        written.append(ListedObject(key, size))
    return sorted(written, key=lambda each: each.key)
