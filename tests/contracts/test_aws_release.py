"""Giving back disks and addresses through the AWS adapter: only what is free and ours."""

from __future__ import annotations

import pytest

from orchestrator.adapters.aws import AwsCloud
from orchestrator.errors import CloudRefused
from orchestrator.fleet.observation import ElasticAddress, InstanceState, Volume
from orchestrator.lab.cloud.faults import ErrorAfterEffect

from .aws_lab import AwsLab, make_spec


def furnish_and_retire(lab: AwsLab, cloud: AwsCloud) -> tuple[Volume, ElasticAddress]:
    instance = lab.launch(cloud)
    cloud.run_furnish(instance)
    cloud.start_retire(instance)
    lab.wait_for(lambda: lab.see(cloud, instance.instance_id).state is InstanceState.TERMINATED)
    view = cloud.observe_cloud()
    return view.volumes[0], view.addresses[0]


def test_what_a_retired_relay_left_is_given_back(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    for thing in furnish_and_retire(aws_lab, cloud):
        cloud.start_release(thing)
        cloud.start_release(thing)
    view = cloud.observe_cloud()
    assert (view.volumes, view.addresses) == ((), ())


@pytest.mark.parametrize("step", ["DeleteVolume", "ReleaseAddress"])
def test_an_error_after_the_effect_is_no_error(aws_lab: AwsLab, step: str) -> None:
    cloud = aws_lab.cloud()
    things = furnish_and_retire(aws_lab, cloud)
    aws_lab.server.control.add_fault(ErrorAfterEffect(step), times=1)
    for thing in things:
        cloud.start_release(thing)
    view = cloud.observe_cloud()
    assert (view.volumes, view.addresses) == ((), ())


def test_what_is_in_use_stays(aws_lab: AwsLab) -> None:
    cloud = aws_lab.cloud()
    cloud.run_furnish(aws_lab.launch(cloud))
    view = cloud.observe_cloud()
    for thing in (*view.volumes, *view.addresses):
        with pytest.raises(CloudRefused, match="in use"):
            cloud.start_release(thing)
    assert cloud.observe_cloud() == view


def test_what_another_store_or_fleet_owns_stays(aws_lab: AwsLab) -> None:
    owner = aws_lab.cloud(store_id="another-store")
    things = furnish_and_retire(aws_lab, owner)
    for thing in things:
        with pytest.raises(CloudRefused, match="belongs to store another-store"):
            aws_lab.cloud().start_release(thing)
        with pytest.raises(CloudRefused, match="does not carry the tag"):
            aws_lab.cloud(make_spec(fleet="other")).start_release(thing)
    view = owner.observe_cloud()
    assert (len(view.volumes), len(view.addresses)) == (1, 1)
