"""Cutting an object, as it comes, into what its fragments are made of."""

from __future__ import annotations

from collections.abc import Collection

from raic.backends.array.code import Block, Code
from raic.backends.array.fragment import FragmentTags
from raic.fragmentkeys import FragmentKey

Pieces = dict[int, bytes]
"""What comes next in each fragment, by its number."""


class FragmentEncoder:
    """Turns the bytes of one object into those of its fragments; keeps less than a stripe.

    :param keys: of the fragments, by number.
    """

    def __init__(self, code: Code, length: int, array_key: bytes, keys: dict[int, FragmentKey]):
        self._code = code
        self._length = length
        self._tags = {number: FragmentTags(array_key, key) for number, key in keys.items()}
        self._carry = bytearray()
        self._taken = 0
        self._stripe = 0

    def add(self, data: bytes, numbers: Collection[int]) -> Pieces:
        """What the object's next bytes add to some of the fragments.

        :param data: no more than are left of the object.
        :param numbers: the same ones as in earlier calls, or fewer.
        """
        parts: dict[int, list[Block]] = {number: [] for number in numbers}
        if self._taken == 0 and self._stripe == 0 and not self._carry:
            self._begin(parts, data)
        view = memoryview(data)
        self._taken += len(data)
        if self._carry:
            missing = self._code.stripe_size - len(self._carry)
            self._carry += view[:missing]
            view = view[missing:]
            self._flush(parts)
        size = self._code.stripe_size
        while len(view) >= size:
            self._encode(view[:size], parts)
            view = view[size:]
        if len(view):
            self._carry += view
            self._flush(parts)
        return {number: b"".join(some) for number, some in parts.items()}

    def _begin(self, parts: dict[int, list[Block]], data: bytes) -> None:
        """Add the headers, as soon as there is something to go with them."""
        if data or not self._length:
            for number, some in parts.items():
                some.append(self._tags[number].header())
        if not self._length:
            self._encode(b"", parts)

    def _flush(self, parts: dict[int, list[Block]]) -> None:
        """Encode the stripe that was kept, if it is complete."""
        if len(self._carry) == self._code.stripe_size or self._taken == self._length:
            carry, self._carry = self._carry, bytearray()
            self._encode(carry, parts)

    def _encode(self, stripe: Block, parts: dict[int, list[Block]]) -> None:
        numbers = list(parts)
        for number, block in zip(numbers, self._code.encode(stripe, numbers), strict=True):
            parts[number] += (block, self._tags[number].tag(self._stripe, block))
        self._stripe += 1
