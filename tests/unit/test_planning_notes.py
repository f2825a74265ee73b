"""What is told beside a phase, on a serving fleet with one thing changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Deploy, Phase
from orchestrator.planning.reconcile import plan_fleet
from tests.scenarios.looks import EU1, serving_look, steps_of, view_in, with_facts

LIMIT = serving_look().spec.connections.hard_limit


def silent(look: Look, verdict: Verdict, inbound: int | None) -> Look:
    """EU1 does not answer, and its metrics count so many connections."""
    sightings = {**look.seen.sightings, EU1: Sighting(verdict, "as seen")}
    look = replace(look, seen=replace(look.seen, sightings=sightings))
    return with_facts(look, EU1, metrics=NodeMetrics("new", tip_slot=1, inbound=inbound))


@pytest.mark.parametrize("verdict", [Verdict.HANDSHAKE_TIMEOUT, Verdict.CONNECT_TIMEOUT])
def test_a_full_relay_is_saturated_whether_or_not_its_queue_still_lets_connect(verdict: Verdict) -> None:
    view = view_in(silent(serving_look(), verdict, LIMIT), EU1)
    assert (view.phase, view.reason) == (Phase.SYNCING, f"saturated: {LIMIT} of {LIMIT} connections")


def test_one_that_nobody_can_connect_to_does_not_hang() -> None:
    view = view_in(silent(serving_look(), Verdict.CONNECT_TIMEOUT, 3), EU1)
    assert view.reason == "does not serve: as seen"


def test_one_that_lets_connect_and_never_answers_hangs() -> None:
    view = view_in(silent(serving_look(), Verdict.HANDSHAKE_TIMEOUT, 3), EU1)
    assert view.reason == f"hangs: connects, but no handshake, with 3 of {LIMIT} connections"


def test_a_saturated_relay_is_not_restarted_as_if_nobody_hung_on_to_it() -> None:
    """One at a time of those that are out and still have consumers, as for relays whose tip is stale."""
    look = silent(serving_look(), Verdict.CONNECT_TIMEOUT, LIMIT)
    look = with_facts(look, EU1, running_restart_digest="another")
    deploys = [a for a in plan_fleet(look).actions if isinstance(a, Deploy)]
    assert [(a.relay, a.disturbs) for a in deploys] == [(EU1, True)], steps_of(plan_fleet(look), EU1)


def test_an_answer_that_takes_long_is_named_and_serves() -> None:
    look = serving_look()
    slow = replace(look.seen.sightings[EU1], handshake_seconds=3.14)
    look = replace(look, seen=replace(look.seen, sightings={**look.seen.sightings, EU1: slow}))
    view = view_in(look, EU1)
    assert (view.phase, view.notes) == (Phase.SERVING, ("answers slowly: 3.1 s",))
