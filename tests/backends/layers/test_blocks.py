from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.layers.blocks import BlockStore

NAMES = st.tuples(st.sampled_from("abc"), st.integers(0, 5))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), NAMES, st.integers(0, 30)),
        st.tuples(st.just("use"), NAMES, st.integers(0, 1)),
        st.tuples(st.just("drop"), NAMES, st.just(0)),
        st.tuples(st.just("clear"), NAMES, st.just(0)),
    ),
    max_size=60,
)


class BlockStoreTests(SynchronousTestCase):
    @given(STEPS)
    def test_holds_what_was_put_in_and_never_more_than_its_room(
        self, steps: list[tuple[str, tuple[str, int], int]]
    ) -> None:
        store = BlockStore(100)
        model: dict[tuple[str, int], bytes] = {}
        for step, name, number in steps:
            if step == "add":
                block = bytes(number)
                store.add(name, block)
                model.setdefault(name, block)
            elif step == "use" and name in store:
                store.use(name, again=bool(number))
            elif step == "drop":
                store.drop([name[0]])
                model = {there: block for there, block in model.items() if there[0] != name[0]}
            elif step == "clear":
                store.clear()
                model = {}
            model = {there: block for there, block in model.items() if there in store}
            for there, block in model.items():
                self.assertEqual(store.peek(there), block)
            self.assertEqual(store.used, sum(map(len, model.values())))
            self.assertLessEqual(store.used, 100)

    def test_what_was_used_again_outlasts_any_number_of_others(self) -> None:
        store = BlockStore(100)
        for number in range(3):
            store.add(("kept", number), bytes(10))
            store.use(("kept", number), again=True)
        for number in range(100):
            store.add(("passing", number), bytes(10))
        self.assertTrue(all(("kept", number) in store for number in range(3)))
        self.assertIn(("passing", 99), store)
        self.assertEqual(store.used, 100)

    def test_what_is_used_again_does_not_fill_everything(self) -> None:
        store = BlockStore(100)
        for number in range(10):
            store.add(("kept", number), bytes(10))
            store.use(("kept", number), again=True)
        store.add(("new", 0), bytes(10))
        self.assertIn(("new", 0), store)
        self.assertNotIn(("kept", 0), store)

    def test_what_was_used_last_stays_longest(self) -> None:
        for again in (False, True):
            store = BlockStore(30)
            for number in range(3):
                store.add(("a", number), bytes(10))
            store.use(("a", 0), again=again)
            store.use(("a", 0), again=False)
            store.add(("b", 0), bytes(10))
            self.assertEqual([("a", n) in store for n in range(3)], [True, False, True])

    def test_what_is_larger_than_the_room_is_not_taken(self) -> None:
        store = BlockStore(10)
        store.add(("a", 0), bytes(11))
        self.assertEqual(store.used, 0)
