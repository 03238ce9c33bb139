"""What the history of an array says of its operations."""

from __future__ import annotations

from raic.backends.array.maintenance import (
    ADD,
    DRAIN,
    REPAIR,
    REPLACE,
    SCRUB,
    Operation,
    Outcome,
)


def begun(operation: Operation) -> str:
    """An operation has begun."""
    how = "; every byte is read" if operation.deep else ""
    return {
        SCRUB: f"began{how}",
        REPAIR: "was asked for",
        REPLACE: "{} is being replaced by {}",
        ADD: "{} is being added",
        DRAIN: "{} is being drained",
    }[operation.kind].format(*operation.names)


def ended(outcome: Outcome) -> str:
    """An operation has ended."""
    names = outcome.operation.names
    sentence = {
        SCRUB: f"ended: {outcome.fragments} fragments of {outcome.objects} objects are well,"
        f" {outcome.missing} missing, {outcome.altered} altered",
        REPAIR: f"{outcome.fragments} fragments were repaired",
        REPLACE: "{} was replaced by {}",
        ADD: "{} was added",
        DRAIN: "{} was drained",
    }[outcome.operation.kind].format(*names)
    if outcome.left:
        sentence += f"; {outcome.left} could not be dealt with"
    if outcome.providers:
        sentence += f"; set 'providers = {', '.join(outcome.providers)}' in raic.cfg"
    return sentence
