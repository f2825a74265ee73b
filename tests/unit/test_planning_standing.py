"""What a tip far ahead of the others' makes of a relay: a liar from the future, or the only ones who are not stale."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import Verdict
from orchestrator.fleet.record import NO_EVIDENCE
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Phase
from orchestrator.planning.standing import apply_judgement
from orchestrator.planning.trust import ChainVerdict, Judgement, Stand
from tests.scenarios.looks import EU1, serving_look, view_in, with_sighting

AHEAD = -1760.0


def phase_of(look: Look, tip_age: float) -> Phase:
    """Judge a relay whose tip is so old by our clock, and far younger than what most of its camp have."""
    view = view_in(serving_look(), EU1)
    sighting = replace(serving_look().seen.sightings[EU1], tip_age_seconds=tip_age)
    look = replace(look, seen=replace(look.seen, sightings={**look.seen.sightings, EU1: sighting}))
    verdicts = {EU1: ChainVerdict(Stand.CANNOT_TELL, "cannot tell", AHEAD)}
    judged = Judgement(verdicts, {}, halted=None, warnings=(), agreed_tip=None, evidence=NO_EVIDENCE)
    return apply_judgement(view, judged, look).phase


def test_a_relay_as_fresh_as_a_partner_serves_though_most_others_are_stale() -> None:
    assert phase_of(serving_look(), tip_age=10.0) is Phase.SERVING


def test_a_relay_whose_tip_is_in_the_future_does_not_serve() -> None:
    assert phase_of(serving_look(), tip_age=AHEAD) is Phase.SYNCING


@pytest.mark.parametrize("verdict", [Verdict.STALE_TIP, Verdict.CONNECT_TIMEOUT])
def test_a_relay_far_ahead_of_the_others_does_not_serve_where_no_partner_is_as_fresh(verdict: Verdict) -> None:
    look = serving_look()
    for partner in look.spec.partners:
        look = with_sighting(look, partner.name, verdict)
    assert phase_of(look, tip_age=10.0) is Phase.SYNCING
