"""The production AWS adapter against the lab's corrected AWS API on loopback, with machines in memory.

Time is real here, but runs FASTER times as fast for the adapter's waits and for the lab's delays alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from threading import Event
from time import monotonic
from typing import Any

import boto3

from orchestrator.adapters.aws import AwsCloud
from orchestrator.execution.ports import Launched, ServerIdentity
from orchestrator.fleet.observation import Instance
from orchestrator.lab.aws import LabCloudServer
from orchestrator.lab.cloud.addresses import RangeAllocator
from orchestrator.lab.cloud.places import plan_place
from orchestrator.lab.cloud.region import CloudSettings
from orchestrator.lab.places import LAB_KEYS
from orchestrator.lab.supervisor.loop import SupervisorSettings
from orchestrator.spec.model import FleetSpec

from .lab_machines import FakeMachines

FASTER = 20.0
EU, US = "eu-central-1", "us-east-1"
STORE = "store-0123456789abcdef"
KEY_ID, SECRET = next(iter(LAB_KEYS.items()))


@cache
def session_with(secret: str) -> boto3.Session:
    """One session for all tests: reading botocore's model of EC2 takes longer than most of them."""
    return boto3.Session(aws_access_key_id=KEY_ID, aws_secret_access_key=secret)


class FastClock:
    """ClockPort on real time, sped up."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds())

    def seconds(self) -> float:
        return monotonic() * FASTER

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        if not until():
            Event().wait(seconds / FASTER)


def make_spec(**changes: Any) -> FleetSpec:
    """A fleet of two regions in the lab's cloud."""

    def region(name: str) -> dict[str, Any]:
        place = plan_place(name)
        return {
            "count": 2,
            "image": place.image_id,
            "instance_type": "r6a.large",
            "subnets": tuple(zone.subnet_id for zone in place.zones),
            "disk_gib": 7,
        }

    archive = {"url": "https://releases.example.org/node.tar.gz", "sha256": "0" * 64}
    document: dict[str, Any] = {
        "fleet": "testing",
        "network": {"name": "privnet", "magic": 42, "folder": "network"},
        "releases": {"10.1.4": {"x86_64": archive}},
        "release": "10.1.4",
        "cloud": {"kind": "aws"},
        "regions": {EU: region(EU), US: region(US)},
        "ssh": {"allowed_from": ("203.0.113.0/24", "2001:db8:5::/48")},
    }
    regions = {name: document["regions"][name] | changes.pop(name, {}) for name in (EU, US)}
    return FleetSpec.model_validate(document | {"regions": regions} | changes)


@dataclass
class AwsLab:
    """A running lab cloud, and adapters for it."""

    server: LabCloudServer
    machines: FakeMachines
    clock: FastClock
    made: list[Any] = field(default_factory=list)

    def cloud(self, spec: FleetSpec | None = None, *, store_id: str = STORE, secret: str = SECRET) -> AwsCloud:
        made = AwsCloud(spec or make_spec(), store_id, self.clock, session_with(secret))
        self.made.append(made)
        return made

    def api(self, region: str = EU) -> Any:
        """Plain boto3, for looking behind the adapter."""
        made = session_with(SECRET).client("ec2", region_name=region)
        self.made.append(made)
        return made

    def launch(self, cloud: AwsCloud, **changes: Any) -> Instance:
        """Launch an instance and wait until it runs."""
        identity = make_identity(**changes)
        launched = cloud.start_launch(identity.region, cloud.render_launch(identity))
        assert isinstance(launched, Launched)
        self.wait_for(lambda: self.see(cloud, launched.instance_id).state.value == "running")
        return self.see(cloud, launched.instance_id)

    def see(self, cloud: AwsCloud, instance_id: str) -> Instance:
        return next(each for each in cloud.observe_cloud().instances if each.instance_id == instance_id)

    def wait_for(self, holds: Callable[[], bool]) -> None:
        deadline = monotonic() + 10
        while not holds():
            assert monotonic() < deadline, "waited for 10 s in vain"
            self.clock.wait(0.4, lambda: False)

    def close(self) -> None:
        for each in self.made:
            each.close()
        self.server.stop()


def make_identity(
    relay: str = "testing-eu-central-1-01",
    *,
    region: str = EU,
    generation: int = 1,
    attempt: int = 1,
    zone: int = 0,
    token: str | None = None,
) -> ServerIdentity:
    return ServerIdentity(
        relay,
        region,
        generation,
        attempt,
        token or f"token-{relay}-{generation}-{attempt}",
        plan_place(region).zones[zone].subnet_id,
        f"#cloud-config\nhostname: {relay}\n",
    )


def start_lab(**settings: Any) -> AwsLab:
    machines, clock = FakeMachines(), FastClock()
    server = LabCloudServer(
        "127.0.0.1",
        0,
        RangeAllocator(IPv4Network("10.98.0.0/20"), IPv6Network("fd00:98::/56")),
        machines,
        regions=(EU, US),
        settings=CloudSettings(**{"status_checks_after": timedelta(0)} | settings),
        supervisor_settings=SupervisorSettings(look_every=timedelta(milliseconds=20)),
        now=clock.seconds,
    )
    server.start()
    return AwsLab(server, machines, clock)
