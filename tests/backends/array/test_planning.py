"""Plans against counting every case there is."""

from __future__ import annotations

from itertools import combinations, product
from math import isclose

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from raic.backends.array.availability import MOST_DOMAINS, Reach, fewer_than, unavailability
from raic.backends.array.comparing import Coding, compare, spread_losses
from raic.backends.array.losing import PROVIDER, Home, Loss, losses
from raic.backends.array.planning import Choice, Demand, Offer, choices, costs_of, make_plan
from raic.backends.layers.observation import ObservationLayer
from raic.backends.memory import MemoryProvider
from tests.backends.array.arrays import Rig

PARTS = st.floats(0.0, 1.0, allow_subnormal=False)
CLOUDS = ("amazon", "google")


def offer(
    name: str,
    availability: float = 0.999,
    storage: float = 0.0,
    download: float = 0.0,
    requests: float = 0.0,
) -> Offer:
    return Offer(name, availability, storage, download, requests)


@st.composite
def labelled(draw: st.DrawFn) -> list[Home]:
    """The homes of fragments, of which a provider may have several."""
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=7))
    operators = {name: draw(st.sampled_from(("", *CLOUDS))) for name in sorted(set(names))}
    return [Home(name, {"operator": operators[name]} if operators[name] else {}) for name in names]


class Availability(SynchronousTestCase):
    @given(st.lists(PARTS, max_size=7), st.integers(0, 8))
    @settings(deadline=None)
    def test_it_is_what_counting_every_state_says(self, up: list[float], least: int) -> None:
        counted = 0.0
        for states in product((True, False), repeat=len(up)):
            weight = 1.0
            for part, is_up in zip(up, states, strict=True):
                weight *= part if is_up else 1 - part
            counted += weight if sum(states) < least else 0.0
        self.assertTrue(isclose(fewer_than(least, up), counted, rel_tol=1e-9, abs_tol=1e-300))

    @given(
        st.lists(st.tuples(PARTS, st.sets(st.sampled_from(CLOUDS))), max_size=4),
        st.integers(0, 5),
        st.dictionaries(st.sampled_from(CLOUDS), PARTS),
    )
    def test_a_domain_takes_all_its_members_along(
        self, parts: list[tuple[float, set[str]]], least: int, known: dict[str, float]
    ) -> None:
        domains = {("operator", name): up for name, up in known.items()}
        members = [
            Reach(up, frozenset(("operator", name) for name in names)) for up, names in parts
        ]
        ups = [*domains.values(), *(member.up for member in members)]
        counted = 0.0
        for states in product((True, False), repeat=len(ups)):
            weight = 1.0
            for part, is_up in zip(ups, states, strict=True):
                weight *= part if is_up else 1 - part
            down = {domain for domain, is_up in zip(domains, states, strict=False) if not is_up}
            own = states[len(domains) :]
            reached = sum(
                is_up and not member.domains & down
                for member, is_up in zip(members, own, strict=True)
            )
            counted += weight if reached < least else 0.0
        found = unavailability(least, members, domains)
        self.assertTrue(isclose(found, counted, rel_tol=1e-9, abs_tol=1e-300), (found, counted))

    def test_what_is_rare_is_exact(self) -> None:
        self.assertTrue(isclose(fewer_than(1, [1 - 2**-20] * 10), 2.0**-200))

    def test_too_many_domains_are_refused(self) -> None:
        names = [("site", str(number)) for number in range(MOST_DOMAINS + 1)]
        members = [Reach(0.9, frozenset(names))]
        with self.assertRaisesRegex(ValueError, "at most 12 domains"):
            unavailability(1, members, dict.fromkeys(names, 0.9))
        self.assertAlmostEqual(unavailability(1, [Reach(0.9)], dict.fromkeys(names, 0.9)), 0.1)


class Losses(SynchronousTestCase):
    @given(labelled(), st.integers(1, 7), st.integers(1, 7))
    def test_they_are_what_taking_the_fragments_away_says(
        self, homes: list[Home], first: int, second: int
    ) -> None:
        needed, happy = sorted(min(each, len(homes)) for each in (first, second))
        numbers = range(len(homes))
        found = losses(homes, needed, happy)
        for loss in found:
            gone = {number for number in numbers if self.goes(homes[number], loss)}
            left = set(numbers) - gone
            self.assertEqual((loss.fragments, loss.left), (len(gone), len(left)))
            self.assertEqual(loss.reads_go_on, len(left) >= needed)
            self.assertEqual(loss.writes_go_on, len(left) >= happy)
            worst = min(len(set(told) - gone) for told in combinations(numbers, happy))
            self.assertEqual(loss.keeps_newest, worst >= needed)
        names = {home.provider for home in homes}
        self.assertEqual({loss.name for loss in found if loss.label == PROVIDER}, names)

    def goes(self, home: Home, loss: Loss) -> bool:
        if loss.label == PROVIDER:
            return home.provider == loss.name
        return home.labels.get(loss.label) == loss.name

    def test_a_domain_of_one_provider_is_not_told_again(self) -> None:
        homes = [Home("a", {"site": "x"}), Home("b", {"site": "y"}), Home("c", {"site": "y"})]
        told = [(loss.label, loss.name) for loss in losses(homes, 1, 2)]
        self.assertEqual(told, [*((PROVIDER, name) for name in "abc"), ("site", "y")])


