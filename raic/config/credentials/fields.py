"""Which secrets the types of providers need."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from raic.backends.registry import Secret as Field
from raic.backends.registry import provider_type

FieldsOf = Callable[[str, Mapping[str, str]], tuple[Field, ...]]
"""The secrets of a type, given the texts of the provider's section.

Fails with ``ConfigurationError`` when there is no such type.
"""

BUILT_IN: Mapping[str, tuple[Field, ...]] = {"filesystem": ()}
"""Of the types that no entry point names."""


def fields_of(kind: str, settings: Mapping[str, str]) -> tuple[Field, ...]:
    """What the type says of itself.

    :param kind: what the provider's section says after ``type =``.
    :param settings: the section; no type there is yet asks for other secrets because of it.
    :raises ConfigurationError: there is no such type.
    """
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    return provider_type(kind).secrets
