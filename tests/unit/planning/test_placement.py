"""Which subnet, and so which zone, a launch goes to: one table of counts in, one choice out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import InstanceState, Volume
from orchestrator.fleet.relay import Relay
from orchestrator.planning.placement import pick_subnet
from tests.scenarios.looks import EU1, instance_of, serving_look

RELAY = Relay(EU1, "eu-central-1", 1)
ZONES = (("subnet-b", "eu-b"), ("subnet-a", "eu-a"), ("subnet-c", "eu-c"))


def cloud(*instances, volumes=()):
    """Zones of two regions, with these instances in them."""
    seen = serving_look().seen.cloud
    zones = {"eu-central-1": ZONES, "us-east-1": (("subnet-a", "us-a"),)}
    return replace(seen, instances=instances, volumes=volumes, zones=zones)


def instance(subnet, **changes):
    return replace(instance_of(serving_look(), EU1), subnet=subnet, **changes)


def disk(zone, region="eu-central-1", relay=EU1):
    return Volume("vol-1", region, zone, relay, "store", 100, None)


def intent(subnet):
    return replace(serving_look().record.intents[0], subnet=subnet)


def test_the_first_by_zone_is_chosen_where_nothing_else_speaks():
    assert pick_subnet(RELAY, cloud(), {}, ()) == ("subnet-a", "eu-a")


def test_of_two_subnets_in_one_zone_the_first_by_name_is_chosen():
    view = replace(cloud(), zones={"eu-central-1": (("subnet-2", "eu-a"), ("subnet-1", "eu-a"))})
    assert pick_subnet(RELAY, view, {}, ()) == ("subnet-1", "eu-a")


def test_the_zone_with_the_fewest_relays_is_chosen():
    view = cloud(instance("subnet-a"), instance("subnet-a"), instance("subnet-b"), instance("subnet-c"))
    assert pick_subnet(RELAY, view, {}, ()) == ("subnet-b", "eu-b")


def test_relays_that_are_planned_count_as_well():
    assert pick_subnet(RELAY, cloud(instance("subnet-b")), {"subnet-a": 2, "subnet-c": 2}, ()) == ("subnet-b", "eu-b")


@pytest.mark.parametrize(
    "changes",
    [
        {"region": "us-east-1"},
        {"state": InstanceState.TERMINATED},
        {"state": InstanceState.SHUTTING_DOWN},
    ],
)
def test_instances_elsewhere_and_those_that_are_gone_take_no_place(changes):
    assert pick_subnet(RELAY, cloud(instance("subnet-a", **changes)), {}, ()) == ("subnet-a", "eu-a")


def test_the_zone_of_its_own_disk_comes_before_all():
    view = cloud(instance("subnet-c"), instance("subnet-c"), volumes=(disk("eu-c"),))
    assert pick_subnet(RELAY, view, {}, ()) == ("subnet-c", "eu-c")


@pytest.mark.parametrize("another", [disk("eu-c", relay="demo-eu-central-1-02"), disk("eu-c", region="us-east-1")])
def test_disks_of_other_relays_and_regions_bind_nobody(another):
    assert pick_subnet(RELAY, cloud(volumes=(another,)), {}, ()) == ("subnet-a", "eu-a")


def test_a_zone_that_refused_is_not_asked_again():
    assert pick_subnet(RELAY, cloud(volumes=(disk("eu-a"),)), {}, (intent("subnet-a"),)) == ("subnet-b", "eu-b")


def test_there_is_no_choice_once_all_have_refused_or_the_region_has_none():
    assert pick_subnet(RELAY, cloud(), {}, [intent(subnet) for subnet, _ in ZONES]) is None
    assert pick_subnet(replace(RELAY, region="sa-east-1"), cloud(), {}, ()) is None
