"""Cutting an object, as it comes, into what its fragments are made of."""

from __future__ import annotations

from threading import Lock

from attrs import frozen

from raic.backends.array.code import HEADER_BYTES, Block, Code
from raic.backends.array.fragment import FragmentTags
from raic.backends.tags import TAG_BYTES
from raic.fragmentkeys import FragmentKey

_TAGGING = Lock()
"""Held by the one thread that makes tags.

For each tag it lets go of the interpreter's lock, for a few microseconds: in so little time no
other thread does anything but wake up and be waited for.  Those that would make tags as well do
better to wait here, and those that write need nothing meanwhile.
"""


@frozen(eq=False)
class Cut:
    """Some stripes of an object; their bytes do not change any more.

    :ivar first: the number of the first one.
    :ivar size: how many bytes they add to each fragment.
    """

    first: int
    stripes: list[Block]
    size: int


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

    def add(self, data: bytes) -> Cut:
        """The stripes that the object's next bytes complete; they may be parts of ``data``.

        :param data: no more than are left of the object.
        """
        stripes: list[Block] = []
        view = memoryview(data)
        size = self._code.stripe_size
        self._taken += len(data)
        if self._carry:
            missing = size - len(self._carry)
            self._carry += view[:missing]
            view = view[missing:]
            self._flush(stripes)
        while len(view) >= size:
            stripes.append(view[:size])
            view = view[size:]
        if len(view) or self._length == self._stripe == 0:  # an empty object has a stripe, too
            self._carry += view
            self._flush(stripes)
        return self._cut(stripes)

    def make(self, number: int, cut: Cut) -> list[Block]:
        """What stripes add to a fragment; may be called in any thread."""
        tags = self._tags[number]
        pieces: list[Block] = [tags.header()] if cut.stripes and not cut.first else []
        blocks = self._code.column(cut.stripes, number)
        with _TAGGING:
            pieces += tags.all_tagged(cut.first, blocks)
        return pieces

    def _flush(self, stripes: list[Block]) -> None:
        """Hand out the stripe that was kept, if it is complete."""
        if len(self._carry) == self._code.stripe_size or self._taken == self._length:
            stripes.append(self._carry)
            self._carry = bytearray()

    def _cut(self, stripes: list[Block]) -> Cut:
        first = self._stripe
        self._stripe += len(stripes)
        if not stripes:
            return Cut(first, stripes, 0)
        blocks = sum(-(-len(stripe) // self._code.needed) for stripe in stripes)
        header = 0 if first else HEADER_BYTES
        return Cut(first, stripes, header + blocks + len(stripes) * TAG_BYTES)
