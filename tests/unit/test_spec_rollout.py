"""The rollout policy in a fleet file: what its values may be, and the rules over several of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.spec.parse import ParsedFleet, parse_fleet_text
from orchestrator.spec.policies import RolloutSpec
from tests.spec_texts import AWS, STATIC, edit

SHARE = "expected a number of relays from 1 to 1000, or a share such as 20%"
DURATION = "expected a duration such as 90s, 15m, 2h or 3d, above zero"


def read(text: str) -> ParsedFleet | tuple[str, ...]:
    return parse_fleet_text(text.encode(), "fleet.yaml")


def with_policy(policy: str, counts: tuple[int, ...] = (2,), more: str = "") -> str:
    """The fleet on AWS with so many relays in each region and this policy, which stands on the lines from 1000 on."""
    region = AWS[AWS.index("  eu-central-1:\n") : AWS.index("partners:\n")]
    named = {
        name: edit(region, "eu-central-1", name).replace("subnet-0", f"subnet-{number}")
        for number, name in enumerate(("eu-central-1", "us-east-1", "sa-east-1"))
    }
    regions = "".join(
        edit(text, "count: 2", f"count: {count}") for text, count in zip(named.values(), counts, strict=False)
    )
    return "\n" * (1000 - 1 - 1) + edit(edit(AWS, region, regions), "fleet:", f"#\nrollout: {{{policy}}}\n{more}fleet:")


def findings(text: str) -> tuple[str, ...]:
    found = read(text)
    return found if isinstance(found, tuple) else ()


def policy(text: str) -> RolloutSpec:
    found = read(text)
    assert isinstance(found, ParsedFleet), found
    return found.spec.rollout


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("max_unavailable: 0", f"max_unavailable: found 0, {SHARE}"),
        ("max_unavailable: 0%", f'max_unavailable: found "0%", {SHARE}'),
        ("max_unavailable: 101%", f'max_unavailable: found "101%", {SHARE}'),
        ("max_unavailable: 20.5%", f'max_unavailable: found "20.5%", {SHARE}'),
        ("max_unavailable: true", f"max_unavailable: found true, {SHARE}"),
        ("max_unavailable: 0.2", f"max_unavailable: found 0.2, {SHARE}"),
        ("max_unavailable: null", f"max_unavailable: found nothing, {SHARE}"),
        ("max_unavailable: []", f"max_unavailable: found a list, {SHARE}"),
        ("canary_bake: 0", f"canary_bake: found 0, {DURATION}, or null"),
        ("bake: never", f'bake: found "never", {DURATION}, or null'),
        ("drain_time: ", f"drain_time: found nothing, {DURATION}, or null"),
        ("drain_deadline: ", f"drain_deadline: found nothing, {DURATION}"),
        ("drain_deadline: null", f"drain_deadline: found nothing, {DURATION}"),
        ("slowest_restart: 1", "slowest_restart: found 1, expected a whole number from 2 to 1000, or null"),
        ("slowest_restart: ", "slowest_restart: found nothing, expected a whole number from 2 to 1000, or null"),
        ("order: random", 'order: found "random", expected spread or by-region'),
        ("canaries: 11", "canaries: found 11, expected a whole number from 0 to 10"),
    ],
)
def test_a_value_that_cannot_be_is_said_in_words(written: str, expected: str) -> None:
    assert findings(with_policy(written)) == (f"fleet.yaml:1000: rollout.{expected}",)


@pytest.mark.parametrize("key", ["canary_bake", "bake", "drain_time"])
@pytest.mark.parametrize("nothing", ["null", "~"])
def test_null_is_a_wish_where_it_is_written(key: str, nothing: str) -> None:
    assert getattr(policy(with_policy(f"{key}: {nothing}")), key) is None


def test_canaries_need_no_bake() -> None:
    read_as = policy(with_policy("canaries: 1, canary_bake: null"))
    assert (read_as.canaries, read_as.canary_bake, read_as.bake) == (1, None, timedelta(minutes=2))


# --- the budget ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "of_fleet", "of_region", "found"),
    [
        ((5, 5), "1", "2", "found 2, expected at most max_unavailable, which is 1"),
        ((0, 0), "1", "2", "found 2, expected at most max_unavailable, which is 1"),
        ((5, 5), "20%", "3", 'found 3, expected at most max_unavailable, which is "20%" (2 in all)'),
        ((8, 4), "1", "50%", 'found "50%" (2 in the smallest region), expected at most max_unavailable, which is 1'),
        (
            (4, 4),
            "10%",
            "50%",
            'found "50%" (2 in the smallest region), expected at most max_unavailable, which is "10%" (1 in all)',
        ),
    ],
)
def test_a_region_limit_that_no_region_could_reach_is_a_mistake(
    counts: tuple[int, ...], of_fleet: str, of_region: str, found: str
) -> None:
    text = with_policy(f"max_unavailable: {of_fleet}, max_unavailable_per_region: {of_region}", counts)
    assert f"fleet.yaml:1000: rollout.max_unavailable_per_region: {found}" in findings(text)


@pytest.mark.parametrize(
    ("counts", "of_fleet", "of_region"),
    [
        ((5, 5), "20%", "2"),
        ((5, 5), "20%", "40%"),
        ((8, 3), "1", "50%"),
        ((8, 3, 0), "10%", "50%"),
        ((1,), "1%", "1"),
        ((2, 2), "100%", "100%"),
    ],
)
def test_a_region_limit_that_some_region_can_reach_is_none(
    counts: tuple[int, ...], of_fleet: str, of_region: str
) -> None:
    text = with_policy(f"max_unavailable: {of_fleet}, max_unavailable_per_region: {of_region}", counts)
    assert findings(text) == ()


def test_hosts_that_are_to_go_do_not_count_towards_a_share() -> None:
    kept = edit(STATIC, "partners:", "rollout: {max_unavailable: 70%, max_unavailable_per_region: 2}\npartners:")
    gone = edit(kept, "        number: 2\n", "        number: 2\n        retire: true\n")
    assert findings(kept) == ()
    assert findings(gone) == (
        'fleet.yaml:24: rollout.max_unavailable_per_region: found 2, expected at most max_unavailable, which is "70%" (1 in all)',
    )


def test_nothing_is_said_of_a_share_while_a_region_is_not_valid() -> None:
    text = with_policy("max_unavailable: 20%, max_unavailable_per_region: 3")
    found = findings(edit(text, "count: 2", "count: two"))
    assert [line for line in found if "rollout" in line] == []


# --- canaries and times ----------------------------------------------------------------------------------------------


def test_there_are_not_more_canaries_than_relays() -> None:
    assert findings(with_policy("canaries: 3")) == (
        "fleet.yaml:1000: rollout.canaries: found 3, expected at most 2, which is the number of relays",
    )
    assert policy(with_policy("canaries: 2")).canaries == 2
    assert policy(with_policy("canaries: 3", (1, 1, 1))).canaries == 3


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("drain_time: 6m", "drain_time: found 6m, expected at most drain_deadline, which is 5m"),
        (
            "drain_time: 21s, drain_deadline: 20s",
            "drain_time: found 21s, expected at most drain_deadline, which is 20s",
        ),
        ("drain_deadline: 30s", "drain_deadline: found 30s, expected at least drain_time, which is 1m"),
    ],
)
def test_a_drain_does_not_end_before_its_least_time(written: str, found: str) -> None:
    assert findings(with_policy(written)) == (f"fleet.yaml:1000: rollout.{found}",)


@pytest.mark.parametrize("written", ["drain_time: 5m", "drain_time: null, drain_deadline: 1s"])
def test_a_drain_may_end_with_its_least_time_or_have_none(written: str) -> None:
    assert findings(with_policy(written)) == ()


@pytest.mark.parametrize(
    ("written", "more", "place"),
    [
        ("progress_deadline: 5s", "", "1000: rollout.progress_deadline"),
        ("progress_deadline: 30s", "controller: {look_every: 30s}\n", "1000: rollout.progress_deadline"),
        ("", "controller: {look_every: 20m}\n", "1001: controller.look_every"),
    ],
)
def test_nobody_fails_for_want_of_progress_between_two_looks(written: str, more: str, place: str) -> None:
    (found,) = findings(with_policy(written, more=more))
    assert found.startswith(f"fleet.yaml:{place}: found a progress_deadline of ")
    assert found.endswith("expected a deadline that is longer than the pause between two looks")
