"""What belongs to nobody, and what only looks so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from orchestrator.fleet.observation import CloudView, ElasticAddress, Instance, InstanceState, Volume
from orchestrator.planning.audit import find_strays
from tests.scenarios.looks import EU1, instance_of, serving_look

LOOK = serving_look()
CLOUD = LOOK.seen.cloud
WANTED = {relay.name for relay in LOOK.wanted.relays}
MINE = instance_of(LOOK, EU1)
DISK = next(volume for volume in CLOUD.volumes if volume.attached_to == MINE.instance_id)
ADDRESS = next(each for each in CLOUD.addresses if each.attached_to == MINE.instance_id)
NOBODY = "demo-eu-central-1-99"


def strays(cloud: CloudView = CLOUD, wanted: Iterable[str] = WANTED) -> dict[str, str]:
    """What was found → why."""
    return {stray.what: stray.why for stray in find_strays(set(wanted), cloud, LOOK.record.store_id)}


def with_instance(**changes: object) -> CloudView:
    another: Instance = replace(MINE, **changes)  # type: ignore[arg-type]
    return replace(CLOUD, instances=(*CLOUD.instances, another))


def test_in_a_fleet_that_is_as_it_is_to_be_everything_is_somebodys() -> None:
    assert strays() == {}


def test_what_a_relay_has_that_nobody_asks_for_any_more_is_found() -> None:
    found = strays(wanted=WANTED - {EU1})
    assert found == {
        MINE.instance_id: "the fleet file asks for no such relay"
    }  # its disk and address are that instance's


def test_an_instance_launched_twice_is_found() -> None:
    later = with_instance(instance_id="i-later", generation=MINE.generation + 1)
    assert strays(later) == {MINE.instance_id: "i-later is the relay's instance"}


def test_an_instance_of_another_type_that_is_to_follow_is_none() -> None:
    assert strays(with_instance(instance_id="i-next", generation=MINE.generation + 1, instance_type="r6a.xlarge")) == {}


def test_an_instance_that_is_gone_is_none() -> None:
    assert strays(with_instance(instance_id="i-gone", generation=99, state=InstanceState.TERMINATED)) == {}


def test_what_another_store_launched_is_found() -> None:
    instances = tuple(replace(i, store_id="other") if i is MINE else i for i in CLOUD.instances)
    found = strays(replace(CLOUD, instances=instances))
    assert found == {MINE.instance_id: f"store other launched it, this one is {LOOK.record.store_id}"}


@pytest.mark.parametrize("thing", [DISK, ADDRESS], ids=["disk", "address"])
class TestDisksAndAddresses:
    def put(self, thing: Volume | ElasticAddress, *, alone: bool = False, **changes: object) -> CloudView:
        """The cloud with one more; `alone`: its relay has no other."""
        name = {"volume_id": "free"} if isinstance(thing, Volume) else {"address": "free", "allocation_id": "free"}
        another = replace(thing, **{**name, **changes})  # type: ignore[arg-type]
        cloud = CLOUD
        if alone:
            cloud = replace(
                CLOUD,
                volumes=tuple(v for v in CLOUD.volumes if v != DISK),
                addresses=tuple(a for a in CLOUD.addresses if a != ADDRESS),
            )
        if isinstance(another, Volume):
            return replace(cloud, volumes=(*cloud.volumes, another))
        return replace(cloud, addresses=(*cloud.addresses, another))

    def test_one_of_a_relay_that_nobody_asks_for_is_found(self, thing) -> None:
        found = strays(self.put(thing, attached_to=None, relay=NOBODY))
        assert found == {"free": "the fleet file asks for no such relay"}

    def test_a_free_one_of_a_relay_that_has_another_is_found(self, thing) -> None:
        has = thing.volume_id if isinstance(thing, Volume) else thing.address
        assert strays(self.put(thing, attached_to=None)) == {"free": f"the relay has {has}"}

    def test_a_free_one_of_a_relay_that_has_no_other_waits_for_its_next_instance(self, thing) -> None:
        assert strays(self.put(thing, alone=True, attached_to=None)) == {}

    def test_one_whose_instance_is_gone_is_found(self, thing) -> None:
        assert strays(self.put(thing, alone=True, attached_to="i-gone")) == {"free": "i-gone, which has it, is gone"}

    def test_in_a_region_that_does_not_answer_nothing_is_found(self, thing) -> None:
        cloud = replace(self.put(thing, attached_to=None), silent_regions={MINE.region: "outage"})
        assert strays(cloud) == {}
