"""The lab's AWS API, asked by plain boto3: volumes, elastic addresses, quotas and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, ip_address

import pytest

from orchestrator.lab.cloud.addresses import NoAddressLeftError, RangeAllocator

from .lab_cloud import (
    EU,
    PLACE,
    US,
    V6,
    Lab,
    attachment_of,
    eventually,
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


# Volumes


def test_a_volume_is_plugged_into_the_machine_and_survives_it(lab: Lab):
    client = lab.client()
    instance_id, volume_id = running(client), new_volume(client)
    client.attach_volume(InstanceId=instance_id, VolumeId=volume_id, Device="/dev/sdf")
    eventually(lambda: attachment_of(client, volume_id) == "attached")
    assert lab.machines.observe()[instance_id].volumes == {volume_id}
    client.terminate_instances(InstanceIds=[instance_id])
    eventually(lambda: state_of(client, instance_id) == "terminated")
    assert client.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available"
    assert volume_id in lab.machines.volumes


def test_a_detached_volume_is_unplugged_before_it_is_free(lab: Lab):
    client = lab.client()
    instance_id, volume_id = running(client), new_volume(client)
    client.attach_volume(InstanceId=instance_id, VolumeId=volume_id, Device="/dev/sdf")
    eventually(lambda: attachment_of(client, volume_id) == "attached")
    client.detach_volume(VolumeId=volume_id)
    eventually(lambda: attachment_of(client, volume_id) is None)
    assert lab.machines.observe()[instance_id].volumes == frozenset()


def test_a_volume_that_goes_with_its_instance_is_deleted_for_good(lab: Lab):
    client = lab.client()
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": True}}]
    instance_id = running(client, BlockDeviceMappings=disks)
    assert len(lab.machines.volumes) == 1
    client.terminate_instances(InstanceIds=[instance_id])
    eventually(lambda: not lab.machines.volumes)


def test_attaching_has_conditions(lab: Lab):
    client = lab.client()
    instance_id, volume_id = running(client), new_volume(client)
    lab.machines.gate_open = False
    pending = launch(client, name="relay-02")
    elsewhere = new_volume(client, zone=PLACE.zones[1].name)
    where = {"InstanceId": instance_id, "Device": "/dev/sdf"}
    assert refused(client.attach_volume, VolumeId=elsewhere, **where) == "InvalidVolume.ZoneMismatch"
    assert refused(client.attach_volume, VolumeId=volume_id, **where | {"InstanceId": pending}) == "IncorrectState"
    client.attach_volume(VolumeId=volume_id, **where)
    assert refused(client.attach_volume, VolumeId=volume_id, **where) == "VolumeInUse"
    assert refused(client.attach_volume, VolumeId=new_volume(client), **where) == "InvalidParameterValue"
    assert refused(client.delete_volume, VolumeId=volume_id) == "VolumeInUse"


def test_a_volume_in_a_zone_of_another_region_is_refused(lab: Lab):
    assert refused(new_volume, lab.client(), zone="us-east-1a") == "InvalidZone.NotFound"


# Elastic addresses


def test_an_elastic_address_takes_the_place_of_the_automatic_one_on_the_machine(lab: Lab):
    client = lab.client()
    instance_id = running(client)
    automatic = instances(client)[0]["PublicIpAddress"]
    elastic = client.allocate_address(Domain="vpc")
    association = client.associate_address(InstanceId=instance_id, AllocationId=elastic["AllocationId"])
    assert instances(client)[0]["PublicIpAddress"] == elastic["PublicIp"]
    eventually(lambda: ip_address(elastic["PublicIp"]) in lab.machines.observe()[instance_id].addresses)
    assert ip_address(automatic) not in lab.machines.observe()[instance_id].addresses
    client.disassociate_address(AssociationId=association["AssociationId"])
    eventually(lambda: ip_address(elastic["PublicIp"]) not in lab.machines.observe()[instance_id].addresses)
    assert instances(client)[0]["PublicIpAddress"] == automatic


def test_an_elastic_address_moves_only_when_told_to(lab: Lab):
    client = lab.client()
    first, second = running(client), running(client, name="relay-02")
    allocation = client.allocate_address(Domain="vpc")["AllocationId"]
    client.associate_address(InstanceId=first, AllocationId=allocation)
    move = {"InstanceId": second, "AllocationId": allocation}
    assert refused(client.associate_address, **move) == "Resource.AlreadyAssociated"
    client.associate_address(**move, AllowReassociation=True)
    addresses = {each["InstanceId"]: each["PublicIpAddress"] for each in instances(client)}
    elastic = client.describe_addresses()["Addresses"][0]
    assert (elastic["InstanceId"], addresses[second]) == (second, elastic["PublicIp"])
    assert addresses[first] != addresses[second]


def test_an_elastic_address_is_not_for_a_pending_instance(lab: Lab):
    lab.machines.gate_open = False
    client = lab.client()
    instance_id, allocation = launch(client), client.allocate_address(Domain="vpc")["AllocationId"]
    code = refused(client.associate_address, InstanceId=instance_id, AllocationId=allocation)
    assert code == "InvalidInstanceID"


def test_an_elastic_address_in_use_is_not_released_and_outlives_its_instance(lab: Lab):
    client = lab.client()
    instance_id, allocation = running(client), client.allocate_address(Domain="vpc")["AllocationId"]
    client.associate_address(InstanceId=instance_id, AllocationId=allocation)
    assert refused(client.release_address, AllocationId=allocation) == "InvalidIPAddress.InUse"
    client.terminate_instances(InstanceIds=[instance_id])
    assert "AssociationId" not in client.describe_addresses()["Addresses"][0]
    client.release_address(AllocationId=allocation)
    assert client.describe_addresses()["Addresses"] == []


def test_elastic_addresses_are_limited_to_what_the_quota_service_says(lab: Lab):
    client, quotas = lab.client(), lab.client("service-quotas")
    lab.control("PUT", f"quotas/{EU}", {"elastic_addresses": 2})
    quota = quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-0263D0A3")["Quota"]["Value"]
    for _ in range(int(quota)):
        client.allocate_address(Domain="vpc")
    assert refused(client.allocate_address, Domain="vpc") == "AddressLimitExceeded"
    assert lab.client("service-quotas", US).get_service_quota(ServiceCode="ec2", QuotaCode="L-0263D0A3")["Quota"][
        "Value"
    ] == pytest.approx(5)


def test_an_unknown_quota_does_not_exist(lab: Lab):
    code = refused(lab.client("service-quotas").get_service_quota, ServiceCode="ec2", QuotaCode="L-00000000")
    assert code == "NoSuchResourceException"


def test_a_range_that_is_used_up_says_so():
    allocator = RangeAllocator(IPv4Network("10.99.0.0/22"), V6)
    for _ in range(510):
        allocator.take_public()
    with pytest.raises(NoAddressLeftError, match=r"10\.99\.2\.0/23"):
        allocator.take_public()


def test_nothing_is_left_of_a_launch_for_which_no_address_is_left(lab: Lab):
    client, allocator = lab.client(), lab.server.control.regions[EU].setup.allocator
    assert isinstance(allocator, RangeAllocator)
    allocator._taken |= set(allocator._public_range.hosts())
    assert refused(launch, client) == "InsufficientFreeAddressesInSubnet"
    assert refused(client.allocate_address, Domain="vpc") == "InsufficientAddressCapacity"
    assert (instances(client), client.describe_volumes()["Volumes"]) == ([], [])


# Pages


def test_instances_come_in_pages(lab: Lab):
    client = lab.client()
    made = {launch(client, name=f"relay-{number}") for number in range(7)}
    first = client.describe_instances(MaxResults=5)
    assert (len(first["Reservations"]), "NextToken" in first) == (5, True)
    assert {each["InstanceId"] for each in instances(client, PaginationConfig={"PageSize": 5})} == made


def test_pages_may_be_small_though_nobody_asked(make_lab: Callable[..., Lab]):
    client = make_lab(page_limit=2).client()
    made = {new_volume(client) for _ in range(5)}
    assert len(client.describe_volumes()["Volumes"]) == 2
    pages = list(client.get_paginator("describe_volumes").paginate())
    assert {each["VolumeId"] for page in pages for each in page["Volumes"]} == made
    groups = [client.create_security_group(GroupName=f"g{n}", Description="g", VpcId=PLACE.vpc_id) for n in range(3)]
    shown = [
        each for page in client.get_paginator("describe_security_groups").paginate() for each in page["SecurityGroups"]
    ]
    assert {each["GroupId"] for each in groups} < {each["GroupId"] for each in shown}


def test_pages_have_a_smallest_size_and_tokens_are_checked(lab: Lab):
    client = lab.client()
    assert refused(client.describe_volumes, MaxResults=4) == "InvalidParameterValue"
    assert refused(client.describe_volumes, NextToken="tomorrow") == "InvalidNextToken"


def test_a_security_group_in_use_is_not_deleted(lab: Lab):
    client = lab.client()
    group = client.create_security_group(GroupName="relay", Description="relay", VpcId=PLACE.vpc_id)["GroupId"]
    nic = {"DeviceIndex": 0, "SubnetId": PLACE.zones[0].subnet_id, "Groups": [group]}
    instance_id = running(client, NetworkInterfaces=[nic])
    assert [each["GroupId"] for each in instances(client)[0]["SecurityGroups"]] == [group]
    assert refused(client.delete_security_group, GroupId=group) == "DependencyViolation"
    client.terminate_instances(InstanceIds=[instance_id])
    eventually(lambda: state_of(client, instance_id) == "terminated")
    client.delete_security_group(GroupId=group)