class Choices(SynchronousTestCase):
    @given(st.integers(0, 6))
    def test_they_are_all_that_survive_a_loss_at_once(self, providers: int) -> None:
        counts = range(1, providers + 1)
        expected = {Choice(k, h, n) for k, h, n in product(counts, repeat=3) if k < h <= n}
        found = list(choices(providers))
        self.assertEqual((set(found), len(found)), (expected, len(expected)))

    @given(*[st.sets(st.integers(1, 6), min_size=1, max_size=3)] * 3)
    def test_those_that_are_named_need_only_be_possible(
        self, needed: set[int], total: set[int], happy: set[int]
    ) -> None:
        expected = {Choice(k, h, n) for k in needed for h in happy for n in total if k <= h <= n}
        expected = {each for each in expected if each.total <= 4}
        self.assertEqual(set(choices(4, needed, total, happy)), expected)


class Costs(SynchronousTestCase):
    def test_each_provider_is_paid_for_its_fragment(self) -> None:
        offers = [
            offer("a", storage=0.02, download=0.09, requests=0.05),
            offer("b", storage=0.01, download=0.01),
            offer("c", storage=0.006, download=0.02, requests=0.004),
        ]
        demand = Demand(10**12, 20_000, 10_000, 10**11)
        found = costs_of(offers, 2, demand)
        self.assertAlmostEqual(found.storage, 500 * (0.02 + 0.01 + 0.006))
        self.assertAlmostEqual(found.requests, 2 * (0.05 + 0.004) + 0.004)
        self.assertAlmostEqual(found.download, 50 * (0.01 + 0.02))
        self.assertAlmostEqual(found.total, found.storage + found.requests + found.download)

    def test_a_plan_is_of_the_first_providers(self) -> None:
        offers = [offer(name, availability=0.99) for name in "abcd"]
        plan = make_plan(offers, Choice(2, 3, 3), Demand(), {})
        self.assertEqual((plan.providers, plan.overhead), (("a", "b", "c"), 1.5))
        self.assertEqual((plan.lost_at_once, plan.lost_repaired), (1, 1))
        self.assertAlmostEqual(plan.reads_down, 3 * 0.01**2 * 0.99 + 0.01**3)
        self.assertAlmostEqual(plan.writes_down, 1 - 0.99**3)


class Cloud(MemoryProvider):
    def read_now(self, key: str, offset: int, length: int) -> None:
        """Nothing is at hand."""


class Requests(SynchronousTestCase):
    """What plans say of requests, an array does."""

    def test_a_small_write_and_a_read_of_the_whole_take_as_many_as_is_said(self) -> None:
        for choice in (Choice(1, 2, 2), Choice(2, 3, 4), Choice(3, 4, 5)):
            layers: list[ObservationLayer] = []

            def make(name: str, layers: list[ObservationLayer] = layers) -> ObservationLayer:
                layers.append(ObservationLayer(Cloud(name), Clock()))
                return layers[-1]

            rig = Rig(choice.needed, choice.happy, choice.total, block_size=65536, make=make)
            self.successResultOf(rig.array.start())
            plan = make_plan([offer(name) for name in rig.names], choice, Demand(), {})
            self.successResultOf(rig.array.put_object("key", bytes(1000)))
            self.assertEqual(calls(layers, "put_object"), plan.write_requests)
            self.successResultOf(rig.array.list_objects("", None))
            self.successResultOf(rig.array.get_object("key", 0, 1000))
            self.assertEqual(calls(layers, "get_object"), plan.read_requests)


def calls(layers: list[ObservationLayer], operation: str) -> int:
    figures = (layer.snapshot().operations.get(operation) for layer in layers)
    return sum(each.calls for each in figures if each is not None)


class Comparisons(SynchronousTestCase):
    def test_arrays_multiply_what_clients_add(self) -> None:
        offers = [offer("a", storage=0.02), offer("b", storage=0.01), offer("c", storage=0.03)]
        codes = [Choice(2, 3, 3), Choice(1, 2, 3), Choice(1, 3, 3)]
        found = compare(offers, Coding(3, 10), codes, 10**12)
        told = [
            (str(each.coding), each.code, each.servers, round(each.overhead, 2), each.may_lose)
            for each in found
        ]
        self.assertEqual(
            told,
            [
                ("3-of-10", None, 1, 3.33, 0),
                ("3-of-10", None, 3, 3.33, 2),
                ("3-of-10", (2, 3), 1, 5.0, 1),
                ("3-of-3", (2, 3), 1, 1.5, 1),
                ("3-of-10", (1, 3), 1, 10.0, 2),
                ("3-of-3", (1, 3), 1, 3.0, 2),
            ],
        )
        costs = [round(each.cost, 2) for each in found]
        self.assertEqual(costs, [10.0, 20.0, 30.0, 9.0, 60.0, 18.0])

    def test_clients_without_redundancy_are_not_told_twice(self) -> None:
        found = compare([offer("a"), offer("b")], Coding(1, 1), [Choice(1, 2, 2)], 1)
        self.assertEqual([each.code for each in found], [None, None, (1, 2)])

    @given(st.integers(1, 10), st.integers(1, 10), st.integers(1, 5))
    def test_servers_are_lost_as_counting_says(self, k: int, n: int, servers: int) -> None:
        coding = Coding(min(k, n), max(k, n))
        held = [len(range(server, coding.total, servers)) for server in range(servers)]
        possible = [
            count
            for count in range(servers + 1)
            if all(sum(left) >= coding.needed for left in combinations(held, servers - count))
        ]
        self.assertEqual(spread_losses(coding, servers), max(possible))
