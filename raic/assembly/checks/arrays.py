"""An array: what it survives, and whether enough of its members can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from raic.assembly.checks.findings import Finding, Level, error, good, warning
from raic.assembly.checks.view import ConfiguredNode
from raic.backends.array.losing import PROVIDER, Home, Loss, losses
from raic.config.identity import Identity
from raic.config.loading import CONFIG_NAME, config_directory
from raic.config.model import LABELS, ArraySettings
from raic.values import Placed


@frozen
class ArrayView:
    """The array of a node.

    :ivar found: what was found of each member, by name; empty when they were not looked at.
    """

    node: ConfiguredNode
    settings: ArraySettings
    identity: Identity | None
    found: Mapping[str, Sequence[Finding]]

    def key(self, name: str) -> str:
        """A key of the array's section, as findings show it."""
        return f"[array:{self.settings.name}] {name}"

    @property
    def correct(self) -> str:
        """What to do about a key."""
        return f"correct {config_directory(self.node.directory) / CONFIG_NAME}"

    @property
    def placement(self) -> tuple[Placed, ...]:
        """Where the fragments are; empty when that is not known, or nothing was placed yet."""
        return self.node.index.placement or ()

    def homes(self) -> list[Home]:
        """Where the fragments of objects are, or go when the array is new."""
        labels = {member.name: member.labels for member in self.settings.members}
        placed = [row.provider for row in self.placement]
        return [Home(name, labels.get(name, {})) for name in placed or labels]


async def check_array(view: ArrayView) -> list[Finding]:
    """Everything about the array that is not about a single member."""
    return [
        *check_key(view),
        *check_members(view),
        *check_placement(view),
        *check_promise(view),
        *check_labels(view),
        *check_losses(view),
    ]


def check_key(view: ArrayView) -> list[Finding]:
    """Whether there is a key for the fragments."""
    if view.identity is None or view.identity.array_key is not None:
        return []
    text = "private/array.key is missing, without which no fragment can be made or checked"
    remedy = "put it back from a backup of private/; a new node has one from the start"
    return [error("array.key", text, remedy)]


def check_members(view: ArrayView) -> list[Finding]:
    """Whether as many members can be used as reads and writes need."""
    if not view.found:
        return []
    array, subject = view.settings, "members"
    failed = [name for name, found in view.found.items() if _errors(found)]
    full = [name for name, found in view.found.items() if _errors(found) == {"space"}]
    readable, writable = array.total - len(failed) + len(full), array.total - len(failed)
    if not failed:
        return [good(subject, f"all {writable} can be used")]
    text = f"{writable} of {array.total} can be used, not {', '.join(failed)}"
    remedy = f"put right what is in error with {', '.join(failed)}"
    if readable < array.needed:
        return [error(subject, f"{text}: reads need {array.needed}", remedy)]
    if writable < array.happy:
        return [error(subject, f"{text}: reads go on, writes need {array.happy}", remedy)]
    told = "reads and writes go on, and what is missing there is brought later"
    return [warning(subject, f"{text}: {told}", remedy)]


def _errors(found: Sequence[Finding]) -> set[str]:
    """What is in error with a member itself, not with the node's right to what is there."""
    subjects = {finding.subject for finding in found if finding.level is Level.ERROR}
    return subjects - {"prefix", "objects"}


def check_placement(view: ArrayView) -> list[Finding]:
    """Whether the fragments are with the providers that are configured."""
    placed, subject = view.placement, "placement"
    if not placed:
        return []
    members = {member.name for member in view.settings.members}
    having = {row.provider for row in placed} | {row.former for row in placed if row.former}
    unknown, empty = sorted(having - members), sorted(members - having)
    findings = []
    if unknown:
        text = f"there are fragments on {', '.join(unknown)}, not among the array's providers"
        remedy = f"name {', '.join(unknown)} in {CONFIG_NAME} again, and drain or replace it"
        findings.append(_at(view, "providers", error(subject, text, f"{remedy} with raic array")))
    for name in empty:
        text, level = f"no fragments go to {name}, though it is configured", warning
        if len(placed) < view.settings.happy:
            text = f"{text}, and writes need {view.settings.happy} providers: there can be none"
            level = error
        findings.append(level(subject, text, f"raic array add {name} {view.node.directory}"))
    if moving := sorted({row.former for row in placed if row.former is not None}):
        findings.append(good(subject, f"fragments are moving away from {', '.join(moving)}"))
    return findings or [good(subject, f"{len(placed)} fragments, one with each provider")]


