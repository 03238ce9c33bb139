from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.config.reading import read_text


def values(text: str) -> dict[tuple[str, str], str]:
    return {place: entry.value for place, entry in read_text(text).entries.items()}


class Reading(SynchronousTestCase):
    def test_keys_and_values_are_separated_by_equals_signs_or_colons(self) -> None:
        self.assertEqual(
            values("[node]\na = 1\nb: tcp:3457\nc=x=y\nd =\n"),
            {
                ("node", "a"): "1",
                ("node", "b"): "tcp:3457",
                ("node", "c"): "x=y",
                ("node", "d"): "",
            },
        )

    def test_keys_are_case_insensitive_and_sections_are_not(self) -> None:
        self.assertEqual(values("[Node]\nReveal-IP = x\n"), {("Node", "reveal-ip"): "x"})

    def test_comments_and_blank_lines_say_nothing(self) -> None:
        self.assertEqual(
            values("# a = 1\n\n[n]\n; b\n  # c\na = 1 # kept\n"), {("n", "a"): "1 # kept"}
        )

    def test_indented_lines_go_on_with_the_value_above(self) -> None:
        self.assertEqual(
            values("[n]\na = 1\n  2\n\t3\nb=4\n"), {("n", "a"): "1\n2\n3", ("n", "b"): "4"}
        )

    def test_an_indented_first_key_is_a_key_as_in_the_examples_of_tahoe(self) -> None:
        self.assertEqual(values("[connections]\n tcp = tcp\n"), {("connections", "tcp"): "tcp"})

    def test_a_byte_order_mark_is_skipped(self) -> None:
        self.assertEqual(values("\ufeff[n]\na=1\n"), {("n", "a"): "1"})

    def test_entries_and_sections_know_their_lines(self) -> None:
        read = read_text("\n[n]\n\na = 1\n b\n")
        self.assertEqual(read.sections, {"n": 2})
        self.assertEqual(read.entries["n", "a"].line, 4)

    def test_everything_out_of_place_is_reported_with_its_line(self) -> None:
        read = read_text("a = 1\n[n]\nnonsense\nb = 1\nB = 2\n c\n[m]\n[n]\n")
        self.assertEqual([line for line, _ in read.problems], [1, 3, 5, 8])
        self.assertIn("line 4", read.problems[2][1])
        self.assertIn("line 2", read.problems[3][1])
        self.assertEqual(read.entries["n", "b"].value, "1")

    @given(st.text(alphabet="[]=:#; \n\tab\ufeff\x00\u2028"))
    def test_no_text_makes_it_fail(self, text: str) -> None:
        read_text(text)
