"""Launching through the AWS adapter: one instance a token, whatever the cloud answers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.execution.ports import Launched, LaunchRefused
from orchestrator.fleet.observation import InstanceState, InstanceStatus
from orchestrator.lab.cloud.faults import DelayedVisibility, Denied, ErrorAfterEffect, NoCapacity, Throttled
from orchestrator.lab.cloud.places import plan_place

from .aws_lab import EU, STORE, US, AwsLab, make_identity, make_spec


def count_instances(lab: AwsLab) -> int:
    return len(lab.server.control.list_instances())


def test_a_launched_instance_carries_all_its_tags_from_the_first_moment(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    aws_lab.machines.gate_open = False
    launched = cloud.start_launch(EU, cloud.render_launch(make_identity()))
    assert isinstance(launched, Launched)
    seen = aws_lab.see(cloud, launched.instance_id)
    aws_lab.machines.open_gate()
    assert seen.state is InstanceState.PENDING
    assert (seen.fleet, seen.store_id, seen.relay, seen.generation, seen.magic) == (
        "testing",
        STORE,
        "testing-eu-central-1-01",
        1,
        42,
    )
    assert seen.launch_token == "token-testing-eu-central-1-01-1-1"


def test_a_running_instance_is_seen_with_zone_addresses_and_status(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud(make_spec(**{EU: {"addresses": "ephemeral"}}))
    seen = aws_lab.launch(cloud, zone=1)
    assert (seen.zone, seen.subnet) == (plan_place(EU).zones[1].name, plan_place(EU).zones[1].subnet_id)
    assert seen.address is not None
    assert seen.address_v6 is not None
    aws_lab.wait_for(lambda: aws_lab.see(cloud, seen.instance_id).status is InstanceStatus.OK)


def test_an_instance_of_an_elastic_region_has_no_address_before_it_is_furnished(aws_lab: AwsLab) -> None:
    assert aws_lab.launch(aws_lab.cloud()).address is None


def test_the_same_request_twice_gives_one_instance(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    request = cloud.render_launch(make_identity())
    assert cloud.start_launch(EU, request) == cloud.start_launch(EU, request)
    assert count_instances(aws_lab) == 1


def test_another_controller_with_the_same_record_finds_the_instance(aws_lab: AwsLab) -> None:
    first = aws_lab.cloud()
    request = first.render_launch(make_identity())
    assert first.start_launch(EU, request) == aws_lab.cloud().start_launch(EU, request)
    assert count_instances(aws_lab) == 1


def test_many_launches_side_by_side_share_one_security_group(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()

    def launch(index: int) -> object:
        return cloud.start_launch(EU, cloud.render_launch(make_identity(f"testing-eu-central-1-{index:02d}")))

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(launch, range(6)))
    assert len(set(results)) == 6
    groups = aws_lab.api().describe_security_groups()["SecurityGroups"]
    assert [each["GroupName"] for each in groups if each["GroupName"] != "default"] == ["genesis-fleet-testing"]


def test_an_instance_that_is_not_visible_yet_is_waited_for(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(DelayedVisibility(seconds=3.0))
    cloud = aws_lab.cloud()
    launched = cloud.start_launch(EU, cloud.render_launch(make_identity()))
    assert isinstance(launched, Launched)
    assert aws_lab.see(cloud, launched.instance_id)


def test_an_instance_that_stays_invisible_is_not_launched_again(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(DelayedVisibility(seconds=1e6))
    cloud = aws_lab.cloud()
    request = cloud.render_launch(make_identity())
    assert cloud.start_launch(EU, request) == cloud.start_launch(EU, request)
    assert count_instances(aws_lab) == 1


def test_an_error_after_the_effect_does_not_launch_a_second_instance(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(ErrorAfterEffect("RunInstances"), times=1)
    cloud = aws_lab.cloud()
    launched = cloud.start_launch(EU, cloud.render_launch(make_identity()))
    assert isinstance(launched, Launched)
    assert count_instances(aws_lab) == 1


def test_no_capacity_is_a_value_that_names_the_place_and_invites_another_zone(aws_lab: AwsLab) -> None:
    zone = plan_place(EU).zones[0]
    aws_lab.server.control.add_fault(NoCapacity(zone=zone.name))
    cloud = aws_lab.cloud()
    refused = cloud.start_launch(EU, cloud.render_launch(make_identity()))
    assert isinstance(refused, LaunchRefused)
    assert refused.capacity
    assert "r6a.large" in refused.reason
    assert zone.subnet_id in refused.reason
    assert isinstance(cloud.start_launch(EU, cloud.render_launch(make_identity(attempt=2, zone=1))), Launched)


def test_a_token_used_for_another_request_is_refused_naming_both(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    made = aws_lab.launch(cloud, token="the-token")
    with pytest.raises(CloudRefused) as refusal:
        cloud.start_launch(EU, cloud.render_launch(make_identity(token="the-token", zone=1)))
    for part in (made.instance_id, made.subnet, plan_place(EU).zones[1].subnet_id, "the-token"):
        assert part in str(refusal.value)


def test_a_mismatch_that_only_the_cloud_sees_is_refused_too(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(DelayedVisibility(seconds=1e6))
    cloud = aws_lab.cloud()
    cloud.start_launch(EU, cloud.render_launch(make_identity(token="the-token")))
    with pytest.raises(CloudRefused, match=r"the-token.*asks for r6a\.large"):
        cloud.start_launch(EU, cloud.render_launch(make_identity(token="the-token", zone=1)))


def test_a_terminated_instance_still_owns_its_token(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    request = cloud.render_launch(make_identity())
    first = cloud.start_launch(EU, request)
    assert isinstance(first, Launched)
    aws_lab.server.control.terminate(first.instance_id)
    assert cloud.start_launch(EU, request) == first


def test_throttling_is_ridden_out(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(Throttled(every=1, action="RunInstances"), times=2)
    cloud = aws_lab.cloud()
    assert isinstance(cloud.start_launch(EU, cloud.render_launch(make_identity())), Launched)


def test_endless_throttling_is_worth_another_try_later(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    request = cloud.render_launch(make_identity())
    aws_lab.server.control.add_fault(Throttled(every=1, action="RunInstances"))
    with pytest.raises(CloudUnavailable, match="throttles RunInstances"):
        cloud.start_launch(EU, request)
    assert count_instances(aws_lab) == 0


def test_a_missing_permission_is_named(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(Denied("RunInstances"))
    cloud = aws_lab.cloud()
    request = cloud.render_launch(make_identity())
    with pytest.raises(CloudRefused, match=r"ec2:RunInstances.*\n.*iam-policy\.json"):
        cloud.start_launch(EU, request)


def test_an_image_that_does_not_exist_is_refused_before_anything_is_made(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud(make_spec(**{EU: {"image": "ami-00000000000000000"}}))
    with pytest.raises(CloudRefused, match="no image ami-00000000000000000 in eu-central-1"):
        cloud.render_launch(make_identity())
    assert len(aws_lab.api().describe_security_groups()["SecurityGroups"]) == 1


def test_a_subnet_of_another_region_is_refused_and_warned_of(aws_lab: AwsLab) -> None:
    foreign = plan_place(US).zones[0].subnet_id
    cloud = aws_lab.cloud(make_spec(**{EU: {"subnets": (foreign,)}}))
    identity = make_identity(region=EU)
    with pytest.raises(CloudRefused, match="there is no subnet"):
        cloud.render_launch(
            type(identity)(**{f: getattr(identity, f) for f in identity.__slots__} | {"subnet": foreign})
        )
    assert f"eu-central-1: subnet {foreign} of the fleet file does not exist there" in cloud.observe_cloud().warnings


def test_the_recorded_request_is_complete_and_the_same_every_time(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    text = cloud.render_launch(make_identity())
    assert text == cloud.render_launch(make_identity())
    request = json.loads(text)
    assert request["MetadataOptions"]["HttpTokens"] == "required"
    assert request["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    root = request["BlockDeviceMappings"][0]["Ebs"]
    assert (root["Encrypted"], root["VolumeType"]) == (True, "gp3")
    assert request["UserData"].startswith("#cloud-config")
