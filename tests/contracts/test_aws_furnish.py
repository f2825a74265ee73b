"""Addresses and chain disks through the AWS adapter: found before made, kept with the relay, never doubled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.adapters.aws import AwsCloud
from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.fleet.observation import Instance, InstanceState
from orchestrator.lab.cloud.faults import DelayedVisibility, Denied, ErrorAfterEffect
from orchestrator.lab.cloud.places import plan_place

from .aws_lab import EU, STORE, AwsLab, make_spec


def things(cloud: AwsCloud) -> tuple[list[str], list[str]]:
    view = cloud.observe_cloud()
    return sorted(each.volume_id for each in view.volumes), sorted(each.address for each in view.addresses)


def retire(lab: AwsLab, cloud: AwsCloud, instance: Instance) -> None:
    cloud.start_retire(instance)
    lab.wait_for(lambda: lab.see(cloud, instance.instance_id).state is InstanceState.TERMINATED)


def test_a_furnished_instance_has_its_elastic_address_and_its_disk(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    said = cloud.run_furnish(instance)
    view = cloud.observe_cloud()
    (address,), (volume,) = view.addresses, view.volumes
    assert (address.relay, address.store_id, address.attached_to) == (instance.relay, STORE, instance.instance_id)
    assert (volume.relay, volume.store_id, volume.attached_to) == (instance.relay, STORE, instance.instance_id)
    assert (volume.zone, volume.size_gib) == (instance.zone, 7)
    assert aws_lab.see(cloud, instance.instance_id).address == address.address
    assert address.address in said
    assert volume.volume_id in said


def test_the_chain_disk_is_encrypted_gp3_and_survives_its_instance(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    cloud.run_furnish(instance)
    retire(aws_lab, cloud, instance)
    (volume,) = cloud.observe_cloud().volumes
    (document,) = aws_lab.api().describe_volumes(VolumeIds=[volume.volume_id])["Volumes"]
    assert (document["Encrypted"], document["VolumeType"]) == (True, "gp3")
    assert document["State"] == "available"


def test_furnishing_again_does_nothing(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    cloud.run_furnish(instance)
    before = things(cloud)
    assert cloud.run_furnish(instance) == "nothing was missing"
    assert things(cloud) == before


def test_an_ephemeral_region_gets_no_elastic_address(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud(make_spec(**{EU: {"addresses": "ephemeral"}}))
    cloud.run_furnish(aws_lab.launch(cloud))
    assert cloud.observe_cloud().addresses == ()


@pytest.mark.parametrize("step", ["AllocateAddress", "AssociateAddress", "CreateVolume", "AttachVolume"])
def test_an_error_after_the_effect_of_any_step_doubles_nothing(aws_lab: AwsLab, step: str) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    aws_lab.server.control.add_fault(ErrorAfterEffect(step), times=1)
    try:
        cloud.run_furnish(instance)
    except CloudUnavailable:
        cloud.run_furnish(instance)
    volumes, addresses = things(cloud)
    assert (len(volumes), len(addresses)) == (1, 1)


@pytest.mark.parametrize("step", ["AllocateAddress", "AssociateAddress", "CreateVolume", "AttachVolume"])
def test_a_controller_that_ends_before_any_step_is_followed_by_one_that_finishes(aws_lab: AwsLab, step: str) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    fault = aws_lab.server.control.add_fault(Denied(step))
    with pytest.raises(CloudRefused, match=f"ec2:{step}"):
        cloud.run_furnish(instance)
    aws_lab.server.control.clear_faults(fault)
    aws_lab.cloud().run_furnish(instance)
    volumes, addresses = things(cloud)
    assert (len(volumes), len(addresses)) == (1, 1)


def test_a_disk_that_is_not_visible_yet_is_waited_for(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    aws_lab.server.control.add_fault(DelayedVisibility(seconds=3.0))
    cloud.run_furnish(instance)
    assert len(things(cloud)[0]) == 1


def test_a_disk_that_stays_invisible_is_not_made_again(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    before = aws_lab.server.control.regions[EU].volume_ids()
    aws_lab.server.control.add_fault(DelayedVisibility(seconds=1e6))
    for _ in range(2):
        with pytest.raises(CloudUnavailable, match="not visible yet"):
            cloud.run_furnish(instance)
    assert len(aws_lab.server.control.regions[EU].volume_ids() - before) == 1


def test_a_replacement_in_the_same_zone_keeps_disk_and_address(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    first = aws_lab.launch(cloud)
    cloud.run_furnish(first)
    before = things(cloud)
    retire(aws_lab, cloud, first)
    second = aws_lab.launch(cloud, generation=2)
    assert "kept" in cloud.run_furnish(second)
    assert things(cloud) == before
    assert {each.attached_to for each in cloud.observe_cloud().volumes} == {second.instance_id}


def test_a_replacement_in_another_zone_gets_a_new_disk_and_keeps_the_address(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    first = aws_lab.launch(cloud)
    cloud.run_furnish(first)
    retire(aws_lab, cloud, first)
    second = aws_lab.launch(cloud, generation=2, zone=1)
    cloud.run_furnish(second)
    volumes, addresses = cloud.observe_cloud().volumes, cloud.observe_cloud().addresses
    assert {(each.zone, each.attached_to) for each in volumes} == {
        (plan_place(EU).zones[0].name, None),
        (plan_place(EU).zones[1].name, second.instance_id),
    }
    assert [each.attached_to for each in addresses] == [second.instance_id]


def test_a_replacement_takes_address_and_disk_from_its_stopped_predecessor(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    first = aws_lab.launch(cloud)
    cloud.run_furnish(first)
    before = things(cloud)
    aws_lab.server.control.kill(first.instance_id)
    aws_lab.wait_for(lambda: aws_lab.see(cloud, first.instance_id).state is InstanceState.STOPPED)
    second = aws_lab.launch(cloud, generation=2)
    assert f"taken over from {first.instance_id}" in cloud.run_furnish(second)
    assert things(cloud) == before
    assert {each.attached_to for each in cloud.observe_cloud().volumes} == {second.instance_id}


def test_the_disk_of_a_running_predecessor_is_left_alone(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    first = aws_lab.launch(cloud)
    cloud.run_furnish(first)
    (kept,), _ = things(cloud)
    second = aws_lab.launch(cloud, generation=2)
    cloud.run_furnish(second)
    holders = {each.volume_id: each.attached_to for each in cloud.observe_cloud().volumes}
    assert holders.pop(kept) == first.instance_id
    assert list(holders.values()) == [second.instance_id]


def test_an_address_is_never_taken_from_a_later_generation(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    old = aws_lab.launch(cloud)
    new = aws_lab.launch(cloud, generation=2)
    cloud.run_furnish(new)
    with pytest.raises(CloudRefused, match=f"in use by {new.instance_id}"):
        cloud.run_furnish(old)


def test_a_used_up_quota_is_told_before_anything_is_allocated(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    aws_lab.server.control.set_quota(EU, 0)
    with pytest.raises(CloudRefused, match=r"0 of 0 are in use.*\n.*L-0263D0A3"):
        aws_lab.cloud().run_furnish(instance)


def test_a_quota_that_only_the_call_shows_is_told_the_same_way(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    aws_lab.server.control.add_fault(Denied("GetServiceQuota"))
    aws_lab.server.control.add_fault(Denied("DescribeAccountAttributes"))
    aws_lab.server.control.set_quota(EU, 0)
    with pytest.raises(CloudRefused, match=r"maximum number of addresses.*\n.*L-0263D0A3"):
        aws_lab.cloud().run_furnish(instance)


def test_what_another_store_owns_is_not_used(aws_lab: AwsLab) -> None:
    first = aws_lab.cloud(store_id="another-store")
    old = aws_lab.launch(first)
    first.run_furnish(old)
    retire(aws_lab, first, old)
    cloud = aws_lab.cloud()
    with pytest.raises(CloudRefused, match=r"belongs to store another-store.*\n.*adopt"):
        cloud.run_furnish(aws_lab.launch(cloud, generation=2))


def test_only_this_fleets_instances_of_this_store_are_terminated(aws_lab: AwsLab) -> None:
    other_fleet = aws_lab.launch(aws_lab.cloud(make_spec(fleet="other")))
    other_store = aws_lab.launch(aws_lab.cloud(store_id="another-store"), generation=7)
    cloud = aws_lab.cloud()
    with pytest.raises(CloudRefused, match="does not carry the tag genesis-fleet:fleet=testing"):
        cloud.start_retire(other_fleet)
    with pytest.raises(CloudRefused, match="belongs to store another-store"):
        cloud.start_retire(other_store)
    assert {each["state"] for each in aws_lab.server.control.list_instances()} == {"running"}


def test_tags_changed_since_the_look_protect_an_instance(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    aws_lab.api().delete_tags(Resources=[instance.instance_id], Tags=[{"Key": "genesis-fleet:store"}])
    with pytest.raises(CloudRefused, match="belongs to store none"):
        cloud.start_retire(instance)


def test_retiring_again_or_what_is_gone_does_nothing(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    cloud.start_retire(instance)
    cloud.start_retire(instance)
    aws_lab.wait_for(lambda: aws_lab.see(cloud, instance.instance_id).state is InstanceState.TERMINATED)
    cloud.start_retire(instance)


def test_the_host_key_is_tagged_without_its_comment(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = aws_lab.launch(cloud)
    cloud.save_host_key(instance, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 root@host, made (today)")
    assert aws_lab.see(cloud, instance.instance_id).host_key == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"


def test_an_instance_that_is_not_listed_yet_is_tagged_later(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    instance = replace(aws_lab.launch(cloud), instance_id="i-0123456789abcdef0")
    with pytest.raises(CloudUnavailable, match="cannot be tagged"):
        cloud.save_host_key(instance, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5")


def test_adoption_tags_instances_disks_addresses_interfaces_and_group(aws_lab: AwsLab) -> None:
    first = aws_lab.cloud(store_id="another-store")
    instance = aws_lab.launch(first)
    first.run_furnish(instance)
    heir = aws_lab.cloud()
    heir.save_ownership([instance], STORE)
    view = heir.observe_cloud()
    owned: list[Any] = [*view.instances, *view.volumes, *view.addresses]
    assert {each.store_id for each in owned} == {STORE}
    (group,) = (g for g in aws_lab.api().describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default")
    assert {"Key": "genesis-fleet:store", "Value": STORE} in group["Tags"]
    heir.start_retire(instance)
