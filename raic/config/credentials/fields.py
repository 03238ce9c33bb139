"""Which secrets the types of providers need."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from raic.backends.registry import Secret as Field
from raic.backends.registry import provider_type, provider_types

FieldsOf = Callable[[str, Mapping[str, str]], tuple[Field, ...]]
"""The secrets of a type, given the texts of the provider's section.

Fails with ``ConfigurationError`` when there is no such type.
"""

BUILT_IN: Mapping[str, tuple[Field, ...]] = {
    "filesystem": (),
    "s3": (
        Field("access_key_id", "the access key's id"),
        Field("secret_access_key", "the secret access key"),
        Field("session_token", "the session token of temporary keys", optional=True),
    ),
}
"""Of the types that no entry point names."""


def fields_of(kind: str, settings: Mapping[str, str]) -> tuple[Field, ...]:
    """What the type says of itself.

    :param kind: what the provider's section says after ``type =``.
    :param settings: the section; no type there is yet asks for other secrets because of it.
    :raises ConfigurationError: there is no such type.
    """
    if kind in BUILT_IN and kind not in provider_types():
        return BUILT_IN[kind]
    return provider_type(kind).secrets
