"""The lab's AWS API, asked by plain boto3: faults on demand, and what the API says when machines die."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic
from typing import Any
from urllib.error import HTTPError

import pytest

from orchestrator.lab.cloud.faults import (
    BadCredentials,
    DelayedVisibility,
    Denied,
    ErrorAfterEffect,
    LaunchFails,
    NeverBoots,
    NoCapacity,
    SlowCall,
    Throttled,
)
from orchestrator.lab.cloud.places import plan_place

from .lab_cloud import (
    EU,
    PLACE,
    US,
    Lab,
    eventually,
    health_of,
    instances,
    launch,
    new_volume,
    open_labs,
    refused,
    running,
    state_of,
)


@pytest.fixture
def make_lab() -> Iterator[Callable[..., Lab]]:
    with open_labs() as make:
        yield make


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()


# Faults


def test_a_new_instance_can_stay_unseen_for_a_while(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(DelayedVisibility(seconds=30), times=1)
    instance_id = launch(client, ClientToken="slot-1")
    assert refused(client.describe_instances, InstanceIds=[instance_id]) == "InvalidInstanceID.NotFound"
    assert refused(client.create_tags, Resources=[instance_id], Tags=[]) == "InvalidInstanceID.NotFound"
    assert instances(client) == []
    assert launch(client, ClientToken="slot-1") == instance_id
    lab.clock.seconds += 31
    assert [each["InstanceId"] for each in instances(client)] == [instance_id]


def test_a_new_volume_can_stay_unseen_for_a_while(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(DelayedVisibility(seconds=30), times=1)
    volume_id = new_volume(client)
    assert refused(client.describe_volumes, VolumeIds=[volume_id]) == "InvalidVolume.NotFound"
    assert client.describe_volumes()["Volumes"] == []
    lab.clock.seconds += 31
    assert client.describe_volumes()["Volumes"][0]["VolumeId"] == volume_id


def test_capacity_can_be_missing_in_one_zone_for_one_type(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(NoCapacity(EU, PLACE.zones[0].name, "m6i.large"))
    assert refused(launch, client) == "InsufficientInstanceCapacity"
    assert launch(client, InstanceType="m6i.xlarge")
    assert launch(client, zone=PLACE.zones[1])


def test_every_second_call_can_be_throttled(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(Throttled(every=2, action="DescribeInstances"))
    client.describe_instances()
    assert refused(client.describe_instances) == "RequestLimitExceeded"
    client.describe_instances()
    client.describe_volumes()


def test_boto_retries_what_is_throttled_once(lab: Lab):
    lab.server.control.add_fault(Throttled(), times=1)
    lab.client(attempts=3).describe_instances()
    assert lab.server.control.faults.list() == ()


def test_an_error_can_come_after_the_effect(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(ErrorAfterEffect("RunInstances"), times=1)
    assert refused(launch, client, ClientToken="slot-1") == "InternalError"
    there = [each["InstanceId"] for each in instances(client)]
    assert [launch(client, ClientToken="slot-1")] == there


def test_one_action_can_be_denied_and_has_no_effect(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(Denied("RunInstances"))
    assert refused(launch, client) == "UnauthorizedOperation"
    assert instances(client) == []


def test_credentials_can_go_bad_in_one_region(lab: Lab):
    lab.server.control.add_fault(BadCredentials(region=EU))
    assert refused(lab.client().describe_instances) == "AuthFailure"
    lab.client(region=US).describe_instances()


def test_a_slow_call_ends_with_the_lab(lab: Lab):
    lab.server.control.add_fault(SlowCall(seconds=0.05, action="DescribeVpcs"), times=1)
    began = monotonic()
    lab.client().describe_vpcs()
    assert monotonic() - began >= 0.05


def test_an_instance_can_run_without_ever_booting(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(NeverBoots(name="relay-01"), times=1)
    instance_id = running(client)
    assert lab.machines.observe() == {}
    assert health_of(client, instance_id) == "impaired"


def test_a_launch_can_fail_after_it_was_accepted(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(LaunchFails(), times=1)
    instance_id = launch(client)
    eventually(lambda: state_of(client, instance_id) == "terminated")
    assert lab.machines.starts == []


def test_status_checks_take_a_while(make_lab: Callable[..., Lab]):
    lab = make_lab(status_checks_after=timedelta(seconds=30))
    client = lab.client()
    instance_id = running(client)
    assert health_of(client, instance_id) == "initializing"
    lab.clock.seconds += 31
    assert health_of(client, instance_id) == "ok"


# What happens to machines


def test_a_machine_that_dies_by_itself_is_stopped_and_not_started_again(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    lab.machines.kill(instance_id)
    eventually(lambda: state_of(client, instance_id) == "stopped")
    assert instances(client)[0]["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    lab.server.supervisor.look()
    assert len(lab.machines.starts) == 1


def test_a_killed_machine_can_leave_an_impaired_instance_that_a_reboot_brings_back(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    lab.control("POST", "instances/relay-01/kill", {"leaves": "impaired"})
    assert (state_of(client, instance_id), health_of(client, instance_id)) == ("running", "impaired")
    client.reboot_instances(InstanceIds=[instance_id])
    eventually(lambda: health_of(client, instance_id) == "ok")
    assert lab.machines.observe()[instance_id].running


def test_a_rebooted_machine_shuts_down_and_starts_while_the_api_says_running(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    lab.machines.gate_open = False
    client.reboot_instances(InstanceIds=[instance_id])
    lab.machines.wait_until_starting(1)
    assert state_of(client, instance_id) == "running"
    lab.machines.open_gate()
    eventually(lambda: lab.machines.observe()[instance_id].running)
    lab.server.supervisor.look()
    assert (len(lab.machines.starts), state_of(client, instance_id)) == (2, "running")


def test_a_machine_without_an_instance_is_destroyed(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    stray = lab.machines.starts[0]
    lab.machines.start(type(stray)(**{name: getattr(stray, name) for name in stray.__slots__} | {"instance_id": "i-0"}))
    lab.server.supervisor.look()
    eventually(lambda: set(lab.machines.observe()) == {instance_id})


def test_the_control_pages_kill_terminate_isolate_and_heal_by_name(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    for _ in range(2):
        lab.control("POST", "instances/relay-01/isolate")
    assert lab.machines.observe()[instance_id].isolated
    assert health_of(client, instance_id) == "ok"
    lab.control("POST", "instances/relay-01/heal")
    assert not lab.machines.observe()[instance_id].isolated
    lab.control("POST", f"instances/{instance_id}/kill")
    assert state_of(client, instance_id) == "stopped"
    lab.control("POST", "instances/relay-01/terminate")
    eventually(lambda: state_of(client, instance_id) == "terminated")
    described = lab.control("GET", "instances")["instances"][0]
    assert (described["name"], described["state"], described["machine"]) == ("relay-01", "terminated", "absent")


def test_a_cut_region_is_cut_with_the_machines_that_come_later_until_healed(lab: Lab):
    client = lab.client()
    first = running(client)
    lab.control("POST", f"regions/{EU}/cut")
    assert lab.machines.cuts == {EU: {first}}
    second = running(client, name="relay-02")
    running(lab.client(region=US), name="relay-03", zone=plan_place(US).zones[0], ImageId=plan_place(US).image_id)
    eventually(lambda: lab.machines.cuts == {EU: {first, second}})
    assert lab.control("GET", "instances")["cut_regions"] == [EU]
    lab.control("POST", f"regions/{EU}/heal")
    assert lab.machines.cuts == {}


def test_faults_are_switched_listed_and_cleared_over_http(lab: Lab):
    made = lab.control("POST", "faults", {"kind": "no-capacity", "region": EU, "times": 2})
    assert lab.control("GET", "faults")["faults"] == [
        {"id": made["id"], "times_left": 2, "kind": "no-capacity", "region": EU}
    ]
    assert lab.control("DELETE", f"faults/{made['id']}") == {"cleared": 1}
    assert lab.control("GET", "faults") == {"faults": []}


@pytest.mark.parametrize(
    ("method", "path", "document", "status", "words"),
    [
        ("POST", "faults", {"kind": "earthquake"}, 400, "expected one of delayed-visibility"),
        ("POST", "faults", {"kind": "no-capacity", "zona": "a"}, 400, "expected region"),
        ("POST", "faults", {"kind": "throttled", "every": 0}, 400, "every = 0"),
        ("POST", "faults", {"kind": "denied"}, 400, "action"),
        ("POST", "instances/relay-99/kill", {}, 404, "there are: none"),
        ("GET", "weather", {}, 404, "weather"),
    ],
)
def test_the_control_pages_say_what_is_wrong(
    lab: Lab, method: str, path: str, document: dict[str, Any], status: int, words: str
):
    with pytest.raises(HTTPError) as caught:
        lab.control(method, path, document)
    with caught.value as answer:
        assert (answer.code, words in json.load(answer)["error"]) == (status, True)
