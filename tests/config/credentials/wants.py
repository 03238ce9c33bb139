"""What the providers of tests want, and known secrets."""

from __future__ import annotations

from raic.config.credentials import Secret, Wanted, fields_of

KEY_ID = "AKIAWELLKNOWN"
KEY = "a well-known secret/with=+signs"

SECRETS = {"access_key_id": Secret(KEY_ID), "secret_access_key": Secret(KEY)}


def s3(name: str = "aws", *, ambient: bool = False, command: tuple[str, ...] = ()) -> Wanted:
    return Wanted(name, "s3", fields_of("s3", {}), ambient, command)
