"""Whether it is the relays that are stale, or everybody, or our own clock."""

from __future__ import annotations

import pytest

from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.planning.freshness import AHEAD_SECONDS, warn_of_clock, why_all_stale
from tests.scenarios.looks import serving_look

LOOK = serving_look()
PARTNERS = ("alpha", "beta")
OK, STALE, REFUSED = Verdict.OK, Verdict.STALE_TIP, Verdict.REFUSED


def sightings(partners, relays, age=700.0):
    """Partners and relays with these verdicts, in this order."""
    named = [*zip(PARTNERS, partners, strict=False), *((f"r{n}", verdict) for n, verdict in enumerate(relays))]
    return {name: Sighting(verdict, tip_age_seconds=age) for name, verdict in named}


@pytest.mark.parametrize(
    ("partners", "relays", "all_stale"),
    [
        ((STALE, STALE), (STALE, STALE, OK), True),
        ((STALE,), (STALE, STALE, OK), True),
        ((STALE, REFUSED), (STALE, STALE, OK), True),
        ((STALE, OK), (STALE, STALE, STALE), False),
        ((REFUSED, REFUSED), (STALE, STALE, STALE), False),
        ((), (STALE, STALE, STALE), False),
        ((STALE, STALE), (STALE, OK), False),
        ((STALE, STALE), (STALE, OK, REFUSED), False),
        ((STALE, STALE), (STALE, REFUSED, REFUSED), True),
        ((STALE, STALE), (OK, OK), False),
        ((STALE, STALE), (), False),
    ],
)
def test_everybody_is_stale_if_all_partners_who_answer_are_and_most_relays(partners, relays, all_stale):
    assert (why_all_stale(LOOK, sightings(partners, relays)) is not None) is all_stale


def test_it_is_said_how_many_are_stale_and_how_old_the_youngest_partner_s_tip_is():
    seen = sightings((STALE, STALE), (STALE, STALE, OK)) | {
        "alpha": Sighting(STALE, tip_age_seconds=900.0),
        "beta": Sighting(STALE, tip_age_seconds=800.4),
    }
    text = why_all_stale(LOOK, seen)
    assert text.startswith("all 2 partners and 2 of 3 relays are stale, the youngest tip of a partner is 800 s old")


def test_a_partner_without_an_age_is_not_the_youngest():
    seen = sightings((STALE, STALE), (STALE,)) | {"alpha": Sighting(STALE, tip_age_seconds=None)}
    assert "is 700 s old" in why_all_stale(LOOK, seen)
    none = {name: Sighting(STALE, tip_age_seconds=None) for name in seen}
    assert "is 0 s old" in why_all_stale(LOOK, none)


@pytest.mark.parametrize(
    ("ages", "warned"),
    [
        ((-AHEAD_SECONDS - 1,), True),
        ((-AHEAD_SECONDS,), False),
        ((-60.0, -60.0, 5.0), True),
        ((-60.0, 5.0), False),
        ((-60.0, -60.0, 5.0, 5.0, None), False),
        ((None, None), False),
        ((), False),
    ],
)
def test_our_clock_is_slow_if_most_tips_are_ahead_of_it(ages, warned):
    seen = {f"r{number}": Sighting(OK, tip_age_seconds=age) for number, age in enumerate(ages)}
    assert len(list(warn_of_clock(seen))) == warned


def test_a_slow_clock_is_told_of_with_the_most_it_can_be():
    seen = {f"r{number}": Sighting(OK, tip_age_seconds=age) for number, age in enumerate((-30.0, -45.0, 3.0))}
    assert list(warn_of_clock(seen)) == [
        "2 of 3 tips are ahead of this machine's clock, by up to 45 s: the clock is slow"
    ]


def test_ten_seconds_are_no_slow_clock_and_eleven_are():
    assert [len(list(warn_of_clock({"r": Sighting(OK, tip_age_seconds=-age)}))) for age in (10.0, 11.0)] == [0, 1]
