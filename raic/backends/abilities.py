"""The optional interfaces of providers, as layers pass them on."""

from __future__ import annotations

from typing import Any

from zope.interface import alsoProvides

from raic.interfaces import IImmediateReads, IInterruptedUploads, ILocalListing, IStorageProvider

OPTIONAL: tuple[Any, ...] = (IImmediateReads, ILocalListing, IInterruptedUploads)


def abilities(provider: IStorageProvider) -> tuple[Any, ...]:
    """The optional interfaces that a provider has."""
    return tuple(ability for ability in OPTIONAL if ability.providedBy(provider))


def take_abilities(layer: IStorageProvider, inner: IStorageProvider) -> None:
    """Let a layer, whose class has all the methods, provide what the inner provider provides."""
    alsoProvides(layer, *abilities(inner))
