"""What commands say of what is stored under a storage index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from attrs import frozen

from raic.cli.sizes import in_words
from raic.cli.telling import moment
from raic.shares.checking import object_length
from raic.shares.index import lookups
from raic.shares.index.rows import Execute
from raic.shares.index.verified import get_verified
from raic.shares.keys import encode_index
from raic.values import Lease, SlotVersion, StoredShare


@frozen
class Described:
    """All that the index knows of a storage index.

    :ivar verified: when all fragments of an object were last found to be right, by its key, in
        seconds; of what lies in an array, and was looked at.
    """

    storage_index: bytes
    bucket: Mapping[int, StoredShare]
    slot: SlotVersion | None
    leases: Sequence[Lease]
    verified: Mapping[str, int]


def describe(execute: Execute, storage_index: bytes) -> Described:
    """Ask the index."""
    bucket = lookups.bucket(execute, storage_index)
    slot = lookups.slot(execute, storage_index)
    keys = {share.key for share in bucket.values()} | (slot.keys() if slot is not None else set())
    return Described(
        storage_index,
        bucket,
        slot,
        lookups.leases(execute, storage_index),
        get_verified(execute, sorted(keys)),
    )


def listed_values(found: Described) -> dict[str, Any]:
    """One line of a list."""
    slot = found.slot
    return {
        "storage_index": encode_index(found.storage_index),
        "immutable": sorted(found.bucket),
        "mutable": [] if slot is None else sorted(slot.shares),
        "bytes": sum(share.length for share in found.bucket.values())
        + (0 if slot is None else sum(share.length for share in slot.shares.values())),
        "leases": len(found.leases),
        "expires": found.leases[0].expires if found.leases else None,
    }


def shown_values(found: Described) -> dict[str, Any]:
    """All of it."""
    return {
        "storage_index": encode_index(found.storage_index),
        "immutable": [
            {"share": each.shnum, "bytes": each.length, "objects": _objects([each.key])}
            for each in found.bucket.values()
        ],
        "mutable": [] if found.slot is None else _slot_values(found.slot),
        "version": None if found.slot is None else str_version(found.slot),
        "objects": {} if found.slot is None else _objects(sorted(found.slot.keys())),
        "verified": dict(found.verified),
        "leases": [{"expires": lease.expires} for lease in found.leases],
    }


def str_version(slot: SlotVersion) -> str:
    """A version as keys have it."""
    return f"{slot.version.epoch}.{slot.version.counter}"


def _slot_values(slot: SlotVersion) -> list[dict[str, Any]]:
    return [{"share": each.shnum, "bytes": each.length} for each in slot.shares.values()]


def _objects(keys: Sequence[str]) -> dict[str, int]:
    return {key: object_length(key) for key in keys}


def _print_objects(objects: Mapping[str, int], verified: Mapping[str, int]) -> None:
    for key, size in objects.items():
        when = f", verified {moment(verified[key])}" if key in verified else ""
        click.echo(f"  {key}  {in_words(size)}{when}")


def print_listed(values: Sequence[Mapping[str, Any]], following: str | None) -> None:
    """A page of a list.

    :param following: after what the next page begins; None when there is none.
    """
    for each in values:
        numbers = ", ".join(str(number) for number in each["immutable"] or each["mutable"])
        kind = "immutable" if each["immutable"] else "mutable"
        until = "never leased" if each["expires"] is None else f"until {moment(each['expires'])}"
        click.echo(
            f"{each['storage_index']}  {kind} {numbers}  {in_words(each['bytes'])},"
            f" {each['leases']} leases, {until}"
        )
    if following is not None:
        click.echo(f"there may be more: --after {following}")
    elif not values:
        click.echo("there are none")


def print_shown(values: Mapping[str, Any]) -> None:
    """All that is known of a storage index."""
    if not values["immutable"] and not values["mutable"]:
        click.echo("nothing is stored under that storage index")
        return
    for share in values["immutable"]:
        click.echo(f"immutable share {share['share']}, {in_words(share['bytes'])}")
        _print_objects(share["objects"], values["verified"])
    if values["mutable"]:
        click.echo(f"slot, version {values['version']}")
        for share in values["mutable"]:
            click.echo(f"  mutable share {share['share']}, {in_words(share['bytes'])}")
        _print_objects(values["objects"], values["verified"])
    for lease in values["leases"]:
        click.echo(f"lease until {moment(lease['expires'])}")
