"""What the judgement of the chain makes of a relay's phase: quarantine, doubt, and patience where everybody is stale."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType, SimpleNamespace

import pytest

from orchestrator.fleet.observation import Unreachable, Verdict
from orchestrator.fleet.record import NO_EVIDENCE, Quarantine
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.standing import LIVING, apply_judgement, list_releases
from orchestrator.planning.trust import ChainVerdict, Judgement, Stand
from tests.scenarios.looks import EU1, EU2, instance_of, serving_look, view_in, with_facts, with_host

LOOK = serving_look()
VIEW = view_in(LOOK, EU1)
ALLOWED = LOOK.spec.health.max_tip_age.total_seconds()
NEEDED = LOOK.spec.trust.return_after.total_seconds()


def judged(stand=None, *, behind=None, quarantine=None, all_stale=None):
    verdicts = {} if stand is None else {EU1: ChainVerdict(stand, "as judged", behind)}
    quarantines = {} if quarantine is None else {EU1: quarantine}
    return Judgement(
        verdicts, quarantines, halted=None, warnings=(), agreed_tip=None, evidence=NO_EVIDENCE, all_stale=all_stale
    )


def seen_as(verdict=Verdict.OK, age=10.0, partners=Verdict.OK):
    sightings = dict(LOOK.seen.sightings)
    sightings[EU1] = replace(sightings[EU1], verdict=verdict, tip_age_seconds=age)
    sightings |= {p.name: replace(sightings[p.name], verdict=partners) for p in LOOK.spec.partners}
    return replace(LOOK, seen=replace(LOOK.seen, sightings=MappingProxyType(sightings)))


def apply(judgement, phase=Phase.SERVING, look=LOOK):
    view = apply_judgement(
        replace(VIEW, phase=phase, health=Health.HEALTHY, reason="as it was", chain="old"), judgement, look
    )
    return view.phase, view.health, view.reason


UNCHANGED = Health.HEALTHY, "as it was"
DOUBTED = Phase.SYNCING, Health.UNHEALTHY


def test_what_was_judged_is_told_beside_the_phase_and_nothing_old():
    assert apply_judgement(VIEW, judged(Stand.AGREES), LOOK).chain == "as judged"
    assert apply_judgement(replace(VIEW, chain="old"), judged(), LOOK).chain == ""


@pytest.mark.parametrize("phase", list(Phase))
def test_a_quarantine_takes_whoever_may_answer_the_wire(phase):
    found = apply(judged(Stand.AGREES, quarantine=Quarantine(EU1, LOOK.now, "forked at slot 5")), phase)
    taken = (Phase.QUARANTINED, Health.UNHEALTHY, "forked at slot 5")
    living = {
        Phase.SERVING,
        Phase.SYNCING,
        Phase.DEPLOYING,
        Phase.STAGING,
        Phase.PREPARING,
        Phase.UNKNOWN,
        Phase.QUARANTINED,
    }
    assert found == (taken if phase in living else (phase, *UNCHANGED))
    assert {*LIVING, Phase.QUARANTINED} == living


def test_a_quarantine_says_how_long_its_relay_has_agreed_again():
    quarantine = Quarantine(EU1, LOOK.now, "forked", agreeing_since=LOOK.now - timedelta(seconds=40))
    _, _, reason = apply(judged(Stand.AGREES, quarantine=quarantine))
    assert reason == f"forked; agrees again for 40 of {NEEDED:.0f} s, then an apply takes it back"


@pytest.mark.parametrize("phase", list(Phase))
def test_without_a_verdict_nothing_changes(phase):
    assert apply(judged(), phase) == (phase, *UNCHANGED)


def test_another_network_that_nobody_confirms_is_no_quarantine():
    assert apply(judged(Stand.CANNOT_TELL), Phase.QUARANTINED) == (Phase.SYNCING, Health.HEALTHY, "as judged")


@pytest.mark.parametrize("stand", [Stand.AGREES, Stand.LAGS, Stand.CANNOT_TELL])
def test_a_serving_relay_of_which_nothing_is_proven_serves_on(stand):
    assert apply(judged(stand, behind=0.0)) == (Phase.SERVING, *UNCHANGED)
    assert apply(judged(stand)) == (Phase.SERVING, *UNCHANGED)


def test_a_suspect_does_not_serve():
    assert apply(judged(Stand.SUSPECTED)) == (*DOUBTED, "as judged")


@pytest.mark.parametrize(("behind", "doubted"), [(ALLOWED, False), (ALLOWED + 1, True)])
def test_a_relay_too_far_behind_the_others_does_not_serve_however_young_its_tip_looks(behind, doubted):
    phase, health, reason = apply(judged(Stand.LAGS, behind=behind))
    assert (phase, health) == (DOUBTED if doubted else (Phase.SERVING, Health.HEALTHY))
    if doubted:
        text = f"its tip is {behind:.0f} s behind the others', at most {ALLOWED:.0f} s is allowed: as judged"
        assert reason == text


@pytest.mark.parametrize(
    ("behind", "age", "partners", "doubted"),
    [
        (-ALLOWED, None, Verdict.STALE_TIP, False),
        (-ALLOWED - 1, None, Verdict.STALE_TIP, True),
        (-ALLOWED - 1, 10.0, Verdict.STALE_TIP, True),
        # As fresh as a partner: the others are stale.
        (-ALLOWED - 1, 10.0, Verdict.OK, False),
        (-ALLOWED - 1, -ALLOWED, Verdict.OK, False),
        (-ALLOWED - 1, -ALLOWED - 1, Verdict.OK, True),
        (-ALLOWED - 1, None, Verdict.OK, True),
    ],
)
def test_a_relay_far_ahead_of_the_others_serves_only_if_a_partner_is_as_fresh(behind, age, partners, doubted):
    phase, health, reason = apply(judged(Stand.CANNOT_TELL, behind=behind), look=seen_as(age=age, partners=partners))
    assert (phase, health) == (DOUBTED if doubted else (Phase.SERVING, Health.HEALTHY))
    if doubted:
        assert reason == f"its tip is {-behind:.0f} s ahead of the others', as none of this chain can be: as judged"


def test_one_fresh_partner_is_enough():
    look = seen_as()
    silent = {name: seen for name, seen in look.seen.sightings.items() if name != "alpha"}
    look = replace(look, seen=replace(look.seen, sightings=silent))
    assert apply(judged(Stand.CANNOT_TELL, behind=-ALLOWED - 1), look=look)[0] is Phase.SERVING
    silent.pop("beta")
    look = replace(look, seen=replace(look.seen, sightings=silent))
    assert apply(judged(Stand.CANNOT_TELL, behind=-ALLOWED - 1), look=look)[0] is Phase.SYNCING


@pytest.mark.parametrize(
    ("phase", "stand", "all_stale", "verdict", "serves"),
    [
        (Phase.SYNCING, Stand.AGREES, "all are", Verdict.STALE_TIP, True),
        (Phase.SYNCING, Stand.AGREES, None, Verdict.STALE_TIP, False),
        (Phase.SYNCING, Stand.LAGS, "all are", Verdict.STALE_TIP, False),
        (Phase.SYNCING, Stand.AGREES, "all are", Verdict.OK, False),
        (Phase.DEPLOYING, Stand.AGREES, "all are", Verdict.STALE_TIP, False),
    ],
)
def test_where_everybody_is_stale_a_stale_relay_that_agrees_serves(phase, stand, all_stale, verdict, serves):
    judgement = judged(stand, all_stale=all_stale)
    view = replace(VIEW, phase=phase, health=Health.UNHEALTHY, reason="as it was")
    found = apply_judgement(view, judgement, seen_as(verdict))
    expected = (Phase.SERVING, Health.HEALTHY, "serves; everybody's tip is stale")
    assert (found.phase, found.health, found.reason) == (expected if serves else (phase, Health.UNHEALTHY, "as it was"))


def test_a_relay_that_was_not_probed_is_not_stale():
    sightings = {name: seen for name, seen in LOOK.seen.sightings.items() if name != EU1}
    look = replace(LOOK, seen=replace(LOOK.seen, sightings=sightings))
    assert apply(judged(Stand.AGREES, all_stale="all are"), Phase.SYNCING, look) == (Phase.SYNCING, *UNCHANGED)


def slot(relay, look, *, empty=False):
    """What is asked of a slot: its relay, and the instance that fills it."""
    return SimpleNamespace(relay=view_in(LOOK, relay), current=None if empty else instance_of(look, relay))


def test_releases_are_of_relays_whose_link_leads_to_one_of_the_fleet_file_s():
    look = with_facts(LOOK, EU2, release="e" * 64)
    assert list_releases([slot(EU1, look), slot(EU2, look)], look) == {EU1: "10.5.1"}
    assert list_releases([slot(EU1, look, empty=True)], look) == {}
    silent = with_host(LOOK, EU1, Unreachable("no answer"))
    assert list_releases([slot(EU1, silent)], silent) == {}
