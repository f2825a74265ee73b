"""How one look after another makes a suspicion of a parting, a proof of a suspicion, and a quarantine of a proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.record import NO_EVIDENCE, Pin, Quarantine, Suspicion
from orchestrator.planning.trust import Stand
from tests.planning_chains import EVERY, LAST, NAMES, chain, judge, point, tip
from tests.scenarios.looks import EU1, EU2, instance_of, serving_look

NOW = serving_look().now
BORN = instance_of(serving_look(), EU1).launched_at
RETURN = serving_look().spec.trust.return_after
LOOKS = serving_look().spec.trust.fork_looks
US1 = "demo-us-east-1-01"
AT_FORK = (point(10), 10, 11)
STALE = {"verdict": Verdict.STALE_TIP}


def suspicion(looks=1, newest=12, *, at=AT_FORK, since=NOW, name=EU1):
    return Suspicion(name, *at, looks=looks, newest_lacking=None if newest is None else point(newest), since=since)


def suspecting(*found):
    return replace(NO_EVIDENCE, suspicions={each.name: each for each in found})


def confined(*found):
    return replace(NO_EVIDENCE, quarantines={each.relay: each for each in found})


def verdict(judged, name=EU1):
    return judged.verdicts[name].stand, judged.verdicts[name].text


def only(*names):
    """Nobody but these shows anything."""
    return dict.fromkeys(name for name in NAMES if name not in names)


def pinned(block, branch="main"):
    return Pin(point(block, branch), "somebody", "because", NOW)


# --- all is well ---


def test_where_all_are_on_one_chain_all_agree_on_its_newest_block_that_most_have():
    judged = judge(20, shown={EU1: tip(21), US1: tip(16)})
    assert {each.stand for each in judged.verdicts.values()} == {Stand.AGREES}
    assert judged.agreed_tip == point(20)
    assert (judged.halted, judged.warnings, judged.sides, judged.quarantines) == (None, (), (), {})


def test_verdicts_come_by_name():
    assert list(judge(20).verdicts) == sorted(NAMES)
    backwards = {name: tip(20) for name in reversed(NAMES)}
    judged = judge(20, shown={**only(), **backwards})
    assert list(judged.verdicts) == sorted(NAMES)


def test_a_fleet_alone_agrees_with_itself_and_on_nothing():
    judged = judge(20, shown={"alpha": None, "beta": None})
    assert verdict(judged) == (Stand.AGREES, "agrees with the rest of the fleet; no partner's chain is known")
    assert judged.agreed_tip is None


def test_a_camp_without_a_common_block_has_no_agreed_tip():
    judged = judge(20, shown={name: tip(20 + place, asked=frozenset()) for place, name in enumerate(NAMES)})
    assert judged.agreed_tip is None


@pytest.mark.parametrize(("block", "stand"), [(15, Stand.AGREES), (14, Stand.LAGS)])
def test_whoever_is_more_than_the_depth_of_a_fork_behind_the_middle_lags(block, stand):
    judged = judge(20, shown={EU1: tip(block)})
    assert verdict(judged)[0] is stand
    if stand is Stand.LAGS:
        assert verdict(judged)[1] == "lags by 120 slots (6 blocks)"


def test_how_much_older_a_tip_is_than_the_others_is_told():
    assert judge(20, shown={EU1: tip(18)}).verdicts[EU1].behind_seconds == 40.0
    assert judge(20, shown={EU1: tip(18, tip_age_seconds=None)}).verdicts[EU1].behind_seconds is None


def test_releases_are_remembered_of_relays_that_are_wanted():
    before = replace(NO_EVIDENCE, releases={EU1: "10.5.1", EU2: "10.5.1", "gone": "10.5.1"})
    judged = judge(20, {EU2: "10.6.0"}, evidence=before)
    assert judged.evidence.releases == {EU1: "10.5.1", EU2: "10.6.0"}


def test_what_everybody_s_stale_tip_means_halts_and_warns():
    stale = {name: tip(20, **STALE) for name in NAMES}
    judged = judge(20, shown=stale)
    assert judged.all_stale is not None
    assert judged.halted == judged.all_stale
    assert judged.warnings == (judged.all_stale,)


def test_a_split_halts_where_nothing_is_stale():
    judged = judge(20, shown={name: tip(30, "fork") for name in ("alpha", EU1)})
    assert judged.halted is not None
    assert judged.all_stale is None
    assert len(judged.sides) == 2


# --- whoever shows nothing ---


@pytest.mark.parametrize(
    ("sighting", "text"),
    [
        (Sighting(Verdict.OK), "has no block yet"),
        (Sighting(Verdict.STALE_TIP), "has no block yet"),
        (Sighting(Verdict.REFUSED), "shows no tip"),
    ],
)
def test_of_whoever_shows_no_tip_nothing_can_be_told(sighting, text):
    assert verdict(judge(20, shown={EU1: sighting})) == (Stand.CANNOT_TELL, text)


WRONG = Sighting(Verdict.WRONG_MAGIC, "version data mismatch")


def test_another_network_is_proven_where_a_partner_takes_our_magic():
    judged = judge(20, shown={EU1: WRONG, "beta": WRONG})
    assert verdict(judged) == (Stand.OTHER_NETWORK, "is on another network: version data mismatch")
    assert judged.quarantines[EU1] == Quarantine(EU1, NOW, "is on another network: version data mismatch")
    assert "beta" not in judged.quarantines


@pytest.mark.parametrize("partners", [WRONG, None, Sighting(Verdict.REFUSED)])
def test_another_network_may_be_ours_where_no_partner_takes_our_magic(partners):
    judged = judge(20, shown={EU1: WRONG, "alpha": partners, "beta": partners})
    text = "refuses magic 42, and no partner is there to confirm it: version data mismatch"
    assert verdict(judged) == (Stand.CANNOT_TELL, text)
    assert judged.quarantines == {}


# --- suspicions ---


def test_a_parting_is_remembered_and_suspected_once_it_is_deeper_than_a_slot_battle():
    judged = judge(20, shown={EU1: tip(16, "fork")})
    assert judged.evidence.suspicions == {EU1: suspicion(1, 20)}
    text = f"forked at slot 200 (depth 6 blocks), now at {point(16, 'fork').short}, against 9 others"
    assert verdict(judged) == (Stand.SUSPECTED, f"{text}; proven in {LOOKS - 1} more looks")


def test_a_slot_battle_s_depth_is_no_suspicion_and_no_agreement():
    judged = judge(20, shown={EU1: tip(15, "fork")})
    assert judged.evidence.suspicions == {EU1: suspicion(0, None)}
    assert verdict(judged)[0] is Stand.AGREES


@pytest.mark.parametrize(("newest", "looks"), [(None, 2), (12, 2), (19, 2), (20, 1), (21, 1)])
def test_a_look_counts_if_it_brought_a_block_of_the_others_that_is_lacked(newest, looks):
    judged = judge(20, shown={EU1: tip(17, "fork")}, evidence=suspecting(suspicion(1, newest)))
    found = judged.evidence.suspicions[EU1]
    assert (found.looks, found.newest_lacking) == (looks, point(20 if looks == 2 else newest))


def test_a_look_without_a_block_that_was_asked_about_brings_nothing():
    blind = tip(17, "fork", asked=chain(10) | chain(17, "fork"))
    judged = judge(20, shown={EU1: blind}, evidence=suspecting(suspicion(1, 12)))
    assert judged.evidence.suspicions[EU1].looks == 1
    # And is no error where nothing was lacked before either.
    judged = judge(20, shown={EU1: blind}, evidence=suspecting(suspicion(0, None)))
    assert judged.evidence.suspicions[EU1].looks == 0


def test_enough_looks_prove_a_fork():
    judged = judge(20, shown={EU1: tip(17, "fork")}, evidence=suspecting(suspicion(LOOKS - 1, 19)))
    text = f"forked at slot 200 (depth 7 blocks), now at {point(17, 'fork').short}, against 9 others"
    assert verdict(judged) == (Stand.FORKED, text)
    assert judged.quarantines == {EU1: Quarantine(EU1, NOW, text)}


def test_a_parting_that_is_known_to_be_older_counts_by_what_was_known():
    known = suspicion(1, 12)
    forgetful = tip(20, "fork", asked=frozenset([point(9), point(18), point(18, "fork"), point(20)]))
    found = judge(20, shown={EU1: forgetful}, evidence=suspecting(known)).evidence.suspicions[EU1]
    assert (found.parted_block, found.looks) == (11, 2)
    younger = suspicion(1, 12, at=(point(10), 10, 15))
    found = judge(20, shown={EU1: tip(20, "fork")}, evidence=suspecting(younger)).evidence.suspicions[EU1]
    assert found.parted_block == 11


def test_depth_is_told_as_a_span_where_points_are_missing():
    sparse = tip(18, "fork", asked=frozenset([point(8), point(12), point(20)]))
    judged = judge(20, shown={EU1: sparse})
    assert "forked at slot 160 (depth 7 to 10 blocks)" in verdict(judged)[1]
    nothing = tip(18, "fork", asked=frozenset([point(12), point(20)]))
    assert "forked before every point known (depth 7 or more blocks)" in verdict(judge(20, shown={EU1: nothing}))[1]


def test_whoever_takes_the_others_blocks_was_in_a_slot_battle():
    judged = judge(20, shown={EU1: tip(20)}, evidence=suspecting(suspicion(2, 19)))
    assert judged.evidence.suspicions == {}
    assert verdict(judged)[0] is Stand.AGREES


def test_whoever_parts_again_later_is_suspected_anew():
    judged = judge(30, shown={EU1: tip(30, "late")}, evidence=suspecting(suspicion(2, 19)))
    assert judged.evidence.suspicions[EU1] == suspicion(1, 30, at=(point(18), 18, 19))


def test_whoever_shows_nothing_of_its_parting_has_not_cleared_itself():
    blind = tip(17, "fork", asked=frozenset([point(5)]))
    before = suspicion(2, 16)
    judged = judge(17, shown={EU1: blind}, evidence=suspecting(before))
    assert judged.evidence.suspicions[EU1].looks == 2


@pytest.mark.parametrize("shown", [None, Sighting(Verdict.REFUSED)])
def test_whoever_is_silent_has_not_cleared_itself(shown):
    judged = judge(20, shown={EU1: shown}, evidence=suspecting(suspicion(2, 16)))
    assert judged.evidence.suspicions == {EU1: suspicion(2, 16)}


def test_without_a_quorum_suspicions_stay_as_they_are():
    half = ["alpha", *[name for name in NAMES if name.startswith("demo-")][:4]]
    split = {name: tip(30, "fork") for name in half}
    judged = judge(30, shown=split, evidence=suspecting(suspicion(2, 16)))
    assert judged.evidence.suspicions == {EU1: suspicion(2, 16)}
    assert verdict(judged, US1)[0] is Stand.CANNOT_TELL


@pytest.mark.parametrize(("offset", "kept"), [(-1, False), (0, True), (1, True)])
def test_what_an_instance_before_did_says_nothing_of_this_one(offset, kept):
    before = suspicion(2, 16, since=BORN + timedelta(seconds=offset))
    judged = judge(20, shown={EU1: None}, evidence=suspecting(before))
    assert (EU1 in judged.evidence.suspicions) is kept


def test_suspicions_against_nobody_are_forgotten_and_partners_are_suspected_too():
    judged = judge(20, shown={"beta": None}, evidence=suspecting(suspicion(name="gone"), suspicion(name="beta")))
    assert set(judged.evidence.suspicions) == {"beta"}


def test_suspicions_come_by_name():
    judged = judge(20, shown={US1: tip(17, "fork"), EU2: None}, evidence=suspecting(suspicion(name=EU2)))
    assert list(judged.evidence.suspicions) == sorted([EU2, US1])


def test_those_whom_the_parting_itself_speaks_free_are_not_suspected():
    running = {name: "10.5.1" for name in NAMES if name.startswith("demo-")} | {EU1: "10.6.0"}
    judged = judge(20, running, shown={EU1: tip(17, "fork")}, evidence=suspecting(suspicion(LOOKS - 1, 12)))
    assert judged.evidence.suspicions[EU1].looks == LOOKS - 1
    assert verdict(judged)[0] is Stand.CANNOT_TELL
    assert verdict(judged)[1].startswith("cannot tell: the chain is split along releases")
    assert judged.quarantines == {}


# --- where nothing is known of it ---


def test_a_parting_that_may_be_deep_is_no_agreement_before_it_is_certain():
    sparse = tip(20, "late", asked=frozenset([point(10), point(19), point(20)]))
    judged = judge(20, shown={EU1: sparse})
    text = "cannot tell: differs in its newest 2 to 10 blocks, a slot battle or a fork; the next looks will tell"
    assert verdict(judged) == (Stand.CANNOT_TELL, text)


def test_whoever_has_none_of_the_others_newest_blocks_cannot_be_told():
    blind = tip(20, asked=frozenset([point(14)]))
    blind = replace(blind, tip_hash="unheard-of")
    assert verdict(judge(20, shown={EU1: blind}))[1] == "cannot tell: none of the others' newest blocks is known of it"
    near = replace(tip(20, asked=frozenset([point(15)])), tip_hash="unheard-of")
    assert verdict(judge(20, shown={EU1: near}))[0] is Stand.AGREES
    nothing = replace(tip(20, asked=frozenset()), tip_hash="unheard-of")
    assert verdict(judge(20, shown={EU1: nothing}))[0] is Stand.CANNOT_TELL


# --- quarantine ---


def test_a_quarantine_keeps_its_beginning_and_tells_the_newest():
    before = Quarantine(EU1, NOW - timedelta(hours=1), "old", agreeing_since=NOW)
    judged = judge(
        20, shown={EU1: tip(17, "fork")}, evidence=replace(confined(before), suspicions={EU1: suspicion(9, 19)})
    )
    assert judged.quarantines[EU1].since == before.since
    assert judged.quarantines[EU1].agreeing_since is None
    assert judged.quarantines[EU1].evidence.startswith("forked at slot 200")
    assert judged.evidence.quarantines == judged.quarantines


def test_whoever_agrees_again_waits_and_comes_back():
    before = Quarantine(EU1, NOW - timedelta(hours=1), "forked")
    agreeing = judge(20, evidence=confined(before)).quarantines
    assert agreeing == {EU1: replace(before, agreeing_since=NOW)}
    almost = judge(21, evidence=confined(agreeing[EU1]), later=RETURN - timedelta(seconds=1)).quarantines
    assert almost == agreeing
    assert judge(21, evidence=confined(agreeing[EU1]), later=RETURN).quarantines == {}


@pytest.mark.parametrize(
    "shown",
    [{EU1: None}, {EU1: tip(12)}, {EU1: Sighting(Verdict.REFUSED)}, {"alpha": None, "beta": None}],
)
def test_whoever_does_not_agree_with_a_partner_begins_to_wait_anew(shown):
    before = Quarantine(EU1, NOW - timedelta(hours=1), "forked", agreeing_since=NOW - timedelta(hours=1))
    assert judge(20, shown=shown, evidence=confined(before)).quarantines == {EU1: replace(before, agreeing_since=None)}


def test_the_operator_s_pin_takes_back_where_no_partner_speaks():
    before = Quarantine(EU1, NOW - timedelta(hours=1), "forked", agreeing_since=NOW - RETURN)
    assert judge(20, shown={"alpha": None, "beta": None}, evidence=confined(before), pin=pinned(9)).quarantines == {}


def test_quarantines_of_relays_that_nobody_wants_are_forgotten():
    gone = Quarantine("demo-eu-central-1-09", NOW, "forked")
    assert judge(20, evidence=confined(gone)).quarantines == {}


# --- the operator's word ---


def test_whoever_is_past_a_pinned_point_without_it_is_forked_and_its_suspicion_stays():
    before = suspicion(1, 12)
    judged = judge(
        20, shown={EU1: tip(20, "fork"), "beta": tip(20, "fork")}, evidence=suspecting(before), pin=pinned(12)
    )
    text = f"forked: at {point(20, 'fork').short} without the pinned point {point(12).short}"
    assert verdict(judged) == (Stand.FORKED, text)
    assert set(judged.quarantines) == {EU1}
    assert judged.evidence.suspicions == {EU1: before}
    assert judged.warnings == ("partners against the pinned point: beta",)


def test_whoever_has_not_reached_a_pinned_point_is_not_against_it():
    judged = judge(20, shown={EU1: tip(11, "fork")}, pin=pinned(12))
    assert judged.quarantines == {}
    at = judge(20, shown={EU1: tip(12, "fork")}, pin=pinned(12))
    assert set(at.quarantines) == {EU1}


def test_whoever_was_not_asked_about_a_pinned_point_is_not_against_it():
    blind = tip(20, "fork", asked=EVERY - {point(12)})
    assert verdict(judge(20, shown={EU1: blind}, pin=pinned(12)))[0] is Stand.SUSPECTED


def test_a_pin_that_nobody_has_halts_and_quarantines_nobody():
    judged = judge(20, shown={EU1: tip(20, "fork")}, pin=pinned(LAST, "late"))
    assert judged.halted == f"nobody who answers has the pinned point {point(LAST, 'late').short}"
    assert judged.warnings == (f"{judged.halted}: see `genesis-fleet trust show`",)
    assert judged.quarantines == {}
