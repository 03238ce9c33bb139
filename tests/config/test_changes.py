"""What a new ``raic.cfg`` changes in a running node."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from raic.config.changes import Merged, Scope, merge, written
from raic.config.loading import parse_config
from raic.config.reading import read_text

NODE = Path("/node")
BEFORE = """\
[node]
nickname = attic
[storage]
backend = provider:cloud
[provider:cloud]
type = s3
container = shares
credentials_command = keys
  --for "my shares"
upload_rate = 1MB
"""

USES = frozenset({"provider:cloud", "array:clouds"})


def uses(section: str) -> bool:
    return section in USES or not section.startswith(("provider:", "array:"))


ALL = Scope(uses, lambda section: True, lambda section, key: True)


def merged(after: str, before: str = BEFORE, scope: Scope = ALL) -> Merged:
    return merge(read_text(before), read_text(dedent(after)), scope)


def texts(result: Merged) -> dict[str, str]:
    found = result.text.entries.values()
    return {f"[{each.section}] {each.key}": each.value for each in found}


class Merging(SynchronousTestCase):
    def test_what_can_change_does_and_the_rest_stays(self) -> None:
        after = BEFORE.replace("attic", "barn").replace("1MB", "2MB") + "price_storage = 0.02\n"
        result = merged(after)
        self.assertEqual(
            [(each.name, each.before, each.now, each.line) for each in result.changed],
            [
                ("[provider:cloud] upload_rate", "1MB", "2MB", 10),
                ("[provider:cloud] price_storage", "0", "0.02", 11),
            ],
        )
        (kept,) = result.kept
        self.assertEqual((kept.name, kept.before, kept.now), ("[node] nickname", "attic", "barn"))
        now = texts(result)
        self.assertEqual(now["[node] nickname"], "attic")
        self.assertEqual(now["[provider:cloud] upload_rate"], "2MB")

    def test_what_was_kept_is_kept_until_the_file_is_as_it_was(self) -> None:
        again = merge(merged(BEFORE.replace("attic", "barn")).text, read_text(BEFORE), ALL)
        self.assertEqual((again.changed, again.kept), ((), ()))

    def test_what_is_gone_has_its_default_again(self) -> None:
        result = merged(BEFORE.replace("upload_rate = 1MB\n", "").replace("nickname = attic", ""))
        (changed,), (kept,) = result.changed, result.kept
        self.assertEqual((changed.before, changed.now), ("1MB", ""))
        self.assertEqual((kept.before, kept.now), ("attic", "raic"))
        self.assertNotIn("[provider:cloud] upload_rate", texts(result))
        self.assertIn("[node] nickname", texts(result))

    def test_to_write_the_default_is_no_change(self) -> None:
        result = merged(BEFORE + "read_ahead = 2MiB\n[client]\nintroducer.furl =\n")
        self.assertEqual((result.changed, result.kept), ((), ()))

    def test_a_provider_in_use_stays_as_a_whole_when_its_section_is_gone(self) -> None:
        result = merged("[storage]\nbackend = provider:other\n[provider:other]\ntype = s3\n")
        self.assertEqual(
            {each.name for each in result.kept},
            {"[node] nickname", "[provider:cloud]", "[storage] backend"},
        )
        self.assertEqual([each.name for each in result.changed], ["[provider:other]"])
        self.assertEqual(texts(result)["[provider:cloud] container"], "shares")

    def test_a_provider_that_nothing_uses_may_change_in_everything(self) -> None:
        other = "[provider:other]\ntype = s3\ncontainer = {}\n"
        result = merged(BEFORE + other.format("b"), BEFORE + other.format("a"))
        self.assertEqual([each.now for each in result.changed], ["b"])
        self.assertEqual(texts(result)["[provider:other] container"], "b")

    def test_what_a_node_cannot_take_up_is_kept(self) -> None:
        scope = Scope(uses, lambda section: True, lambda section, key: key != "upload_rate")
        self.assertEqual(len(merged(BEFORE.replace("1MB", "2MB"), scope=scope).kept), 1)

    def test_what_is_another_servers_is_taken_over_and_not_told(self) -> None:
        scope = Scope(uses, lambda section: section != "node", lambda section, key: True)
        result = merged(BEFORE.replace("attic", "barn"), scope=scope)
        self.assertEqual(result.kept, ())

    def test_a_new_array_is_no_business_of_a_running_node(self) -> None:
        array = "[array:all]\nproviders = cloud\nneeded = 1\nhappy = 1\n"
        result = merged(BEFORE.replace("provider:cloud\n", "array:all\n", 1) + array)
        self.assertEqual([each.name for each in result.kept], ["[storage] backend"])
        self.assertEqual([each.name for each in result.changed], ["[array:all]"])

    def test_what_is_written_says_the_same(self) -> None:
        text = read_text(BEFORE)
        again = read_text(written(text))
        self.assertEqual(again.problems, [])
        self.assertEqual(
            {place: each.value for place, each in again.entries.items()},
            {place: each.value for place, each in text.entries.items()},
        )
        parse_config(NODE, written(merged(BEFORE.replace("1MB", "2MB")).text))