def check_promise(view: ArrayView) -> list[Finding]:
    """What is promised, in words."""
    array = view.settings
    needed, happy, total = array.needed, array.happy, array.total
    text = (
        f"what is acknowledged survives the loss of {_any(happy - needed)} at once, and of"
        f" {_any(total - needed)} once repaired; reads go on while {needed} of {total} are well,"
        f" writes while {happy} are"
    )
    findings = [good("promise", text)]
    if needed == total:
        lost = "there is no redundancy: the loss of any provider loses everything"
        remedy = f"lower needed, or add providers: {view.correct}"
        findings.append(_at(view, "needed", warning("needed", lost, remedy)))
    elif happy == needed:
        lost = "what was only just acknowledged survives no loss until it is repaired"
        remedy = f"write happy = {needed + 1} without allow_bare_ack: {view.correct}"
        findings.append(_at(view, "allow_bare_ack", warning("allow_bare_ack", lost, remedy)))
    return findings


def _any(count: int) -> str:
    if count == 0:
        return "no provider"
    return f"any {count} providers" if count > 1 else "any 1 provider"


def check_labels(view: ArrayView) -> list[Finding]:
    """Whether it is known what the members have in common."""
    bare = [member.name for member in view.settings.members if not member.labels]
    if not bare:
        return []
    words = ", ".join(LABELS[:-1]) + f" or {LABELS[-1]}"
    text = f"{', '.join(bare)}: no {words} is given, so nothing is known of what may be lost"
    return [good("labels", f"{text} together")]


def check_losses(view: ArrayView) -> list[Finding]:
    """What the loss of each member, and of each domain, would do."""
    homes = view.homes()
    found = losses(homes, view.settings.needed, view.settings.happy)
    return [_judged(view, loss) for loss in found]


def _judged(view: ArrayView, loss: Loss) -> Finding:
    subject = (
        f"loss of {loss.name}" if loss.label == PROVIDER else f"loss of {loss.label} {loss.name}"
    )
    writes = "go on" if loss.writes_go_on else "stop"
    gone = f"{loss.fragments} fragment{'s' if loss.fragments > 1 else ''} of each object lost"
    text = f"reads go on, writes {writes}, {gone}, {loss.more} more may be lost"
    if loss.label == PROVIDER:
        return good(subject, text if loss.reads_go_on else _all_lost(loss))
    remedy = f"use providers that do not share one: {view.correct}"
    if not loss.reads_go_on:
        accepted = ", which allow_shared_domain = true accepts"
        text = _all_lost(loss) + (accepted if view.settings.allow_shared_domain else "")
        return _at(view, "allow_shared_domain", warning(subject, text, remedy))
    if not loss.keeps_newest and view.settings.happy > view.settings.needed:
        text += "; what was only just acknowledged may be lost until it is repaired"
        least = view.settings.needed + loss.fragments
        raised = f"write happy = {least}, or " if least <= view.settings.total else ""
        return _at(view, "happy", warning(subject, text, raised + remedy))
    return good(subject, text)


def _all_lost(loss: Loss) -> str:
    left = f"{loss.left} of {loss.total} fragments are left"
    return f"reads and writes stop: {left}, and {loss.needed} are needed"


def _at(view: ArrayView, name: str, finding: Finding) -> Finding:
    return evolve(finding, key=view.key(name))
