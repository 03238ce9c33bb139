"""Random groups of operations of an index and its ledger, each with a fate at its COMMIT.

The ledger in memory is the model; so each of the two verifies the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from twisted.internet.defer import Deferred

from raic.fragmentkeys import FIRST_ATTEMPT, FragmentKey, parse_fragment_key
from raic.shares.keys import ShareKey, parse_key
from raic.values import MAX_SHARES, ArrayEvent, FragmentState, Placed, StoredShare
from tests.contracts.index_values import (
    INDEX_A,
    fragment,
    fragments_of,
    make_lease,
    make_share,
    txn,
)
from tests.shares.index import test_machine
from tests.shares.index.model import Model
from tests.shares.index.test_machine import FATES, NOW, SETTINGS, Instruction, Step, instructions

CLAIM = "claims/1.aaaa.5"
NUMBERS = 3
DAY = 24 * 60 * 60


@frozen
class Act:
    """Something to do with a fragment, or with its object.

    :ivar pick: decides on the object, and on more.
    :ivar attempt: which attempt: the one that counts, the first, one that was begun, a new one.
    """

    kind: str
    pick: int
    number: int
    attempt: str
    fitting: bool


acts = st.builds(
    Act,
    st.sampled_from(
        [
            *["plan", "plan", "share", "share", "settle", "settle", "settle", "begin", "begin"],
            *["commit", "commit", "missing", "verify", "event", "place"],
        ]
    ),
    st.integers(0, 10**6),
    st.integers(0, NUMBERS - 1),
    st.sampled_from(["counting", "counting", "first", "begun", "new"]),
    st.sampled_from([True, True, True, False]),
)


class LedgerMachine(test_machine.IndexMachine):
    """What the index's machine does, mixed with what an array asks for."""

    @rule(group=st.lists(st.one_of(acts, instructions), min_size=1, max_size=4), fate=FATES)
    def commit_all(self, group: Sequence[Any], fate: str) -> None:
        """Some operations of both are committed together, or not."""
        self.commit_group(group, fate)

    def ask(self, method: str, arguments: tuple[Any, ...]) -> Deferred[Any]:
        if hasattr(self.index, method):
            return super().ask(method, arguments)
        return getattr(self.index.ledger, method)(*arguments)  # type: ignore[no-any-return]  # all

    def expect(self, model: Model, method: str, arguments: tuple[Any, ...]) -> object:
        if hasattr(model, method):
            return super().expect(model, method, arguments)
        if method == "begin_attempt":
            return model.reserve(arguments)  # type: ignore[func-returns-value]  # None, to compare
        result = getattr(model.ledger, method)(*arguments).result
        model.follow()
        return result

    def step(self, instruction: Act | Instruction, model: Model) -> Step:
        if not isinstance(instruction, Act):
            return super().step(instruction, model)
        if instruction.kind in ("plan", "share"):
            return self.share_step(instruction, model)
        if instruction.kind in ("verify", "event", "place"):
            return self.other_step(instruction, model)
        return self.fragment_step(instruction, model)

    def share_step(self, act: Act, model: Model) -> Step:
        """A share is planned, or one that was is committed without all its fragments."""
        planned = [key for key in map(parse_key, sorted(model.intents)) if type(key) is ShareKey]
        if act.kind == "plan" or not planned:
            share = make_share(INDEX_A, act.pick % MAX_SHARES, 10, self.number())
            return "reserve", ([share.key],)
        key = planned[act.pick % len(planned)]
        share = StoredShare(key.storage_index, key.shnum, str(key), 20, key.length)
        return "commit_share", (share, make_lease(), fragments_of(share.key))

    def fragment_step(self, act: Act, model: Model) -> Step:
        key = self.chosen(act, model)
        self.keys.add(str(key))
        if act.kind == "missing":
            return "note_missing", ([str(key), fragment(key.object_key, 0)], "gone")
        if act.kind == "commit":
            return "commit_attempt", (*self.replacement(act, key, model), NOW + act.pick % 9)
        if act.kind == "begin":
            return "begin_attempt", (str(key.sibling(key.number, txn(self.number()))),)
        return "settle", (str(key),)

    def chosen(self, act: Act, model: Model) -> FragmentKey:
        begun = [key for key in map(parse_fragment_key, sorted(model.intents)) if key is not None]
        if act.attempt == "begun" and begun:
            return begun[act.pick % len(begun)]
        key = parse_fragment_key(fragment(self.chosen_object(act.pick, model), act.number))
        assert key is not None
        if act.attempt == "counting":
            counting = model.ledger.attempts.get((key.object_key, key.number), FIRST_ATTEMPT)
            return key.sibling(key.number, counting)
        return key.sibling(key.number, txn(self.number())) if act.attempt == "new" else key

    def chosen_object(self, pick: int, model: Model) -> str:
        pools: list[set[str]] = [
            model.referred(), model.referred(), model.intents, set(model.discarded), {CLAIM},
        ]  # fmt: skip
        pool = sorted(key for key in pools[pick % len(pools)] if "--" not in key)
        return pool[pick // 7 % len(pool)] if pool else CLAIM

    def replacement(self, act: Act, key: FragmentKey, model: Model) -> tuple[str, str | None]:
        """A new fragment, and the one that it replaces, as a rule rightly."""
        before = model.ledger.attempts.get((key.object_key, key.number), FIRST_ATTEMPT)
        if not act.fitting:
            before = txn(10**7)
        if key.attempt == FIRST_ATTEMPT:
            return str(key), None
        if key.attempt == before:
            key = key.sibling(key.number, txn(self.number()))
        return str(key), None if act.pick % 4 == 0 else str(key.sibling(key.number, before))

    def other_step(self, act: Act, model: Model) -> Step:
        if act.kind == "event":
            return "add_event", (ArrayEvent(act.pick, "scrub", str(self.number())),)
        if act.kind == "place":
            rows = [Placed(n, f"p{act.pick}", "p" if act.fitting else None) for n in range(NUMBERS)]
            return "set_placement", (rows[act.number :],)
        keys = [self.chosen_object(act.pick + n, model) for n in range(NUMBERS)]
        return "note_verified", (keys, act.pick)

    # What must hold

    @invariant()
    def the_ledger_agrees(self) -> None:
        ours, model = self.index.ledger, self.model.ledger
        questions = [
            ("next_repairs", (10**6, "")),
            ("next_objects", ("", 10**6)),
            ("get_placement", ()),
            ("get_events", (10**6,)),
            ("get_array_totals", ()),
            ("get_verified", (sorted(self.keys),)),
        ]
        for method, arguments in questions:
            expected = getattr(model, method)(*arguments).result
            assert self.answer(getattr(ours, method)(*arguments)) == expected, method

    @invariant()
    def every_object_is_in_the_state_that_is_noted(self) -> None:
        objects = {key for key in self.keys if "--" not in key}
        for key in objects | {place[0] for place in self.model.ledger.attempts}:
            expected = cast(FragmentState, self.model.ledger.lookup(key).result)
            assert self.answer(self.index.ledger.lookup(key)) == expected

    @invariant()
    def objects_are_found_page_by_page(self) -> None:
        found: list[str] = []
        while page := self.answer(self.index.ledger.next_objects(found[-1] if found else "", 2)):
            found += cast(tuple[str, ...], page)
        assert found == sorted(self.model.referred())

    @invariant()
    def the_model_agrees_with_itself(self) -> None:
        model = self.model
        assert model.ledger.intended == model.intents
        assert set(model.ledger.garbage.values()) == {one for one, _, _ in model.discarded.values()}
        assert model.ledger.referred == model.referred()


LedgerMachine.TestCase.settings = SETTINGS
LedgerMachineTests = LedgerMachine.TestCase
