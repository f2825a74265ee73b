"""Orders on rings: spread over regions, as good as random, and moved by nobody who joins or leaves."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from orchestrator.fleet.relay import Relay, relay_name
from orchestrator.planning.rings import CIRCLE, Ring, hashed, mixed_ring, shuffled, shuffled_ring


def make_relays(**counts):
    return [Relay(relay_name("demo", r, i), r, i) for r, count in counts.items() for i in range(1, count + 1)]


FLEET = make_relays(a=12, b=12, c=12)


def names(ring):
    return [relay.name for relay in ring.relays]


def test_steps_go_round_in_both_directions():
    first, *_, last = FLEET
    ring = Ring(tuple(FLEET))
    assert (ring.after(0, 1), ring.after(35, 1), ring.after(0, -1), ring.after(2, 36)) == (
        FLEET[1],
        first,
        last,
        FLEET[2],
    )


def test_regions_alternate_on_the_mixed_ring():
    regions = [relay.region for relay in mixed_ring(FLEET).relays]
    longest = max(sum(1 for _ in run) for run in _runs(regions))
    assert longest <= 2
    # Any third of the circle has about a third of each region.
    for start in range(36):
        third = Counter((regions + regions)[start : start + 12])
        assert all(2 <= third[region] <= 6 for region in "abc")


def _runs(words):
    run = [words[0]]
    for before, word in pairwise(words):
        if word != before:
            yield run
            run = []
        run.append(word)
    yield run


def test_a_relay_that_leaves_moves_nobody_on_any_ring():
    for order in (mixed_ring, lambda relays: shuffled_ring(relays, 3)):
        whole = names(order(FLEET))
        assert names(order(FLEET[:7] + FLEET[8:])) == [name for name in whole if name != FLEET[7].name]


def test_the_order_of_relays_put_in_does_not_matter():
    for order in (mixed_ring, lambda relays: shuffled_ring(relays, 1)):
        assert order(FLEET[::-1]) == order(FLEET)


def test_each_number_shuffles_another_way_and_none_keeps_the_order():
    orders = [tuple(names(shuffled_ring(FLEET, number))) for number in range(5)]
    assert len(set(orders)) == 5
    assert all(Counter(order) == Counter(relay.name for relay in FLEET) for order in orders)
    assert sorted(orders[0]) not in [list(order) for order in orders]


def test_words_are_shuffled_by_seed_whatever_their_order():
    words = [f"word-{number}" for number in range(12)]
    one, other = shuffled(words, "seed"), shuffled(words, "other seed")
    assert shuffled(words[::-1], "seed") == one
    assert sorted(one) == sorted(words)
    assert one not in (words, sorted(words))
    assert one != other


def test_a_hash_is_a_place_on_the_circle_and_tells_words_apart():
    places = [hashed("word", str(number)) for number in range(2000)]
    assert all(0 <= place < CIRCLE for place in places)
    # Spread over all of it: as many in each eighth as chance allows.
    eighths = Counter(place * 8 // CIRCLE for place in places)
    assert set(eighths) == set(range(8))
    assert all(180 <= count <= 320 for count in eighths.values())
    assert hashed("a", "b") != hashed("ab")


def test_a_region_is_spread_evenly_by_the_golden_section_however_many_it_has():
    """The three-distance theorem: no gap is more than 2.7 times as wide as another."""
    from orchestrator.planning.rings import _mixed_place

    for count in range(2, 60):
        places = sorted(_mixed_place(relay) for relay in make_relays(a=count))
        gaps = [after - before for before, after in pairwise([*places, places[0] + CIRCLE])]
        assert max(gaps) < 2.7 * min(gaps)
        assert sum(gaps) == CIRCLE
        assert all(0 <= place < CIRCLE for place in places)
