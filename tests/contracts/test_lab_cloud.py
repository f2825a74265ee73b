"""The lab's AWS API, asked by plain boto3: places, launching and ending, as AWS does it and moto does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest

from orchestrator.lab.cloud.faults import (
    NoCapacity,
)
from orchestrator.lab.cloud.places import LAB_REGIONS, plan_place

from .lab_cloud import (
    EU,
    PLACE,
    US,
    V4,
    V6,
    Lab,
    eventually,
    instances,
    launch,
    launched,
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


# What is there


def test_ids_of_places_are_the_same_in_every_lab():
    assert [plan_place(region).image_id for region in LAB_REGIONS[:2]] == [
        "ami-090bfd182547c5c09",
        plan_place(US).image_id,
    ]
    assert [zone.subnet_id for zone in PLACE.zones] == [
        "subnet-080f022e2a4f531bb",
        "subnet-0ea8ff92df8ba1564",
        "subnet-0df4cea8c49f1404c",
    ]


def test_each_region_has_its_subnets_in_different_zones_of_the_lab_range(lab: Lab):
    for region in (EU, US):
        subnets = lab.client(region=region).describe_subnets()["Subnets"]
        assert [each["SubnetId"] for each in subnets] == [zone.subnet_id for zone in plan_place(region).zones]
        assert len({each["AvailabilityZone"] for each in subnets}) == 3
        assert all(IPv4Network(each["CidrBlock"]).subnet_of(V4) for each in subnets)


def test_a_region_that_the_lab_does_not_have_is_refused(lab: Lab):
    assert refused(lab.client(region="eu-west-3").describe_instances) == "AuthFailure"


def test_another_secret_is_refused(lab: Lab):
    assert refused(lab.client(secret="wrong").describe_instances) == "AuthFailure"


# Launching


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "m6i.gigantic"}, "InvalidParameterValue"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-00000000"}]}, "InvalidSubnetID.NotFound"),
        ({"NetworkInterfaces": []}, "MissingInput"),
        (
            {
                "NetworkInterfaces": [
                    {"DeviceIndex": 0, "SubnetId": PLACE.zones[0].subnet_id, "Groups": ["sg-00000000"]}
                ]
            },
            "InvalidGroup.NotFound",
        ),
    ],
)
def test_a_launch_that_names_what_is_not_there_is_refused_and_launches_nothing(
    lab: Lab, change: dict[str, Any], code: str
):
    client = lab.client()
    assert refused(launch, client, **change) == code
    assert instances(client) == []


def test_the_same_token_launches_once(lab: Lab):
    client = lab.client()
    assert launch(client, ClientToken="slot-1") == launch(client, ClientToken="slot-1")
    assert len(instances(client)) == 1


def test_the_same_token_shows_the_instance_as_it_is_now(lab: Lab):
    client = lab.client()
    running(client, ClientToken="slot-1")
    assert launched(client, ClientToken="slot-1")["State"]["Name"] == "running"


def test_the_same_token_with_other_parameters_is_a_mismatch(lab: Lab):
    client = lab.client()
    launch(client, ClientToken="slot-1")
    code = refused(launch, client, ClientToken="slot-1", zone=PLACE.zones[1])
    assert (code, len(instances(client))) == ("IdempotentParameterMismatch", 1)


def test_tokens_of_two_regions_do_not_meet(lab: Lab):
    place = plan_place(US)
    launch(lab.client(), ClientToken="slot-1")
    other = lab.client(region=US)
    launch(other, ClientToken="slot-1", ImageId=place.image_id, zone=place.zones[0])
    assert len(instances(other)) == 1


def test_a_launch_that_failed_may_be_repeated_with_its_token(lab: Lab):
    client = lab.client()
    lab.server.control.add_fault(NoCapacity(region=EU), times=1)
    assert refused(launch, client, ClientToken="slot-1") == "InsufficientInstanceCapacity"
    assert launch(client, ClientToken="slot-1")


def test_an_instance_is_found_by_its_client_token(lab: Lab):
    client = lab.client()
    launch(client, ClientToken="slot-1")
    wanted = launch(client, ClientToken="slot-2")
    found = instances(client, Filters=[{"Name": "client-token", "Values": ["slot-2"]}])
    assert [each["InstanceId"] for each in found] == [wanted]


def test_a_filter_that_does_not_exist_is_refused(lab: Lab):
    filters = [{"Name": "colour", "Values": ["blue"]}]
    assert refused(lab.client().describe_instances, Filters=filters) == "InvalidParameterValue"


def test_the_same_token_makes_one_volume(lab: Lab):
    client = lab.client()
    assert new_volume(client, ClientToken="disk-1") == new_volume(client, ClientToken="disk-1")
    assert refused(new_volume, client, ClientToken="disk-1", Size=41) == "IdempotentParameterMismatch"


def test_an_instance_is_pending_until_its_machine_runs(lab: Lab):
    lab.machines.gate_open = False
    client = lab.client()
    instance_id = launch(client)
    lab.machines.wait_until_starting(1)
    assert state_of(client, instance_id) == "pending"
    lab.machines.open_gate()
    eventually(lambda: state_of(client, instance_id) == "running")


def test_few_machines_start_at_once(lab: Lab):
    lab.machines.gate_open = False
    client = lab.client()
    client.run_instances(
        ImageId=PLACE.image_id, InstanceType="m6i.large", MinCount=7, MaxCount=7, SubnetId=PLACE.zones[0].subnet_id
    )
    lab.machines.wait_until_starting(4)
    lab.machines.open_gate()
    eventually(lambda: len(lab.machines.starts) == 7)
    assert lab.machines.most_starting == 4


def test_the_machine_gets_the_user_data_and_the_addresses_that_the_api_shows(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    shown, made = instances(client, InstanceIds=[instance_id])[0], lab.machines.starts[0]
    assert made.user_data == b"#cloud-config\n"
    assert [str(address) for address in made.addresses] == [
        shown["PrivateIpAddress"],
        shown["PublicIpAddress"],
        shown["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"],
    ]


def test_every_address_is_of_the_lab_range(lab: Lab):
    client = lab.client()
    for zone in PLACE.zones:
        running(client, zone=zone)
    client.allocate_address(Domain="vpc")
    taken = [address for machine in lab.machines.starts for address in machine.addresses]
    taken += [ip_address(each["PublicIp"]) for each in client.describe_addresses()["Addresses"]]
    assert len(set(taken)) == 10
    assert all(address in V4 or address in V6 for address in taken)


def test_a_root_disk_is_there_though_only_a_data_disk_is_named(lab: Lab):
    client = lab.client()
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": True}}]
    shown = instances(client, InstanceIds=[running(client, BlockDeviceMappings=disks)])[0]
    assert [each["DeviceName"] for each in shown["BlockDeviceMappings"]] == ["/dev/xvda", "/dev/sdf"]
    assert [each.device for each in lab.machines.starts[0].volumes] == ["/dev/sdf"]


def test_a_root_disk_needs_no_size(lab: Lab):
    client = lab.client()
    disks = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeType": "gp3", "Encrypted": True}}]
    running(client, BlockDeviceMappings=disks)
    assert client.describe_volumes()["Volumes"][0]["Encrypted"]


# Ends


def test_a_terminated_instance_frees_its_machine_addresses_and_root_disk(lab: Lab):
    client = lab.client()
    first = running(client)
    before = lab.machines.starts[0].addresses
    client.terminate_instances(InstanceIds=[first])
    eventually(lambda: state_of(client, first) == "terminated")
    assert (lab.machines.observe(), client.describe_volumes()["Volumes"]) == ({}, [])
    running(client)
    assert set(lab.machines.starts[1].addresses) == set(before)


def test_a_terminated_instance_is_forgotten_after_an_hour(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    client.terminate_instances(InstanceIds=[instance_id])
    eventually(lambda: state_of(client, instance_id) == "terminated")
    lab.clock.seconds += 3601
    assert instances(client) == []
    assert refused(client.terminate_instances, InstanceIds=[instance_id]) == "InvalidInstanceID.NotFound"


def test_terminating_twice_tells_the_true_state(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    client.terminate_instances(InstanceIds=[instance_id])
    eventually(lambda: state_of(client, instance_id) == "terminated")
    again = client.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert (again["PreviousState"]["Name"], again["CurrentState"]["Name"]) == ("terminated", "terminated")


def test_a_stopped_instance_starts_again_with_another_automatic_address(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    client.stop_instances(InstanceIds=[instance_id])
    eventually(lambda: state_of(client, instance_id) == "stopped")
    assert "PublicIpAddress" not in instances(client, InstanceIds=[instance_id])[0]
    client.start_instances(InstanceIds=[instance_id])
    eventually(lambda: state_of(client, instance_id) == "running")
    assert len(lab.machines.starts[1].addresses) == 3


def test_a_machine_that_does_not_shut_down_is_killed_at_the_deadline(lab: Lab):
    client = lab.client()
    lab.machines.stubborn = True
    instance_id = running(client)
    client.stop_instances(InstanceIds=[instance_id])
    lab.server.supervisor.look()
    assert state_of(client, instance_id) == "stopping"
    lab.clock.seconds += 91
    eventually(lambda: state_of(client, instance_id) == "stopped")


def test_a_launch_whose_machine_cannot_be_made_ends_as_terminated_with_the_reason(
    lab: Lab, caplog: pytest.LogCaptureFixture
):
    client = lab.client()
    lab.machines.broken_starts = 1
    instance_id = launch(client)
    eventually(lambda: state_of(client, instance_id) == "terminated")
    assert instances(client)[0]["StateReason"]["Code"] == "Server.InternalError"
    assert "no space left on device" in caplog.text
