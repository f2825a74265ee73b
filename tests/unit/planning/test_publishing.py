"""Who is published: whoever serves and is trusted comes in; lack of evidence takes out only as far as the floor allows."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.planning.publishing import count_floor, pick_published, why_below_floor
from orchestrator.planning.trust import ChainVerdict, Judgement, Stand, judge_chain
from orchestrator.spec.policies import PublishSpec
from tests.scenarios.looks import serving_look

LOOK = serving_look()
JUDGED = judge_chain(LOOK, {})


def view(name, phase=Phase.SERVING, health=Health.HEALTHY, **changes):
    return replace(RelayView(name, name[5:-3], phase, health, ""), **changes)


def judged(**stands) -> Judgement:
    verdicts = {name.replace("_", "-"): ChainVerdict(stand, "") for name, stand in stands.items()}
    return replace(JUDGED, verdicts=verdicts)


def look_after(*before, floor=50, verdicts=MappingProxyType({}), dark=()):
    """A look before which these were published."""
    spec = LOOK.spec.model_copy(update={"publish": PublishSpec(floor_percent=floor)})
    evidence = replace(LOOK.record.evidence, published=frozenset(before))
    seen = replace(LOOK.seen, sightings={name: Sighting(verdict) for name, verdict in verdicts.items()})
    look = replace(
        LOOK, wanted=replace(LOOK.wanted, spec=spec), record=replace(LOOK.record, evidence=evidence), seen=seen
    )
    object.__setattr__(look, "by", replace(look.by, dark_regions=frozenset(dark)))
    return look


A, B, C, D = (f"demo-us-east-1-{number:02d}" for number in range(1, 5))
AGREE = dict.fromkeys((A, B, C, D), Stand.AGREES)


def published(views, look, *, frozen=False, stands=AGREE):
    return pick_published(views, judged(**stands), look, frozen=frozen)


@pytest.mark.parametrize(
    ("stand", "comes"),
    [
        (Stand.AGREES, True),
        (Stand.LAGS, True),
        (Stand.SUSPECTED, False),
        (Stand.CANNOT_TELL, False),
        (None, False),
    ],
)
def test_only_those_who_are_trusted_come_in_and_whoever_is_in_stays_while_it_serves(stand, comes):
    stands = {} if stand is None else {A: stand}
    assert published([view(A)], look_after(), stands=stands) == ({A} if comes else set())
    assert published([view(A)], look_after(A), stands=stands) == {A}


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": Phase.DEPLOYING, "health": Health.HEALTHY},
        {"phase": Phase.SERVING, "health": Health.UNHEALTHY},
        {"retiring": True},
        {"phase": Phase.QUARANTINED, "health": Health.UNHEALTHY},
        {"phase": Phase.DEAD, "health": Health.UNHEALTHY},
    ],
)
@pytest.mark.parametrize("before", [(), (A,)])
@pytest.mark.parametrize("frozen", [False, True])
def test_those_who_leave_or_do_not_serve_go_whatever_the_floor(changes, before, frozen):
    assert published([view(A, **changes)], look_after(*before, floor=100), frozen=frozen) == set()


def test_a_region_that_is_dark_goes_whatever_the_floor():
    look = look_after(A, B, floor=100, dark=["us-east-1"])
    assert published([view(A), view(B, Phase.UNKNOWN, Health.UNKNOWN)], look) == set()


@pytest.mark.parametrize("phase", [Phase.SYNCING, Phase.UNKNOWN])
def test_the_doubtful_stay_as_far_as_the_floor_asks_for_them(phase):
    views = [view(A), *(view(name, phase, Health.UNKNOWN) for name in (B, C, D))]
    assert published(views, look_after(A, B, C, D, floor=50)) == {A, B}
    assert published(views, look_after(A, B, C, D, floor=25)) == {A}
    assert published(views, look_after(A, B, C, D, floor=0)) == {A}
    assert published(views, look_after(A, B, C, D, floor=100)) == {A, B, C, D}


def test_whoever_was_not_published_is_not_published_in_doubt():
    views = [view(A), *(view(name, Phase.SYNCING, Health.UNHEALTHY) for name in (B, C, D))]
    assert published(views, look_after(A, floor=100)) == {A}


def test_of_the_doubtful_those_stay_that_answer_and_those_go_first_that_are_suspected():
    views = [view(name, Phase.SYNCING, Health.UNHEALTHY) for name in (A, B, C, D)]
    verdicts = {A: Verdict.STALE_TIP, B: Verdict.NO_ROUTE, C: Verdict.STALE_TIP, D: Verdict.STALE_TIP}
    stands = {**AGREE, A: Stand.SUSPECTED}
    for floor, stay in ((25, {C}), (50, {C, D}), (75, {B, C, D}), (100, {A, B, C, D})):
        assert published(views, look_after(A, B, C, D, floor=floor, verdicts=verdicts), stands=stands) == stay


def test_relays_that_leave_do_not_count_for_the_floor():
    views = [view(A, retiring=True), view(B, Phase.UNKNOWN, Health.UNKNOWN), view(C)]
    assert published(views, look_after(A, B, C, floor=50)) == {C}


def test_frozen_nobody_comes_and_nobody_goes_without_proof():
    views = [view(A), view(B), view(C, Phase.SYNCING, Health.UNHEALTHY), view(D, Phase.UNKNOWN, Health.UNKNOWN)]
    assert published(views, look_after(A, C, floor=0), frozen=True) == {A, C}


@pytest.mark.parametrize(
    ("wanted", "percent", "floor"), [(4, 50, 2), (5, 50, 3), (3, 1, 1), (3, 0, 0), (3, 100, 3), (0, 50, 0)]
)
def test_the_floor_is_rounded_up(wanted, percent, floor):
    spec = look_after(floor=percent).spec
    assert count_floor(wanted, spec) == floor


def test_fewer_than_the_floor_are_told_of():
    spec = look_after(floor=50).spec
    assert why_below_floor(2, 4, spec) is None
    assert why_below_floor(1, 4, spec) == "1 of 4 relays are published, the floor is 2: too few serve and are trusted"
