"""What an operator writes of an S3 provider: ``type = s3``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raic.backends.registry import (
    Credentials,
    ProviderType,
    Reactor,
    Secret,
    Setting,
    boolean,
    one_of,
    prefix,
    size,
    text,
    url,
    whole,
)
from raic.backends.s3.provider import S3Provider
from raic.backends.s3.settings import S3Credentials, S3Settings
from raic.errors import ConfigurationError


def _make(
    name: str, settings: Mapping[str, Any], credentials: Credentials, reactor: Reactor
) -> S3Provider:
    def present() -> S3Credentials | None:
        known = credentials()
        return S3Credentials(**known) if known else None

    written = {key: value for key, value in settings.items() if value is not None}
    try:
        checked = S3Settings(**written)
    except ValueError as error:
        raise ConfigurationError([str(error)]) from None
    return S3Provider(name, checked, present, reactor)


S3 = ProviderType(
    make=_make,
    settings=(
        Setting("container", "The container that holds the objects; it must exist.", required=True),
        Setting("prefix", "What goes before every key, such as raic/home.", prefix),
        Setting(
            "region", "The region, such as eu-central-1; us-east-1 where nothing says another."
        ),
        Setting("endpoint_url", "The service's address, where it is not Amazon's own.", url),
        Setting(
            "addressing_style",
            "Where the container's name goes: path, virtual, or auto.",
            one_of("auto", "path", "virtual"),
            "auto",
        ),
        Setting("storage_class", "The class of new objects, such as STANDARD_IA.", text),
        Setting(
            "server_side_encryption",
            "How the service encrypts new objects: AES256, aws:kms or aws:kms:dsse.",
            one_of("AES256", "aws:kms", "aws:kms:dsse"),
        ),
        Setting("sse_kms_key_id", "With aws:kms: which key.", text),
        Setting(
            "conditional",
            "Whether to create objects only where none is; where not written, this is found out.",
            boolean,
        ),
        Setting(
            "ca_bundle",
            "A file of certificate authorities to trust instead of the usual.",
            is_path=True,
        ),
        Setting(
            "part_size",
            "The size of the parts of large objects, which is also that of the largest object that"
            " is sent in one request.  Four of them are held in memory for each upload.",
            size,
            "8MiB",
        ),
        Setting("parts_in_flight", "How many parts of one upload are sent at once.", whole, "3"),
        Setting("connect_timeout", "How many seconds a connection may take.", whole, "5"),
        Setting("read_timeout", "How many seconds the service may be silent.", whole, "20"),
        Setting("threads", "How many requests may be under way at once.", whole, "16"),
    ),
    secrets=(
        Secret("access_key_id", "the access key's id"),
        Secret("secret_access_key", "the secret access key"),
        Secret("session_token", "the session token of temporary keys", optional=True),
    ),
    ambient=True,
)
