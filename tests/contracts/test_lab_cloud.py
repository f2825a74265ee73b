"""The lab's AWS API, asked by plain boto3: what it promises beyond moto, so that tests against it do not lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from threading import Event
from time import monotonic
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from orchestrator.lab.cloud import LAB_KEYS, LabCloudServer
from orchestrator.lab.cloud_addresses import NoAddressLeftError, RangeAllocator
from orchestrator.lab.cloud_faults import (
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
from orchestrator.lab.cloud_places import LAB_REGIONS, plan_place
from orchestrator.lab.cloud_region import CloudSettings
from orchestrator.lab.supervisor import SupervisorSettings

from .lab_machines import FakeMachines

V4, V6 = IPv4Network("10.99.0.0/20"), IPv6Network("fd00:99::/56")
EU, US = "eu-central-1", "us-east-1"
PLACE = plan_place(EU)
KEY_ID, SECRET = next(iter(LAB_KEYS.items()))


@dataclass
class Clock:
    seconds: float = 1000.0

    def now(self) -> float:
        return self.seconds


@dataclass
class Lab:
    server: LabCloudServer
    machines: FakeMachines
    clock: Clock
    clients: list[Any] = field(default_factory=list)

    def client(self, service: str = "ec2", region: str = EU, secret: str = SECRET, attempts: int = 1) -> Any:
        made = boto3.client(
            service,
            region_name=region,
            endpoint_url=self.server.endpoint_url,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": attempts}),
        )
        self.clients.append(made)
        return made

    def control(self, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self.server.endpoint_url}/lab-control/{path}"
        with urlopen(Request(url, json.dumps(document or {}).encode(), method=method)) as answer:
            return dict(json.load(answer))


@pytest.fixture
def make_lab() -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def make(**settings: Any) -> Lab:
        machines, clock = FakeMachines(), Clock()
        server = LabCloudServer(
            "127.0.0.1",
            0,
            RangeAllocator(V4, V6),
            machines,
            regions=(EU, US),
            settings=CloudSettings(**{"status_checks_after": timedelta(0)} | settings),
            supervisor_settings=SupervisorSettings(look_every=timedelta(milliseconds=20)),
            now=clock.now,
        )
        server.start()
        labs.append(Lab(server, machines, clock))
        return labs[-1]

    yield make
    for lab in labs:
        for client in lab.clients:
            client.close()
        lab.machines.open_gate()
        lab.server.stop()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + 10
    while not holds():
        assert monotonic() < deadline, "it did not happen within 10 s"
        Event().wait(0.01)


def launch(client: Any, **changes: Any) -> str:
    return str(launched(client, **changes)["InstanceId"])


def launched(client: Any, name: str = "relay-01", **changes: Any) -> dict[str, Any]:
    zone = changes.pop("zone", PLACE.zones[0])
    request: dict[str, Any] = {
        "ImageId": PLACE.image_id,
        "InstanceType": "m6i.large",
        "MinCount": 1,
        "MaxCount": 1,
        "UserData": "#cloud-config\n",
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": zone.subnet_id,
                "AssociatePublicIpAddress": True,
                "Ipv6AddressCount": 1,
            }
        ],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
    }
    return dict(client.run_instances(**request | changes)["Instances"][0])


def instances(client: Any, **request: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator("describe_instances").paginate(**request)
    return [each for page in pages for group in page["Reservations"] for each in group["Instances"]]


def state_of(client: Any, instance_id: str) -> str:
    return str(instances(client, InstanceIds=[instance_id])[0]["State"]["Name"])


def running(client: Any, **changes: Any) -> str:
    instance_id = launch(client, **changes)
    eventually(lambda: state_of(client, instance_id) == "running")
    return instance_id


def new_volume(client: Any, zone: str = PLACE.zones[0].name, **changes: Any) -> str:
    request = {"AvailabilityZone": zone, "Size": 40, "VolumeType": "gp3", "Encrypted": True}
    return str(client.create_volume(**request | changes)["VolumeId"])


def refused(call: Callable[..., Any], *arguments: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **request)
    return str(caught.value.response["Error"]["Code"])


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


def attachment_of(client: Any, volume_id: str) -> str | None:
    attachments = client.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["Attachments"]
    return attachments[0]["State"] if attachments else None


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


def health_of(client: Any, instance_id: str) -> str:
    return str(
        client.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"][0]["InstanceStatus"]["Status"]
    )


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
