"""Static hosts behind the cloud port: all there, all pinned, none ever launched or terminated."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.adapters.static import StaticCloud
from orchestrator.errors import CloudRefused
from orchestrator.execution.ports import Launched, LaunchRefused, ServerIdentity
from orchestrator.fleet.observation import InstanceState, InstanceStatus
from orchestrator.spec.model import FleetSpec

KEYS = tuple(f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{letter * 44} root@host" for letter in "ABC")


def make_cloud() -> StaticCloud:
    def host(number: int, address: str, key: str) -> dict[str, Any]:
        return {"number": number, "address": address, "host_key": key}

    archive = {"url": "https://releases.example.org/node.tar.gz", "sha256": "0" * 64}
    spec = FleetSpec.model_validate(
        {
            "fleet": "metal",
            "network": {"name": "privnet", "magic": 42, "folder": "network"},
            "releases": {"10.1.4": {"x86_64": archive}},
            "release": "10.1.4",
            "cloud": {"kind": "static"},
            "regions": {
                "hall-a": {"hosts": (host(1, "192.0.2.1", KEYS[0]), host(2, "2001:db8::2", KEYS[1]))},
                "hall-b": {"hosts": (host(1, "relay.example.org", KEYS[2]),)},
            },
        }
    )
    return StaticCloud(spec, "the-store")


def claim(cloud: StaticCloud, region: str, relay: str) -> Launched | LaunchRefused:
    request = cloud.render_launch(ServerIdentity(relay, region, 1, 1, "token", "", ""))
    return cloud.start_launch(region, request)


def test_every_host_is_a_running_instance_of_this_store_with_its_pinned_key() -> None:
    seen = make_cloud().observe_cloud().instances
    assert [(each.instance_id, each.region, each.address) for each in seen] == [
        ("static-metal-hall-a-01", "hall-a", "192.0.2.1"),
        ("static-metal-hall-a-02", "hall-a", "2001:db8::2"),
        ("static-metal-hall-b-01", "hall-b", "relay.example.org"),
    ]
    assert {(each.state, each.status) for each in seen} == {(InstanceState.RUNNING, InstanceStatus.OK)}
    assert {(each.fleet, each.store_id, each.magic) for each in seen} == {("metal", "the-store", 42)}
    assert [each.host_key for each in seen] == [key.removesuffix(" root@host") for key in KEYS]


def test_two_looks_are_equal() -> None:
    cloud = make_cloud()
    assert cloud.observe_cloud() == cloud.observe_cloud()


def test_a_listed_host_is_claimed_again_and_again() -> None:
    cloud = make_cloud()
    assert claim(cloud, "hall-b", "metal-hall-b-01") == Launched("static-metal-hall-b-01")
    assert claim(cloud, "hall-b", "metal-hall-b-01") == Launched("static-metal-hall-b-01")


def test_a_host_that_is_not_listed_cannot_be_claimed() -> None:
    refused = claim(make_cloud(), "hall-b", "metal-hall-b-02")
    assert isinstance(refused, LaunchRefused)
    assert not refused.capacity
    assert "metal-hall-b-02" in refused.reason


def test_furnishing_adoption_and_retirement_leave_the_host_as_it_is() -> None:
    cloud = make_cloud()
    before = cloud.observe_cloud()
    for instance in before.instances:
        assert cloud.run_furnish(instance) == "nothing was missing"
        cloud.start_retire(instance)
    cloud.save_ownership(before.instances, "another-store")
    assert cloud.observe_cloud() == before


def test_the_pinned_key_is_the_only_one_that_is_saved() -> None:
    cloud = make_cloud()
    instance = cloud.observe_cloud().instances[0]
    cloud.save_host_key(instance, KEYS[0])
    with pytest.raises(CloudRefused, match=r"192\.0\.2\.1.*\n.*regions\.hall-a\.hosts"):
        cloud.save_host_key(instance, KEYS[1])


def test_a_host_of_another_fleet_is_left_alone() -> None:
    from dataclasses import replace

    cloud = make_cloud()
    foreign = replace(cloud.observe_cloud().instances[0], fleet="other")
    with pytest.raises(CloudRefused, match="belongs to fleet other"):
        cloud.start_retire(foreign)
