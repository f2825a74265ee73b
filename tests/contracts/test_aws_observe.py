"""Looking at AWS through the adapter: pages, silent regions, credentials, permissions, quota."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.errors import CloudRefused
from orchestrator.fleet.observation import InstanceState, InstanceStatus
from orchestrator.lab.cloud.faults import BadCredentials, Denied, Throttled
from orchestrator.lab.cloud.places import plan_place

from .aws_lab import EU, US, AwsLab, FastClock, make_identity, make_spec, start_lab


@pytest.fixture
def paged_lab(no_real_aws: pytest.MonkeyPatch) -> Iterator[AwsLab]:
    lab = start_lab(page_limit=2)
    no_real_aws.setenv("AWS_ENDPOINT_URL", lab.server.endpoint_url)
    yield lab
    lab.close()


def test_an_empty_account_shows_zones_and_head_room_and_nothing_else(aws_lab: AwsLab) -> None:
    view = aws_lab.cloud().observe_cloud()
    assert (view.instances, view.volumes, view.addresses, view.warnings) == ((), (), (), ())
    assert not view.silent_regions
    assert view.zones[US] == tuple((zone.subnet_id, zone.name) for zone in plan_place(US).zones)
    assert view.free_addresses == {EU: 5, US: 5}


def test_all_pages_are_read(paged_lab: AwsLab) -> None:
    cloud = paged_lab.cloud()
    for index in range(5):
        cloud.start_launch(EU, cloud.render_launch(make_identity(f"testing-eu-central-1-{index:02d}")))
    assert len({each.relay for each in cloud.observe_cloud().instances}) == 5


def test_instances_of_all_regions_are_seen_and_of_other_fleets_none(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    other = aws_lab.cloud(make_spec(fleet="other"))
    aws_lab.launch(cloud)
    aws_lab.launch(cloud, relay="testing-us-east-1-01", region=US)
    aws_lab.launch(other, relay="other-eu-central-1-01")
    assert {each.relay for each in cloud.observe_cloud().instances} == {
        "testing-eu-central-1-01",
        "testing-us-east-1-01",
    }


def test_an_impaired_instance_is_told_from_a_stopped_and_a_terminated_one(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    made = {
        name: aws_lab.launch(cloud, relay=name).instance_id
        for name in ("testing-eu-central-1-01", "testing-eu-central-1-02", "testing-eu-central-1-03")
    }
    impaired, stopped, gone = made.values()
    aws_lab.server.control.kill(impaired, "impaired")
    aws_lab.server.control.kill(stopped)
    aws_lab.server.control.terminate(gone)
    aws_lab.wait_for(lambda: aws_lab.see(cloud, gone).state is InstanceState.TERMINATED)
    aws_lab.wait_for(lambda: aws_lab.see(cloud, stopped).state is InstanceState.STOPPED)
    seen = aws_lab.see(cloud, impaired)
    assert (seen.state, seen.status) == (InstanceState.RUNNING, InstanceStatus.IMPAIRED)


def test_a_region_that_is_throttled_is_silent_and_the_others_are_seen(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    aws_lab.launch(cloud)
    aws_lab.server.control.add_fault(Throttled(every=1, region=US, action="DescribeInstances"))
    view = cloud.observe_cloud()
    assert list(view.silent_regions) == [US]
    assert "throttles" in view.silent_regions[US]
    assert len(view.instances) == 1


def test_a_region_that_is_not_enabled_is_silent(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(BadCredentials(region=US))
    assert list(aws_lab.cloud().observe_cloud().silent_regions) == [US]


def test_wrong_credentials_stop_the_command_and_say_what_to_do(aws_lab: AwsLab) -> None:
    with pytest.raises(CloudRefused, match=r"does not accept the credentials.*\n.*aws sts get-caller-identity"):
        aws_lab.cloud(secret="wrong").observe_cloud()


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeVolumes", "DescribeSubnets", "DescribeAddresses"])
def test_a_missing_permission_to_look_is_named(aws_lab: AwsLab, action: str) -> None:
    aws_lab.server.control.add_fault(Denied(action))
    with pytest.raises(CloudRefused, match=f"lack the permission ec2:{action} in"):
        aws_lab.cloud().observe_cloud()


def test_a_permission_missing_in_one_region_alone_makes_that_one_silent(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    aws_lab.launch(cloud)
    aws_lab.server.control.add_fault(Denied("DescribeVolumes", region=US))
    view = cloud.observe_cloud()
    assert list(view.silent_regions) == [US]
    assert "lack the permission ec2:DescribeVolumes" in view.silent_regions[US]
    assert len(view.instances) == 1


def test_without_permission_for_quotas_the_account_attribute_tells(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(Denied("GetServiceQuota"))
    view = aws_lab.cloud().observe_cloud()
    assert view.free_addresses == {EU: 5, US: 5}
    assert view.warnings == ()


def test_a_quota_that_cannot_be_read_at_all_is_warned_of_and_unknown(aws_lab: AwsLab) -> None:
    aws_lab.server.control.add_fault(Denied("GetServiceQuota"))
    aws_lab.server.control.add_fault(Denied("DescribeAccountAttributes"))
    view = aws_lab.cloud().observe_cloud()
    assert view.free_addresses == {}
    assert [warning for warning in view.warnings if "servicequotas:GetServiceQuota" in warning]


def test_addresses_of_others_count_against_the_quota(aws_lab: AwsLab) -> None:
    aws_lab.api().allocate_address(Domain="vpc")
    view = aws_lab.cloud().observe_cloud()
    assert view.free_addresses[EU] == 4
    assert view.addresses == ()


def test_a_raised_quota_is_noticed_after_it_was_reached(aws_lab: AwsLab) -> None:
    aws_lab.server.control.set_quota(EU, 1)
    aws_lab.api().allocate_address(Domain="vpc")
    cloud = aws_lab.cloud()
    assert cloud.observe_cloud().free_addresses[EU] == 0
    aws_lab.server.control.set_quota(EU, 3)
    assert cloud.observe_cloud().free_addresses[EU] == 2


def test_no_credentials_stop_the_command_and_say_what_to_do(no_real_aws: pytest.MonkeyPatch) -> None:
    from orchestrator.adapters.aws import AwsCloud

    no_real_aws.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(CloudRefused, match=r"No usable AWS credentials.*\n.*AWS_PROFILE"):
        AwsCloud(make_spec(), "store", FastClock()).observe_cloud()


def test_a_profile_that_does_not_exist_is_named(no_real_aws: pytest.MonkeyPatch) -> None:
    from orchestrator.adapters.aws import AwsCloud

    spec = make_spec(cloud={"kind": "aws", "profile": "missing-profile"})
    with pytest.raises(CloudRefused, match="missing-profile"):
        AwsCloud(spec, "store", FastClock()).observe_cloud()


def test_half_of_the_credentials_is_as_good_as_none(no_real_aws: pytest.MonkeyPatch) -> None:
    from orchestrator.adapters.aws import AwsCloud

    no_real_aws.setenv("AWS_ACCESS_KEY_ID", "AKIAHALF")
    no_real_aws.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(CloudRefused, match="No usable AWS credentials"):
        AwsCloud(make_spec(), "store", FastClock()).observe_cloud()


def test_an_endpoint_where_nobody_listens_makes_every_region_silent(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    aws_lab.server.stop()
    view = cloud.observe_cloud()
    assert set(view.silent_regions) == {EU, US}
    assert "cannot be reached" in view.silent_regions[EU]
