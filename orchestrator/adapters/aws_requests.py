"""What is asked of AWS, as values: tags, the whole launch request, the rules of the security group. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_network
from typing import Any

from orchestrator.execution.ports import ServerIdentity
from orchestrator.spec.model import FleetSpec

TAG_FLEET = "genesis-fleet:fleet"
TAG_STORE = "genesis-fleet:store"
TAG_RELAY = "genesis-fleet:relay"
TAG_GENERATION = "genesis-fleet:generation"
TAG_MAGIC = "genesis-fleet:magic"
TAG_HOST_KEY = "genesis-fleet:host-key"
TAG_DISK = "genesis-fleet:disk"
"""On volumes: `chain` or `root`. A chain disk outlives its instance, a root disk is part of it."""

CHAIN_DEVICE = "/dev/sdf"
"""First of the names that AWS recommends for data volumes; the host sees it under the volume's serial number."""
LEAST_ROOT_GIB = 16
"""Room for two unpacked releases and the journal beside Debian; images come with 8."""

Tags = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Subnet:
    """What a launch needs to know about a subnet."""

    subnet_id: str
    vpc_id: str
    zone: str
    has_v6: bool


@dataclass(frozen=True, slots=True)
class Image:
    """What a launch needs to know about an image."""

    image_id: str
    root_device: str
    root_gib: int
    architecture: str


def render_tags(tags: Mapping[str, str]) -> Tags:
    """Write tags as AWS takes them, in a fixed order."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def fleet_tags(spec: FleetSpec, store_id: str, relay: str) -> dict[str, str]:
    """Return the tags by which everything of a relay is found again, whatever it is."""
    return {TAG_FLEET: spec.fleet, TAG_STORE: store_id, TAG_RELAY: relay, "Name": relay}


def group_name(fleet: str) -> str:
    """Return the name of the fleet's security group."""
    return f"genesis-fleet-{fleet}"


def render_run_instances(
    spec: FleetSpec, store_id: str, identity: ServerIdentity, subnet: Subnet, image: Image, group_id: str
) -> str:
    """Return the complete launch request as canonical JSON: the same inputs give the same bytes."""
    region = spec.regions[identity.region]
    tags = fleet_tags(spec, store_id, identity.relay) | {
        TAG_GENERATION: str(identity.generation),
        TAG_MAGIC: str(spec.network.magic),
    }
    interface: dict[str, Any] = {
        "DeviceIndex": 0,
        "SubnetId": subnet.subnet_id,
        "Groups": [group_id],
        # An elastic address comes with the furnishing; an automatic one before it would only be learnt and lost again.
        "AssociatePublicIpAddress": region.addresses == "ephemeral",
        "DeleteOnTermination": True,
    }
    if subnet.has_v6:
        interface["Ipv6AddressCount"] = 1
    root = {
        "Encrypted": True,
        "VolumeType": "gp3",
        "VolumeSize": max(LEAST_ROOT_GIB, image.root_gib),
        "DeleteOnTermination": True,
    }
    request = {
        "ClientToken": identity.token,
        "ImageId": image.image_id,
        "InstanceType": identity.instance_type or region.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "UserData": identity.user_data,
        "NetworkInterfaces": [interface],
        "BlockDeviceMappings": [{"DeviceName": image.root_device, "Ebs": root}],
        # One hop: what runs in a container on the host cannot reach the metadata, and with it the user data.
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "InstanceInitiatedShutdownBehavior": "stop",
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": render_tags(tags)},
            {"ResourceType": "network-interface", "Tags": render_tags(tags)},
            {"ResourceType": "volume", "Tags": render_tags(tags | {TAG_DISK: "root"})},
        ],
    }
    return json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def disk_token(launch_token: str, zone: str, size_gib: int) -> str:
    """Return the token of an instance's chain disk: a repeated creation gives the same disk."""
    return sha256(f"chain disk\n{launch_token}\n{zone}\n{size_gib}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """TCP from one network to one port."""

    port: int
    network: str

    def as_permission(self) -> dict[str, Any]:
        """Write the rule as AWS takes it."""
        permission: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": self.port, "ToPort": self.port}
        if ":" in self.network:
            return permission | {"Ipv6Ranges": [{"CidrIpv6": self.network, "Description": "genesis-fleet"}]}
        return permission | {"IpRanges": [{"CidrIp": self.network, "Description": "genesis-fleet"}]}


def wanted_rules(spec: FleetSpec) -> tuple[Rule, ...]:
    """List who may connect: the world to the relay port, the named networks to SSH."""
    world = {Rule(spec.ports.relay, "0.0.0.0/0"), Rule(spec.ports.relay, "::/0")}
    # AWS stores networks in their canonical spelling; compared in any other, a rule would look missing for ever.
    named = {Rule(spec.ssh.port, str(ip_network(cidr))) for cidr in spec.ssh.allowed_from}
    return tuple(sorted(world | named))


def pick_missing_rules(wanted: tuple[Rule, ...], permissions: tuple[Mapping[str, Any], ...]) -> tuple[Rule, ...]:
    """Return the wanted rules that a group does not have word for word."""
    present = {
        Rule(int(permission["FromPort"]), network)
        for permission in permissions
        if permission.get("IpProtocol") == "tcp" and permission.get("FromPort") == permission.get("ToPort")
        for network in _networks(permission)
    }
    return tuple(rule for rule in wanted if rule not in present)


def pick_excess(spec: FleetSpec, permissions: tuple[Mapping[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """Return what lets anyone but the named networks reach SSH, as AWS takes it for revoking."""
    wanted = set(wanted_rules(spec))
    excess = []
    for permission in permissions:
        if not _covers(permission, spec.ssh.port):
            continue
        exact = permission.get("FromPort") == permission.get("ToPort") == spec.ssh.port

        def is_wanted(network: str, exact: bool = exact) -> bool:  # noqa: FBT001 - binds the loop's value
            return exact and Rule(spec.ssh.port, network) in wanted

        rest: dict[str, Any] = {
            key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in permission
        }
        sources = {
            "IpRanges": [each for each in permission.get("IpRanges", ()) if not is_wanted(each["CidrIp"])],
            "Ipv6Ranges": [each for each in permission.get("Ipv6Ranges", ()) if not is_wanted(each["CidrIpv6"])],
            "PrefixListIds": list(permission.get("PrefixListIds", ())),
            "UserIdGroupPairs": list(permission.get("UserIdGroupPairs", ())),
        }
        rest |= {key: value for key, value in sources.items() if value}
        if any(sources.values()):
            excess.append(rest)
    return tuple(excess)


def name_sources(permission: Mapping[str, Any]) -> tuple[str, ...]:
    """List whom a permission lets in: networks, prefix lists, other groups."""
    lists = tuple(str(each["PrefixListId"]) for each in permission.get("PrefixListIds", ()))
    groups = tuple(str(each.get("GroupId", "another group")) for each in permission.get("UserIdGroupPairs", ()))
    return _networks(permission) + lists + groups


def _covers(permission: Mapping[str, Any], port: int) -> bool:
    if permission.get("IpProtocol") == "-1":
        return True
    if permission.get("IpProtocol") != "tcp":
        return False
    return int(permission.get("FromPort", 0)) <= port <= int(permission.get("ToPort", 65535))


def _networks(permission: Mapping[str, Any]) -> tuple[str, ...]:
    v4 = tuple(str(each["CidrIp"]) for each in permission.get("IpRanges", ()))
    return v4 + tuple(str(each["CidrIpv6"]) for each in permission.get("Ipv6Ranges", ()))
