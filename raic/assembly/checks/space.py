"""How much more can be stored."""

from __future__ import annotations

from raic.assembly.checks.findings import Finding, error, good, warning
from raic.assembly.checks.view import ProviderView
from raic.assembly.space import node_space
from raic.errors import NoSpace
from raic.sizes import in_words

SCANT_BYTES = 1000 * 1000 * 1000
"""Less than this is soon gone."""


def judge_space(free: int, reserved: int) -> Finding:
    """What is left of a disk of which ``reserved`` bytes are for others."""
    room = max(0, free - reserved)
    text = f"room for {in_words(room)}"
    if reserved:
        text += f": {in_words(free)} free, of which reserved_space leaves {in_words(reserved)}"
    return judged(text, room, "free some space, lower reserved_space, or set readonly = true")


def check_quota(view: ProviderView) -> list[Finding]:
    """What is left of a provider's quota; nothing where it has none."""
    quota = view.settings.quota
    return [] if quota is None else [judge_quota(quota, _stored_at(view))]


def _stored_at(view: ProviderView) -> int | None:
    """How many bytes a provider holds; None when it is not known."""
    index = view.node.index
    if not index.exists:
        return 0
    if index.usage is None:
        return None
    space = node_space(view.node.config, index.usage, index.placement or ())
    return sum(each.used for each in space.providers if each.name == view.settings.name)


def judge_quota(quota: int, stored: int | None) -> Finding:
    """What is left of a quota.

    :param stored: what the index says is stored; None when that is not known.
    """
    if stored is None:
        return good("space", f"quota {in_words(quota)}; what is stored cannot be seen just now")
    room = max(0, quota - stored)
    text = f"room for {in_words(room)}: {in_words(stored)} stored of a quota of {in_words(quota)}"
    return judged(text, room, "raise quota, or set readonly = true")


def judged(text: str, room: int, remedy: str = NoSpace.remedy) -> Finding:
    """A finding on how much room there is."""
    if room <= 0:
        return error("space", f"none is left for new shares: {text}", remedy)
    if room < SCANT_BYTES:
        return warning("space", f"little is left: {text}", remedy)
    return good("space", text)
