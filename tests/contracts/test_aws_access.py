"""The security group through the AWS adapter: who reaches the relay port, who reaches SSH, and what people did by hand."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import CloudRefused, LeaseHeld
from orchestrator.lab.cloud.places import plan_place

from .aws_lab import EU, AwsLab, make_identity, make_spec


def read_group(lab: AwsLab) -> Any:
    groups = lab.api().describe_security_groups()["SecurityGroups"]
    return next(group for group in groups if group["GroupName"] == "genesis-fleet-testing")


def read_rules(lab: AwsLab) -> set[tuple[int, str]]:
    return {
        (permission.get("FromPort", -1), network)
        for permission in read_group(lab)["IpPermissions"]
        for network in [each["CidrIp"] for each in permission["IpRanges"]]
        + [each["CidrIpv6"] for each in permission.get("Ipv6Ranges", [])]
    }


WANTED = {(3001, "0.0.0.0/0"), (3001, "::/0"), (22, "203.0.113.0/24"), (22, "2001:db8:5::/48")}


def open_to(lab: AwsLab, port: int, to_port: int, network: str) -> None:
    lab.api().authorize_security_group_ingress(
        GroupId=read_group(lab)["GroupId"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": port, "ToPort": to_port, "IpRanges": [{"CidrIp": network}]}],
    )


def close_relay_port(lab: AwsLab) -> None:
    relay_v4 = {"IpProtocol": "tcp", "FromPort": 3001, "ToPort": 3001, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    lab.api().revoke_security_group_ingress(GroupId=read_group(lab)["GroupId"], IpPermissions=[relay_v4])


def test_the_relay_port_is_open_to_the_world_and_ssh_to_the_named_networks(aws_lab: AwsLab) -> None:
    aws_lab.cloud().render_launch(make_identity())
    assert read_rules(aws_lab) == WANTED


def test_the_group_is_mended_at_the_next_launch(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    cloud.render_launch(make_identity())
    close_relay_port(aws_lab)
    cloud.render_launch(make_identity())
    assert read_rules(aws_lab) == WANTED


@pytest.mark.parametrize(("port", "to_port"), [(22, 22), (20, 30), (0, 65535)])
def test_ssh_opened_by_hand_is_closed_again(aws_lab: AwsLab, port: int, to_port: int) -> None:
    cloud = aws_lab.cloud()
    cloud.render_launch(make_identity())
    open_to(aws_lab, port, to_port, "0.0.0.0/0")
    cloud.save_access(EU, revoke=True)
    assert read_rules(aws_lab) == WANTED


def test_a_network_no_longer_named_loses_ssh(aws_lab: AwsLab) -> None:
    aws_lab.cloud().render_launch(make_identity())
    aws_lab.cloud(make_spec(ssh={"allowed_from": ("198.51.100.7/32",)})).save_access(EU, revoke=True)
    assert read_rules(aws_lab) == {(3001, "0.0.0.0/0"), (3001, "::/0"), (22, "198.51.100.7/32")}


def test_until_the_hosts_have_tried_the_new_networks_the_old_ones_stay_let_in(aws_lab: AwsLab) -> None:
    aws_lab.cloud().render_launch(make_identity())
    changed = aws_lab.cloud(make_spec(ssh={"allowed_from": ("198.51.100.7/32",)}))
    changed.save_access(EU, revoke=False)
    changed.render_launch(make_identity())
    assert read_rules(aws_lab) == WANTED | {(22, "198.51.100.7/32")}
    assert changed.observe_cloud().other_access == {EU}


def test_a_change_is_not_made_once_the_check_before_it_refuses_and_reads_go_on(aws_lab: AwsLab) -> None:
    def refuse() -> None:
        raise LeaseHeld("somebody else holds the lease")

    cloud = aws_lab.cloud()
    cloud.render_launch(make_identity())
    close_relay_port(aws_lab)
    cloud.guard_changes(refuse)
    with pytest.raises(LeaseHeld):
        cloud.save_access(EU, revoke=False)
    assert read_rules(aws_lab) == WANTED - {(3001, "0.0.0.0/0")}
    assert cloud.observe_cloud().other_access == {EU}


def test_rules_for_other_ports_are_left_alone(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    cloud.render_launch(make_identity())
    open_to(aws_lab, 9100, 9100, "203.0.113.9/32")
    cloud.render_launch(make_identity())
    assert read_rules(aws_lab) == WANTED | {(9100, "203.0.113.9/32")}


def test_a_group_of_that_name_without_the_fleets_tag_is_not_touched(aws_lab: AwsLab) -> None:
    aws_lab.api().create_security_group(
        GroupName="genesis-fleet-testing", Description="somebody else's", VpcId=plan_place(EU).vpc_id
    )
    with pytest.raises(CloudRefused, match=r"not the tag genesis-fleet:fleet=testing"):
        aws_lab.cloud().render_launch(make_identity())
    assert read_rules(aws_lab) == set()


def test_a_look_warns_of_ssh_opened_by_hand_and_of_a_missing_rule(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    cloud.render_launch(make_identity())
    seen = cloud.observe_cloud()
    assert (seen.warnings, seen.other_access) == ((), frozenset())
    open_to(aws_lab, 22, 22, "0.0.0.0/0")
    close_relay_port(aws_lab)
    group_id = read_group(aws_lab)["GroupId"]
    assert cloud.observe_cloud().warnings == (
        f"eu-central-1: security group {group_id} does not let in 0.0.0.0/0 to port 3001",
        f"eu-central-1: security group {group_id} opens SSH to 0.0.0.0/0, beyond ssh.allowed_from",
    )


def test_access_is_mended_without_a_launch(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    cloud.render_launch(make_identity())
    open_to(aws_lab, 22, 22, "0.0.0.0/0")
    close_relay_port(aws_lab)
    cloud.save_access(EU, revoke=True)
    assert read_rules(aws_lab) == WANTED


def test_mending_access_where_nothing_was_launched_makes_no_group(aws_lab: AwsLab) -> None:
    aws_lab.cloud().save_access(EU, revoke=True)
    assert len(aws_lab.api().describe_security_groups()["SecurityGroups"]) == 1
