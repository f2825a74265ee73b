"""Which notes stand beside a relay's phase: only what is known, and nothing that the reason says already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Unreachable, Verdict
from orchestrator.planning.mesh import render_fleet
from orchestrator.planning.notes import add_notes
from orchestrator.planning.plan import Phase
from tests.scenarios.looks import EU1, serving_look, view_in, with_facts, with_host

LOOK = serving_look()
LIMIT = LOOK.spec.connections.hard_limit
SLOW = LOOK.spec.health.slow_after.total_seconds()
RENDERED = render_fleet(LOOK.wanted, LOOK.seen)[EU1]
UNCLEAN = "its chain was not closed cleanly before this start, so it is checked from its beginning"


def seen_as(look, **changes):
    """EU1 as the wire shows it, changed."""
    changed = replace(look.seen.sightings[EU1], **changes)
    return replace(look, seen=replace(look.seen, sightings={**look.seen.sightings, EU1: changed}))


def notes_of(look):
    return view_in(look, EU1).notes


@pytest.mark.parametrize(
    ("unclean", "verdict", "told"),
    [
        (True, Verdict.REFUSED, True),
        (False, Verdict.REFUSED, False),
        (True, Verdict.OK, False),
        (False, Verdict.OK, False),
    ],
)
def test_a_chain_that_was_not_closed_is_told_of_as_long_as_it_keeps_the_relay_from_serving(unclean, verdict, told):
    assert (UNCLEAN in notes_of(with_facts(seen_as(LOOK, verdict=verdict), EU1, unclean_start=unclean))) is told


@pytest.mark.parametrize(
    ("handshake", "round_trip", "said"),
    [
        (SLOW, SLOW, None),
        (SLOW + 0.5, 0.1, "2.5 s"),
        (0.1, SLOW + 1.5, "3.5 s"),
        (None, SLOW + 1, "3.0 s"),
        (SLOW + 1, None, "3.0 s"),
        (None, None, None),
    ],
)
def test_answers_slower_than_the_fleet_file_says_are_told_of_by_the_slower_of_the_two(handshake, round_trip, said):
    notes = notes_of(seen_as(LOOK, handshake_seconds=handshake, round_trip_seconds=round_trip))
    assert notes == (() if said is None else (f"answers slowly: {said}",))


def test_without_answers_at_all_nothing_is_slow_even_where_a_second_would_be():
    health = LOOK.spec.health.model_copy(update={"slow_after": LOOK.spec.health.slow_after / 4})
    spec = LOOK.spec.model_copy(update={"health": health})
    look = replace(LOOK, wanted=replace(LOOK.wanted, spec=spec))
    assert notes_of(seen_as(look, handshake_seconds=None, round_trip_seconds=0.1)) == ()
    assert notes_of(seen_as(look, handshake_seconds=0.1, round_trip_seconds=None)) == ()


def test_what_is_the_reason_already_is_not_noted_again():
    look = seen_as(
        with_facts(LOOK, EU1, metrics=NodeMetrics("new", tip_slot=1, inbound=LIMIT)), verdict=Verdict.HANDSHAKE_TIMEOUT
    )
    view = view_in(look, EU1)
    assert view.reason == f"saturated: {LIMIT} of {LIMIT} connections"
    assert not any("saturated" in note for note in view.notes)


def test_a_relay_that_replays_says_how_far_as_its_reason():
    replaying = NodeMetrics("new", replay_percent=40.0)
    view = view_in(with_facts(seen_as(LOOK, verdict=Verdict.REFUSED), EU1, metrics=replaying), EU1)
    assert (view.phase, view.reason) == (Phase.SYNCING, "replays its chain: 40 %")


@pytest.mark.parametrize("phase", [Phase.SERVING, Phase.STAGING])
def test_a_reason_is_made_exact_only_while_a_relay_syncs(phase):
    look = with_facts(seen_as(LOOK, verdict=Verdict.REFUSED), EU1, metrics=NodeMetrics("new", replay_percent=40.0))
    view = replace(view_in(LOOK, EU1), phase=phase, reason="as it was")
    assert add_notes(view, RENDERED, {}, look).reason == "as it was"


def test_of_a_host_that_was_not_inspected_nothing_is_noted():
    view = replace(view_in(LOOK, EU1), phase=Phase.SYNCING, reason="as it was", notes=("kept",))
    assert add_notes(view, RENDERED, {}, with_host(LOOK, EU1, Unreachable("no answer"))) == view
    assert add_notes(replace(view, instance=None), RENDERED, {}, LOOK) == replace(view, instance=None)


def test_without_a_sighting_nothing_is_noted():
    view = replace(view_in(LOOK, EU1), phase=Phase.SYNCING, reason="as it was")
    sightings = {name: seen for name, seen in LOOK.seen.sightings.items() if name != EU1}
    assert add_notes(view, RENDERED, {}, replace(LOOK, seen=replace(LOOK.seen, sightings=sightings))) == view


def test_a_hanging_relay_without_metrics_keeps_its_reason():
    look = with_facts(seen_as(LOOK, verdict=Verdict.HANDSHAKE_TIMEOUT), EU1, metrics=None)
    assert "hangs" not in view_in(look, EU1).reason


def test_the_sighting_of_another_relay_says_nothing():
    other = replace(LOOK.seen.sightings[EU1], handshake_seconds=9.0)
    look = replace(LOOK, seen=replace(LOOK.seen, sightings={**LOOK.seen.sightings, "demo-eu-central-1-02": other}))
    assert notes_of(look) == ()


def test_where_metrics_and_wire_disagree_it_is_noted():
    tip = LOOK.seen.sightings[EU1].tip_slot
    (note,) = notes_of(with_facts(LOOK, EU1, metrics=NodeMetrics("new", tip_slot=tip + 500)))
    assert note.endswith("500 slots apart")


def test_a_reload_that_the_log_does_not_confirm_is_noted():
    (note,) = notes_of(with_facts(LOOK, EU1, reload_logged=False, reloaded_seconds_ago=600.0))
    assert note.startswith("was told to reload its topology 10 min ago, and its log does not confirm it")
