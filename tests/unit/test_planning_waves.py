"""In which order a change goes through the fleet: canaries, waves, neighbours, regions."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest

from orchestrator.fleet.relay import Relay
from orchestrator.planning.waves import describe_waves, link_mesh, plan_waves
from orchestrator.spec.policies import RolloutSpec
from tests.rollout_looks import EU1, EU2, EU3, US1, US2, US3, make_rollout


def relays(**counts: int) -> list[Relay]:
    return [Relay(f"demo-{region}-{n:02d}", region, n) for region, count in counts.items() for n in range(1, count + 1)]


def waves(links=None, first=(), whole=None, policy=None, **counts: int) -> tuple[tuple[str, ...], ...]:
    return plan_waves(relays(**counts), whole or counts, links or {}, first, RolloutSpec(**(policy or {})))


def region_of(name: str) -> str:
    return name.split("-")[1]


# --- canaries --------------------------------------------------------------------------------------------------------


def test_the_canary_is_of_the_region_where_most_others_can_stand_in() -> None:
    assert waves(ap=2, eu=5, us=3)[0] == ("demo-eu-05",)


def test_several_canaries_are_each_of_another_region() -> None:
    assert waves(ap=2, eu=5, us=3, policy={"canaries": 2})[0] == ("demo-eu-05", "demo-us-03")


def test_canaries_come_by_name_wherever_most_others_can_stand_in() -> None:
    assert waves(ap=2, eu=3, us=5, policy={"canaries": 2})[0] == ("demo-eu-03", "demo-us-05")


def test_there_are_no_more_canaries_than_regions() -> None:
    assert len(waves(eu=5, us=3, policy={"canaries": 4})[0]) == 2


def test_without_canaries_the_first_wave_is_a_wave() -> None:
    assert waves(eu=3, us=3, policy={"canaries": 0})[0] == (EU1, US1)


def test_who_runs_what_failed_is_the_canary_wherever_it_is() -> None:
    assert waves(eu=5, us=3, first={"demo-us-02"})[0] == ("demo-us-02",)


def test_nobody_to_update_makes_no_waves() -> None:
    assert waves(whole={"eu": 3}) == ()


# --- waves -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 9, 20])
def test_at_most_a_third_of_a_region_but_at_least_one_goes_in_one_wave(count: int) -> None:
    for wave in waves(eu=count, us=4, policy={"canaries": 0}):
        assert Counter(map(region_of, wave))["eu"] <= max(1, count // 3)


def test_a_third_is_of_what_the_region_wants_and_not_of_what_is_left_to_update() -> None:
    assert waves(eu=2, whole={"eu": 6}, policy={"canaries": 0}) == ((EU1, EU2),)


@pytest.mark.parametrize(("share", "most"), [(1, 1), (4, 4), ("33%", 1), ("50%", 3), ("100%", 6), ("1%", 1)])
def test_as_many_of_a_region_go_in_one_wave_as_the_policy_says(share: int | str, most: int) -> None:
    planned = waves(eu=6, us=6, policy={"canaries": 0, "wave_share": share})
    assert [Counter(map(region_of, wave)) for wave in planned[:1]] == [{"eu": most, "us": most}]
    assert sorted(name for wave in planned for name in wave) == sorted(relay.name for relay in relays(eu=6, us=6))


@pytest.mark.parametrize("order", ["spread", "by-region"])
def test_everybody_is_in_one_wave_and_no_wave_is_empty(order: str) -> None:
    planned = waves(ap=2, eu=7, us=4, policy={"order": order, "canaries": 2})
    assert sorted(name for wave in planned for name in wave) == sorted(r.name for r in relays(ap=2, eu=7, us=4))
    assert all(planned)


def test_each_wave_takes_some_of_every_region() -> None:
    for wave in waves(ap=3, eu=3, us=3, policy={"canaries": 0}):
        assert Counter(map(region_of, wave)) == {"ap": 1, "eu": 1, "us": 1}


def test_by_region_one_region_follows_another_the_smallest_first() -> None:
    after_canary = waves(ap=4, eu=6, us=2, policy={"order": "by-region"})[1:]
    regions = [{region_of(name) for name in wave} for wave in after_canary]
    assert all(len(found) == 1 for found in regions)
    assert list(dict.fromkeys(found.pop() for found in regions)) == ["us", "ap", "eu"]


def test_who_runs_what_failed_goes_before_others_of_its_region() -> None:
    planned = waves(eu=3, us=3, first={EU3, US3}, policy={"canaries": 0})
    assert planned[0] == (EU3, US3)


def test_who_runs_what_failed_goes_first_though_it_is_next_to_somebody() -> None:
    links = link_mesh({EU3: (US3,)})
    assert waves(eu=3, us=3, first={EU3, US3}, links=links, policy={"canaries": 0})[0] == (EU3, US3)


def test_the_relays_of_a_wave_come_by_name_though_one_of_them_was_chosen_first() -> None:
    assert waves(eu=2, first={EU2}, policy={"canaries": 0, "wave_share": 2}) == ((EU1, EU2),)


# --- neighbours ------------------------------------------------------------------------------------------------------


def test_neighbours_go_in_different_waves_where_that_can_be_had() -> None:
    links = link_mesh({EU1: (US1,), EU2: (US2, US3)})
    for wave in waves(eu=3, us=3, links=links, policy={"canaries": 0}):
        assert not any(other in wave for name in wave for other in links.get(name, ()))


def test_regions_choose_in_order_of_their_names_also_where_one_has_somebody_who_is_to_go_first() -> None:
    links = link_mesh({EU1: (US2,)})
    ordered = waves(eu=3, us=3, links=links, first={US3}, policy={"canaries": 0})
    assert ordered == ((EU1, US3), (EU2, US1), (EU3, US2))
    due = waves(eu=3, us=3, links=link_mesh({EU1: (US3,)}), first={US3}, policy={"canaries": 0})
    assert due[0] == (EU1, US3)


def test_where_everybody_is_a_neighbour_of_everybody_the_waves_are_no_smaller() -> None:
    names = [relay.name for relay in relays(eu=3, us=3)]
    links = link_mesh({name: [other for other in names if other != name] for name in names})
    assert list(map(len, waves(eu=3, us=3, links=links, policy={"canaries": 0}))) == [2, 2, 2]


def test_a_link_counts_from_either_end() -> None:
    assert link_mesh({EU1: (US1,)}) == {EU1: {US1}, US1: {EU1}}


# --- stable ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["spread", "by-region"])
def test_the_order_of_the_relays_changes_nothing(order: str) -> None:
    links = link_mesh({EU1: (US1, US2), EU2: (EU3, US2)})
    policy = RolloutSpec(canaries=1, order=order)
    found = {
        plan_waves(some, {"eu": 3, "us": 3}, links, {US3, EU2}, policy) for some in permutations(relays(eu=3, us=3))
    }
    assert len(found) == 1


def test_the_order_of_regions_and_links_changes_nothing() -> None:
    some, links = relays(ap=4, eu=5, us=4), {"demo-ap-01": ("demo-eu-01", "demo-us-02"), "demo-us-01": ("demo-eu-02",)}
    expected = plan_waves(some, {"ap": 4, "eu": 5, "us": 4}, link_mesh(links), (), RolloutSpec())
    shuffled = dict(random.Random(1).sample(list(links.items()), len(links)))
    again = plan_waves(some[::-1], {"us": 4, "eu": 5, "ap": 4}, link_mesh(shuffled), [], RolloutSpec())
    assert again == expected


# --- in words --------------------------------------------------------------------------------------------------------


def test_waves_are_told_by_what_they_are_and_why() -> None:
    rollout = make_rollout(waves=((EU3,), (EU1, US1), (EU2,)))
    regions = {EU1: "eu", EU2: "eu", EU3: "eu", US1: "us"}
    told = describe_waves(rollout, link_mesh({EU1: (US1,)}), regions, (US1,), RolloutSpec())
    assert [(wave.title, wave.relays) for wave in told] == [
        ("canary", (EU3,)),
        ("wave 1", (EU1, US1)),
        ("wave 2", (EU2,)),
    ]
    assert told[0].why == "goes first: of its region most others can stand in"
    assert told[1].why == "at most a third of each of 2 regions; 1 pair of neighbours could not be kept apart"
    assert told[2].why == "at most a third of eu; no two are neighbours"


def test_a_canary_that_is_down_anyway_is_told_so() -> None:
    told = describe_waves(make_rollout(waves=((EU3,), (EU1,))), {}, {EU1: "eu", EU3: "eu"}, (EU3,), RolloutSpec())
    assert told[0].why == "goes first: it is down anyway, or runs what failed"


@pytest.mark.parametrize(
    ("share", "words"), [("50%", "50% of each of 2 regions"), (2, "2 relays of each of 2 regions")]
)
def test_the_share_of_a_region_is_told_as_the_policy_has_it(share: int | str, words: str) -> None:
    rollout, policy = make_rollout(waves=((EU1, US1),), canaries=0), RolloutSpec(wave_share=share)
    (told,) = describe_waves(rollout, {}, {EU1: "eu", US1: "us"}, (), policy)
    assert told.why == f"at most {words}; no two are neighbours"


def test_neighbours_in_different_waves_are_kept_apart() -> None:
    links = link_mesh({EU1: (EU2, US2), US1: (EU2,)})
    (told, *_) = describe_waves(make_rollout(waves=((EU1, US1), (EU2,)), canaries=0), links, {}, (), RolloutSpec())
    assert told.why.endswith("no two are neighbours")


def test_a_relay_whose_region_is_not_known_is_told_with_the_others() -> None:
    (told,) = describe_waves(make_rollout(waves=((EU1, US1),), canaries=0), {}, {EU1: "eu"}, (), RolloutSpec())
    assert (told.relays, told.why) == ((EU1, US1), "at most a third of eu; no two are neighbours")


def test_without_canaries_the_first_wave_is_called_the_first() -> None:
    rollout = make_rollout(waves=((EU1, US1), (EU2, US3)), canaries=0)
    regions = dict.fromkeys((EU1, EU2), "eu") | dict.fromkeys((US1, US3), "us")
    assert [wave.title for wave in describe_waves(rollout, {}, regions, (), RolloutSpec())] == ["wave 1", "wave 2"]
