"""Tahoe's own classes, in a process of their own: writes and reads share files as it is told.

    python tahoes_own.py FOLDER < JSON > JSON

Each item has a ``name``, ``kind``, ``version``, ``data``, ``leases`` and, if mutable, ``enabler``
and ``nodeid``; bytes are hexadecimal.  Items with ``data`` are written, and all are read.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from allmydata.storage import immutable_schema, mutable_schema
from allmydata.storage.immutable import ShareFile
from allmydata.storage.lease import LeaseInfo
from allmydata.storage.mutable import MutableShareFile
from allmydata.storage.shares import get_share_file

ROOM = 2**62


def write(path: str, item: dict[str, Any]) -> None:
    data = bytes.fromhex(item["data"])
    leases = [
        LeaseInfo(1, bytes.fromhex(renew), bytes.fromhex(cancel), expires, b"n" * 20)
        for renew, cancel, expires in item["leases"]
    ]
    if item["kind"] == "immutable":
        schema = immutable_schema.schema_from_version(item["version"])
        share = ShareFile(path, max_size=len(data), create=True, schema=schema)
        share.write_share_data(0, data)
        for lease in leases:
            share.add_lease(lease)
        return
    by_version = {schema.version: schema for schema in mutable_schema.ALL_SCHEMAS}
    slot = MutableShareFile(path, schema=by_version[item["version"]])
    slot.create(bytes.fromhex(item["nodeid"]), bytes.fromhex(item["enabler"]))
    # longer first, as a slot that has shrunk keeps its room
    slot.writev([(0, data + b"x" * item["shrunk"])], len(data))
    for lease in leases:
        slot.add_lease(ROOM, lease)


def read(path: str) -> dict[str, Any]:
    share = get_share_file(path)
    length = share.get_length()
    mutable = isinstance(share, MutableShareFile)
    found: dict[str, Any] = {"kind": share.sharetype, "length": length}
    if mutable:
        found["data"] = share.readv([(0, length)])[0].hex()
        with open(path, "rb") as file:
            enabler, nodeid = share._read_write_enabler_and_nodeid(file)
        found["enabler"], found["nodeid"] = enabler.hex(), nodeid.hex()
    else:
        found["data"] = share.read_share_data(0, length).hex()
    found["expires"] = [lease.get_expiration_time() for lease in share.get_leases()]
    secrets = [bytes([number]) * 32 for number in range(8)]
    found["renewable"] = [
        [number for number, secret in enumerate(secrets) if lease.is_renew_secret(secret)]
        for lease in share.get_leases()
    ]
    return found


if __name__ == "__main__":
    answers = []
    for item in json.load(sys.stdin):
        path = os.path.join(sys.argv[1], item["name"])
        if "data" in item:
            write(path, item)
        answers.append(read(path))
    json.dump(answers, sys.stdout)
