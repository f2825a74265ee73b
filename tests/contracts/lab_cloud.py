"""A lab cloud on loopback with machines in memory, and the few calls that its tests make over and over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from threading import Event
from time import monotonic
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from orchestrator.lab.aws import LabCloudServer
from orchestrator.lab.cloud.addresses import RangeAllocator
from orchestrator.lab.cloud.places import plan_place
from orchestrator.lab.cloud.region import CloudSettings
from orchestrator.lab.places import LAB_KEYS
from orchestrator.lab.supervisor.loop import SupervisorSettings

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


@contextmanager
def open_labs() -> Iterator[Callable[..., Lab]]:
    """Yield what makes a lab cloud from settings; all that were made are stopped at the end."""
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


def attachment_of(client: Any, volume_id: str) -> str | None:
    attachments = client.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["Attachments"]
    return attachments[0]["State"] if attachments else None


def health_of(client: Any, instance_id: str) -> str:
    return str(
        client.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"][0]["InstanceStatus"]["Status"]
    )
