"""``[array:NAME]`` sections: providers, and how many of them what needs."""

from __future__ import annotations

from collections.abc import Mapping

from raic.backends.array.losing import Home, crowded
from raic.backends.layers.readcache import CacheSettings
from raic.config.checking import Checked
from raic.config.model import ArraySettings, ProviderSettings

MOST_PROVIDERS = 256
"""What the code allows: one fragment number is one byte."""


def array_settings(
    checked: Checked, section: str, providers: Mapping[str, ProviderSettings]
) -> ArraySettings | None:
    """What a section says; None, and noted, when it cannot be used.

    :param providers: all that have a section of their own and are right.
    """
    names = checked.get(section, "providers") or ()
    needed, happy = checked.get(section, "needed"), checked.get(section, "happy")
    known = _check_providers(checked, section, names, providers)
    if not _check_counts(checked, section, len(names), needed, happy) or not known:
        return None
    size = checked.get(section, "cache_size")
    settings = ArraySettings(
        name=section.removeprefix("array:"),
        members=tuple(providers[name] for name in names),
        needed=needed,
        happy=happy,
        block_size=checked.get(section, "block_size"),
        straggler_seconds=checked.get(section, "straggler_seconds"),
        cache=(
            CacheSettings(capacity=size, read_ahead=checked.get(section, "read_ahead"))
            if size
            else None
        ),
        repair_rate=checked.get(section, "repair_rate"),
        allow_shared_domain=checked.get(section, "allow_shared_domain"),
    )
    _check_domains(checked, section, settings)
    return settings


def _check_providers(
    checked: Checked,
    section: str,
    names: tuple[str, ...],
    providers: Mapping[str, ProviderSettings],
) -> bool:
    if not names:
        checked.refuse(
            section, "providers", "it is required: the names of providers, separated by commas"
        )
        return False
    right = True
    for name in names:
        if f"provider:{name}" not in checked.text.sections:
            checked.refuse(section, "providers", f"there is no section [provider:{name}]: add it")
            right = False
    if len(names) > MOST_PROVIDERS:
        checked.refuse(section, "providers", f"write at most {MOST_PROVIDERS} providers")
        right = False
    return right and all(name in providers for name in names)


def _check_counts(
    checked: Checked, section: str, total: int, needed: int | None, happy: int | None
) -> bool:
    for key, value in (("needed", needed), ("happy", happy)):
        if value is None:
            checked.refuse(section, key, "it is required: a whole number above 0")
    if needed is None or happy is None:
        return False
    if happy > total:
        checked.refuse(
            section, "happy", f"there are {total} providers: write at most {total}, or add some"
        )
        return False
    if happy < needed:
        checked.refuse(
            section,
            "happy",
            f"fewer than needed = {needed} fragments cannot be read: write at least {needed + 1}",
        )
        return False
    if happy == needed and needed < total and not checked.get(section, "allow_bare_ack"):
        checked.refuse(
            section,
            "happy",
            "what was just written would be lost with the first provider until it is repaired:"
            f" write at least {needed + 1}, or allow_bare_ack = true to accept that",
        )
        return False
    return True


def _check_domains(checked: Checked, section: str, array: ArraySettings) -> None:
    if array.allow_shared_domain:
        return
    homes = [Home(member.name, member.labels) for member in array.members]
    for domain in crowded(homes, array.needed):
        checked.refuse(
            section,
            "providers",
            f"{domain.label} {domain.name} holds {domain.fragments} of {array.total} fragments, and"
            f" only {array.total - array.needed} may be lost: use providers that do not share"
            " one, or write allow_shared_domain = true to accept that",
        )
