"""Objects, as providers speak of them."""

from __future__ import annotations

from attrs import frozen


@frozen
class Stored:
    """An object that is durable and visible.

    :ivar missing: the fragments that are not durable yet; always empty for a leaf.
    """

    key: str
    size: int
    missing: tuple[str, ...] = ()


@frozen
class ListedObject:
    """One line of a listing.

    :ivar partial: whether so little of the object is there that it cannot be read and cannot have
        been acknowledged, as a broken-off write can leave it in an array.
    """

    key: str
    size: int
    partial: bool = False


@frozen
class ObjectPage:
    """A page of a listing.

    :ivar next_token: what to pass to get the next page; None on the last one.
    """

    objects: tuple[ListedObject, ...]
    next_token: str | None
