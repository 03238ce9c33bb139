"""What an operator writes of a Swift provider: ``type = swift`` and ``type = cloudfiles``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libcloud.common.rackspace import AUTH_URL

from raic.backends.registry import (
    Credentials,
    ProviderType,
    Reactor,
    Secret,
    Setting,
    one_of,
    prefix,
    size,
    text,
    url,
    whole,
)
from raic.backends.swift.provider import SwiftProvider
from raic.backends.swift.settings import VERSIONS, SwiftSettings
from raic.errors import ConfigurationError


def _make(
    name: str, settings: Mapping[str, Any], credentials: Credentials, reactor: Reactor
) -> SwiftProvider:
    written = {key: value for key, value in settings.items() if value is not None}
    try:
        checked = SwiftSettings(**written)
    except ValueError as error:
        raise ConfigurationError([str(error)]) from None
    return SwiftProvider(name, checked, credentials, reactor)


def _make_cloudfiles(
    name: str, settings: Mapping[str, Any], credentials: Credentials, reactor: Reactor
) -> SwiftProvider:
    return _make(name, {**settings, "auth_version": "cloudfiles"}, credentials, reactor)


_COMMON = (
    Setting("container", "The container that holds the objects; it must exist.", required=True),
    Setting("prefix", "What goes before every key, such as raic/home.", prefix),
    Setting(
        "interface",
        "Which address to use: public, or internal from inside the cloud.",
        one_of("public", "internal"),
        "public",
    ),
    Setting("storage_url", "The account's address, where the cloud's catalogue is wrong.", url),
    Setting(
        "ca_bundle",
        "A file of certificate authorities to trust instead of the usual.",
        is_path=True,
    ),
    Setting(
        "part_size",
        "The size of the segments of large objects, which is also that of the largest object that"
        " is sent in one request.  Four of them are held in memory for each upload.",
        size,
        "8MiB",
    ),
    Setting("threads", "How many requests may be under way at once.", whole, "16"),
)

SWIFT = ProviderType(
    make=_make,
    settings=(
        *_COMMON,
        Setting(
            "auth_url",
            "Where to sign in, such as https://auth.example.net/v3.",
            url,
            required=True,
        ),
        Setting(
            "auth_version",
            "How to sign in: v3 with a password, v3_application_credential, v2, or v1.",
            one_of(*(version for version in VERSIONS if version != "cloudfiles")),
            "v3",
        ),
        Setting("region", "Which region's object store, where there are several.", text),
        Setting("project", "The project's name; v2 calls it tenant.", text),
        Setting("project_domain_id", "The id of the project's domain.", text, "default"),
        Setting("user_domain", "The name of the user's domain.", text, "Default"),
    ),
    secrets=(
        Secret("user", "user name, or id of the application credential", hidden=False),
        Secret("key", "password, key, or secret of the application credential"),
    ),
)

CLOUDFILES = ProviderType(
    make=_make_cloudfiles,
    settings=(
        *_COMMON,
        Setting("region", "The region, such as ORD.", str.upper, required=True),
        Setting("auth_url", "Where to sign in.", url, AUTH_URL),
    ),
    secrets=(Secret("user", "user name", hidden=False), Secret("key", "API key")),
)
