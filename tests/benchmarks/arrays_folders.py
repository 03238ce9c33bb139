"""An array of folders, and a single folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine
from os import cpu_count
from statistics import median
from typing import Any

from raic.backends.array.members import Member
from raic.backends.filesystem import FilesystemProvider
from raic.backends.tagging import TaggingProvider
from raic.interfaces import IStorageProvider
from raic.workers import ThreadWorkers
from tests.benchmarks.arrays_moves import ARRAY, Measured, Options, Share, make_array, timed

PLAIN = "folder"
TAGGED = "folder, tags"


async def measure_folders(options: Options, root: str, reactor: Any) -> Measured:
    """Move shares into folders and out of them."""
    workers = ThreadWorkers(reactor, 8, "folders")

    def folder(name: str) -> FilesystemProvider:
        return FilesystemProvider(name, f"{root}/{name}", workers, reactor, fsync=options.fsync)

    members = [Member(name, folder(name)) for name in map("member-{}".format, range(options.total))]
    providers: dict[str, IStorageProvider] = {
        PLAIN: folder("plain"),
        TAGGED: TaggingProvider(folder("tagged"), bytes(32)),
        ARRAY: make_array(options, members, reactor),
    }
    measured: Measured = defaultdict(lambda: defaultdict(list))
    for provider in providers.values():
        await provider.start()
    try:
        for turn in range(options.rounds):
            first = turn % len(providers)
            names = [*providers][first:] + [*providers][:first]
            await _folders_turn(options, {name: providers[name] for name in names}, measured)
    finally:
        for provider in providers.values():
            await provider.stop()
        await workers.stop()
    return measured


async def _folders_turn(
    options: Options, providers: dict[str, IStorageProvider], measured: Measured
) -> None:
    share = Share(options.size)
    actions: dict[str, Callable[[IStorageProvider], Coroutine[Any, Any, None]]] = {
        "up": share.upload,
        "down": share.download,
        "read": share.read,
    }
    for what, action in actions.items():
        for name, provider in providers.items():
            sample = await timed(options.size, action(provider))
            measured[what][name].append(sample)
    for provider in providers.values():
        await provider.delete_objects([share.key])


def folders_table(options: Options, measured: Measured) -> list[str]:
    """The lines of the report."""
    title = f"{options.needed}-of-{options.total} over folders, {cpu_count()} processors"
    lines = [title, f"{'':8}{'':16}{'MB/s':>8}{'ratio':>8}{'CPU s/GB':>10}{'ratio':>8}"]
    for what, by_name in measured.items():
        plain = by_name[PLAIN]
        for name in (PLAIN, TAGGED, ARRAY):
            samples = by_name[name]
            pairs = [*zip(samples, plain, strict=True)]
            figures = (
                f"{median(each.rate for each in samples) / 1e6:8.0f}",
                f"{median(ours.rate / theirs.rate for ours, theirs in pairs):8.2f}",
                f"{median(each.cpu / each.size for each in samples) * 1e9:10.2f}",
                f"{median(ours.cpu / theirs.cpu for ours, theirs in pairs):8.2f}",
            )
            lines.append(f"{what:8}{name:16}{''.join(figures)}")
    return lines
