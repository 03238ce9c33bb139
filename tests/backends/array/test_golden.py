"""Fragments as they were once written must be readable, and be written so, for ever."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.code import HEADER_BYTES, Code
from raic.backends.array.encoding import FragmentEncoder
from raic.backends.array.fragment import FragmentTags
from raic.backends.tags import TAG_BYTES
from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey
from tests.backends.array.arrays import ARRAY_KEY

GOLDEN = Path(__file__).parent / "golden"
ATTEMPT = "abcdefghijklmnopqrstuvwxy4"
OBJECT_KEY = "shares/aa/aaaaaaaaaaaaaaaaaaaaaaaaaa/0.bbbbbbbbbbbbbbbbbbbbbbbbbb.5.{}"
CASES = {
    # name: needed, block size, object length, numbers, attempt
    "empty": (2, 64, 0, (0, 1, 2), FIRST_ATTEMPT),
    "short": (2, 65_536, 5, (0, 1, 2), FIRST_ATTEMPT),
    "stripes": (3, 64, 500, (0, 1, 2, 3, 4), FIRST_ATTEMPT),
    "mirror": (1, 64, 100, (0, 1), FIRST_ATTEMPT),
    "repaired": (2, 64, 200, (2, 7), ATTEMPT),
}


def contents(length: int) -> bytes:
    """The bytes of the golden object of this length: 0, 7, 14, ... modulo 251."""
    return bytes(at * 7 % 251 for at in range(length))


def fragment_keys(case: str) -> dict[int, FragmentKey]:
    needed, block_size, length, numbers, attempt = CASES[case]
    key = OBJECT_KEY.format(length)
    return {n: FragmentKey(key, needed, block_size, length, n, attempt) for n in numbers}


def made(case: str) -> dict[int, bytes]:
    """The fragments as they are made now."""
    needed, block_size, length, numbers, _ = CASES[case]
    encoder = FragmentEncoder(Code(needed, block_size), length, ARRAY_KEY, fragment_keys(case))
    cut = encoder.add(contents(length))
    return {number: b"".join(encoder.make(number, cut)) for number in numbers}


def path(case: str, number: int) -> Path:
    return GOLDEN / f"{case}.{number}"


def read(code: Code, length: int, fragments: dict[FragmentKey, bytes]) -> bytes:
    """An object of its fragments, as the specification says."""
    tags = {key: FragmentTags(ARRAY_KEY, key) for key in fragments}
    for key, stored in fragments.items():
        tags[key].check_header(stored[:HEADER_BYTES])
    stripes = []
    for stripe in range(code.stripe_count(length)):
        start = HEADER_BYTES + stripe * (code.block_size + TAG_BYTES)
        end = start + code.block_length(stripe, length) + TAG_BYTES
        blocks = {
            key.number: tags[key].checked(stripe, memoryview(stored)[start:end])
            for key, stored in fragments.items()
        }
        stripes.append(code.decode(blocks, code.stripe_length(stripe, length)))
    return b"".join(stripes)


class TestGolden(SynchronousTestCase):
    def test_fragments_are_made_as_ever(self) -> None:
        for case in CASES:
            for number, stored in made(case).items():
                self.assertEqual(stored, path(case, number).read_bytes(), (case, number))

    def test_fragments_are_read_as_ever(self) -> None:
        for case, (needed, block_size, length, numbers, _) in CASES.items():
            keys = fragment_keys(case)
            stored = {keys[n]: path(case, n).read_bytes() for n in numbers[-needed:]}
            found = read(Code(needed, block_size), length, stored)
            self.assertEqual(found, contents(length), case)

    def test_every_golden_file_belongs_to_a_case(self) -> None:
        expected = {path(case, n) for case in CASES for n in fragment_keys(case)}
        self.assertEqual(set(GOLDEN.iterdir()), expected)


if __name__ == "__main__":  # pragma: no cover (to make files for cases that are new)
    GOLDEN.mkdir(exist_ok=True)
    for name in CASES:
        for fragment, data in made(name).items():
            if not path(name, fragment).exists():
                path(name, fragment).write_bytes(data)
