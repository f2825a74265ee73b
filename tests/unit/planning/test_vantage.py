"""When a region counts as dark: nobody answers us, and relays elsewhere that have peers have none there."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from orchestrator.fleet.observation import CloudView, InstanceState, Observation, Sighting, Unreachable, Verdict
from orchestrator.planning.vantage import find_dark_regions
from tests.scenarios.looks import EU1, instance_of, serving_look

LOOK = serving_look()
SILENT = Unreachable("no answer")
FACTS = LOOK.seen.hosts[instance_of(LOOK, EU1).instance_id]
EU = ("eu1", "eu2")
ELSEWHERE = ("us1", "us2", "ap1")
ADDRESS = {"eu1": "192.0.2.11", "eu2": "192.0.2.12", "us1": "192.0.2.21", "us2": "192.0.2.22", "ap1": "192.0.2.31"}


def instance(name, **changes):
    made = replace(instance_of(LOOK, EU1), relay=name, instance_id=f"i-{name}", region=name[:2], address=ADDRESS[name])
    return replace(made, **changes)


def peers(*addresses):
    return replace(FACTS, peers=frozenset(addresses))


def dark(*, hosts=MappingProxyType({}), verdicts=MappingProxyType({}), **changes):
    """Regions that are dark, of a fleet whose relays in eu do not answer, and the others are connected with one another."""
    around = {"us1": peers(ADDRESS["us2"]), "us2": peers(ADDRESS["ap1"]), "ap1": peers(ADDRESS["us1"])}
    known = {**dict.fromkeys(EU, SILENT), **around, **hosts}
    seen = Observation(
        CloudView(instances=tuple(instance(name, **changes.get(name, {})) for name in (*EU, *ELSEWHERE))),
        hosts={f"i-{name}": host for name, host in known.items() if host is not None},
        sightings={name: Sighting(verdict) for name, verdict in verdicts.items()},
        in_flight={},
    )
    return find_dark_regions(seen)


def test_a_region_without_answers_that_nobody_elsewhere_is_connected_with_is_dark():
    assert dark() == {"eu"}
    assert dark(verdicts={"eu1": Verdict.CONNECT_TIMEOUT, "eu2": Verdict.NO_ROUTE}) == {"eu"}


@pytest.mark.parametrize("host", [FACTS, replace(FACTS, peers=None)])
def test_one_relay_that_answers_us_lights_its_region(host):
    assert dark(hosts={"eu2": host}) == set()


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict.OK,
        Verdict.STALE_TIP,
        Verdict.HANDSHAKE_TIMEOUT,
        Verdict.ANSWER_TIMEOUT,
        Verdict.WRONG_MAGIC,
        Verdict.REFUSED,
    ],
)
def test_whatever_somebody_there_must_have_caused_lights_the_region(verdict):
    assert dark(verdicts={"eu1": Verdict.NO_ROUTE, "eu2": verdict}) == set()


def test_one_that_was_not_asked_does_not_light_it_and_none_asked_does_not_darken_it():
    assert dark(hosts={"eu2": None}) == {"eu"}
    assert dark(hosts={"eu1": None, "eu2": None}) == set()


def test_a_single_connection_from_elsewhere_lights_it_however_the_address_is_written():
    assert dark(hosts={"us1": peers(ADDRESS["eu2"], ADDRESS["us2"])}) == set()
    assert dark(hosts={"us1": peers(f"::ffff:{ADDRESS['eu2']}")}) == set()


def test_one_elsewhere_without_any_peer_is_cut_off_itself_and_nobody_can_tell():
    assert dark(hosts={"us1": peers()}) == set()


@pytest.mark.parametrize("host", [SILENT, replace(FACTS, peers=None), None])
def test_whoever_does_not_say_who_its_peers_are_is_no_vantage(host):
    assert dark(hosts={"us1": host}) == {"eu"}
    assert dark(hosts={"us1": host, "us2": host}) == set()


def test_relays_whose_address_is_a_name_cannot_be_told_from_others():
    assert dark(eu1={"address": "relay.example"}) == set()
    assert dark(eu1={"address": None}) == set()


def test_only_running_instances_speak_or_are_missed():
    assert dark(eu2={"state": InstanceState.STOPPED, "address": None}) == {"eu"}
    assert dark(eu1={"state": InstanceState.STOPPED}, eu2={"state": InstanceState.PENDING}) == set()
    gone = {"state": InstanceState.TERMINATED}
    assert dark(us1=gone, us2=gone) == set()


def test_relays_of_the_region_itself_are_no_vantages_of_it():
    # All of us and ap are silent as well; what is left of them elsewhere is one.
    assert dark(hosts={"us1": SILENT, "us2": SILENT}) == set()


def test_each_of_two_dark_regions_is_found():
    more = {"us1": peers("198.51.100.1"), "us2": peers("198.51.100.1"), "ap1": SILENT}
    assert dark(hosts=more) == {"eu", "ap"}
