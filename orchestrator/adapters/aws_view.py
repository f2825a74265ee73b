"""What AWS lists, as our values. Pure: no call, no judgement; a tag that is missing or unreadable becomes empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.adapters import aws_requests as names
from orchestrator.fleet.observation import ElasticAddress, Instance, InstanceState, InstanceStatus, Volume

Document = Mapping[str, Any]

GONE = ("terminated", "shutting-down")
"""States of an instance that will never run again."""
_NO_RANGE = ("associating", "disassociating", "disassociated", "failing", "failed")
"""States of a subnet's IPv6 range in which no address can be had from it."""


def parse_tags(document: Document) -> dict[str, str]:
    """Return the tags of anything."""
    return {tag["Key"]: tag["Value"] for tag in document.get("Tags", ())}


def parse_instance(region: str, document: Document, status: InstanceStatus) -> Instance:
    """Read one instance of DescribeInstances."""
    tags = parse_tags(document)
    return Instance(
        instance_id=document["InstanceId"],
        region=region,
        zone=document.get("Placement", {}).get("AvailabilityZone", ""),
        state=InstanceState(document["State"]["Name"]),
        status=status,
        fleet=tags.get(names.TAG_FLEET, ""),
        store_id=tags.get(names.TAG_STORE, ""),
        relay=tags.get(names.TAG_RELAY, ""),
        generation=parse_number(tags.get(names.TAG_GENERATION)) or 0,
        address=document.get("PublicIpAddress") or None,
        address_v6=_address_v6(document),
        image=document.get("ImageId", ""),
        instance_type=document.get("InstanceType", ""),
        subnet=document.get("SubnetId", ""),
        launched_at=document["LaunchTime"],
        launch_token=document.get("ClientToken", ""),
        host_key=tags.get(names.TAG_HOST_KEY) or None,
        magic=parse_number(tags.get(names.TAG_MAGIC)),
    )


def parse_status(document: Document) -> InstanceStatus:
    """Judge as AWS does: one failed check is an impaired instance, and only two passed ones make it well."""
    checks = {document.get(name, {}).get("Status", "") for name in ("InstanceStatus", "SystemStatus")}
    if "impaired" in checks:
        return InstanceStatus.IMPAIRED
    if checks == {"ok"}:
        return InstanceStatus.OK
    return InstanceStatus.INITIALIZING if "initializing" in checks else InstanceStatus.UNKNOWN


def parse_volume(region: str, document: Document) -> Volume:
    """Read one volume of DescribeVolumes."""
    tags = parse_tags(document)
    return Volume(
        volume_id=document["VolumeId"],
        region=region,
        zone=document["AvailabilityZone"],
        relay=tags.get(names.TAG_RELAY, ""),
        store_id=tags.get(names.TAG_STORE, ""),
        size_gib=int(document["Size"]),
        attached_to=holder_of(document),
    )


def parse_address(region: str, document: Document) -> ElasticAddress:
    """Read one address of DescribeAddresses."""
    tags = parse_tags(document)
    return ElasticAddress(
        allocation_id=document["AllocationId"],
        region=region,
        address=document["PublicIp"],
        relay=tags.get(names.TAG_RELAY, ""),
        store_id=tags.get(names.TAG_STORE, ""),
        attached_to=document.get("InstanceId") or None,
    )


def parse_subnet(document: Document) -> names.Subnet:
    """Read one subnet of DescribeSubnets."""
    ranges = document.get("Ipv6CidrBlockAssociationSet", ())
    return names.Subnet(
        subnet_id=document["SubnetId"],
        vpc_id=document["VpcId"],
        zone=document["AvailabilityZone"],
        has_v6=any(each.get("Ipv6CidrBlockState", {}).get("State") not in _NO_RANGE for each in ranges),
    )


def parse_image(document: Document) -> names.Image:
    """Read one image of DescribeImages."""
    root = document.get("RootDeviceName", "/dev/xvda")
    sizes = [
        int(mapping.get("Ebs", {}).get("VolumeSize", 0))
        for mapping in document.get("BlockDeviceMappings", ())
        if mapping.get("DeviceName") == root
    ]
    return names.Image(document["ImageId"], root, max(sizes, default=0), document.get("Architecture", ""))


def parse_number(text: str | None) -> int | None:
    """Read a number from a tag that people can edit."""
    return int(text) if text and text.isascii() and text.isdigit() else None


def holder_of(volume: Document) -> str | None:
    """Return the instance a volume is attached to, or is on its way to or from."""
    held = [each for each in volume.get("Attachments", ()) if each.get("State") != "detached"]
    return str(held[0]["InstanceId"]) if held else None


def _address_v6(document: Document) -> str | None:
    for interface in document.get("NetworkInterfaces", ()):
        for each in interface.get("Ipv6Addresses", ()):
            return str(each["Ipv6Address"])
    return document.get("Ipv6Address") or None
