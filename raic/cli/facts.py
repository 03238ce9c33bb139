"""What ``raic run`` tells of a node: one fact to a line."""

from __future__ import annotations

from collections.abc import Sequence

from raic.assembly import NodeFacts, NodeState
from raic.cli.sizes import in_words
from raic.config.identity import Identity
from raic.config.model import Config
from raic.values import Space


def who_it_is(config: Config, identity: Identity) -> list[str]:
    """What is known before it has started."""
    return [
        f"node directory: {config.node_directory}",
        f"server id: {identity.server_id}",
        *(f"note: {notice}" for notice in config.notices),
        *(
            f"note: [provider:{name}]: spare: 'raic array add {name}' makes use of it"
            for name in config.spare
        ),
    ]


def how_it_started(config: Config, identity: Identity, facts: NodeFacts) -> list[str]:
    """What is known once it has."""
    backend, totals = config.backend, facts.totals
    durable = "" if backend.fsync else ", without waiting for the disk"
    dialects = "Foolscap" if config.storage.force_foolscap else "HTTP and Foolscap"
    shares = f"{totals.shares} shares ({in_words(totals.share_bytes)})"
    slots = f"{totals.slots} slots ({in_words(totals.slot_bytes)})"
    lines = [
        f"shares live in: {backend.name}, {backend.describe(identity.server_id)},"
        f" {_room(config, facts.space)}{durable}",
        f"listening on: {', '.join(config.node.ports)} ({dialects})",
        f"clients connect to: {', '.join(facts.hints)}",
        f"entry for a client's private/servers.yaml: {config.private / 'servers.yaml'}",
        f"holding: {shares}, {slots}, {totals.leases} leases",
        "index: in order"
        if facts.clean
        else "index: the last run was cut short; looking for what it left behind",
    ]
    if not facts.complete:
        lines.append(f"waiting for {backend.name}: until it answers the node takes no shares")
    return lines


def how_it_is(states: Sequence[NodeState | None]) -> str:
    """Running nodes in a sentence; those that have not started do not count."""
    running = [state for state in states if state is not None]
    shares = sum(state.totals.shares for state in running)
    slots = sum(state.totals.slots for state in running)
    parts = [f"{shares} shares, {slots} slots"]
    uploads = sum(state.uploads for state in running)
    if uploads:
        parts.append(f"{uploads} shares are being uploaded")
    refusing = sum(not state.may_write for state in running)
    if refusing:
        parts.append("writes are refused: see the log")
    return "; ".join(parts)


def _room(config: Config, space: Space | None) -> str:
    if space is None:
        return "of unknown size"
    room = in_words(space.available)
    return f"{room} free" if config.local else f"room for {room}"
