"""Looking at one AWS region: what carries the fleet's tag, the fleet file's subnets, head-room for addresses. Read only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from orchestrator.adapters.aws_access import describe_differences, find_groups
from orchestrator.adapters.aws_clients import Clients, ExpectedCode, tag_filter
from orchestrator.adapters.aws_errors import DENIED
from orchestrator.adapters.aws_requests import TAG_DISK, TAG_FLEET, Subnet
from orchestrator.adapters.aws_view import (
    GONE,
    parse_address,
    parse_instance,
    parse_status,
    parse_subnet,
    parse_tags,
    parse_volume,
)
from orchestrator.errors import CloudUnavailable
from orchestrator.fleet.observation import ElasticAddress, Instance, InstanceStatus, Volume
from orchestrator.spec.model import FleetSpec

STATUS_BATCH = 100
"""DescribeInstanceStatus takes at most so many ids, and knows no filter by tag."""
ADDRESS_QUOTA = "L-0263D0A3"
"""EC2-VPC Elastic IPs; 5 in a new account."""
_NO_QUOTA = DENIED | {"NoSuchResourceException", "InvalidAction", "UnknownOperationException", "InvalidParameterValue"}
_GONE_VOLUMES = ("deleting", "deleted")


@dataclass(frozen=True, slots=True)
class RegionLook:
    """What one region showed."""

    instances: tuple[Instance, ...]
    volumes: tuple[Volume, ...]
    addresses: tuple[ElasticAddress, ...]
    zones: tuple[tuple[str, str], ...]
    free_addresses: int | None
    warnings: tuple[str, ...]
    other_access: bool


class AddressQuota:
    """How many elastic addresses a region's quota allows. Asked once a region, and again after `forget`."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._known: dict[str, int | None] = {}
        self._lock = Lock()

    def limit(self, region: str) -> int | None:
        """Return the quota, or None where neither Service Quotas nor the account's attributes tell."""
        with self._lock:
            if region in self._known:
                return self._known[region]
        found = self._from_service_quotas(region)
        found = self._from_account(region) if found is None else found
        with self._lock:
            self._known[region] = found
        return found

    def forget(self, region: str) -> None:
        """Ask anew the next time: the quota was reached, and may have been raised since."""
        with self._lock:
            self._known.pop(region, None)

    def _from_service_quotas(self, region: str) -> int | None:
        try:
            answer = self._clients.call(
                region,
                "get_service_quota",
                service="service-quotas",
                expected=_NO_QUOTA,
                ServiceCode="ec2",
                QuotaCode=ADDRESS_QUOTA,
            )
        except (ExpectedCode, CloudUnavailable):
            return None
        return int(answer["Quota"]["Value"])

    def _from_account(self, region: str) -> int | None:
        wanted = "vpc-max-elastic-ips"
        try:
            answer = self._clients.call(
                region, "describe_account_attributes", expected=_NO_QUOTA, AttributeNames=[wanted]
            )
        except ExpectedCode:
            return None
        for attribute in answer.get("AccountAttributes", ()):
            if attribute["AttributeName"] == wanted:
                return int(attribute["AttributeValues"][0]["AttributeValue"])
        return None


def observe_region(clients: Clients, quota: AddressQuota, spec: FleetSpec, region: str) -> RegionLook:
    """Look at one region. Raises CloudRefused or CloudUnavailable."""
    ours = tag_filter(fleet=spec.fleet)
    instances = observe_instances(clients, region, ours)
    volumes = clients.pages(region, "describe_volumes", "Volumes", Filters=ours)
    # All of the account: the quota counts them all.
    addresses = clients.call(region, "describe_addresses").get("Addresses", ())
    asked = spec.regions.get(region)
    wanted = asked.subnets if asked is not None else ()
    subnets = find_subnets(clients, region, wanted)
    warnings = [
        f"{region}: subnet {missing} of the fleet file does not exist there"
        for missing in wanted
        if missing not in subnets
    ]
    groups = find_groups(clients, spec, region) if asked is not None else ()
    differences = [each for group in groups for each in describe_differences(spec, region, group)]
    warnings += differences
    free = _count_free(quota, region, len(addresses))
    if free is None and asked is not None and asked.addresses == "elastic":
        warnings.append(
            f"{region}: the quota of elastic addresses cannot be read (servicequotas:GetServiceQuota); "
            "whether it suffices shows at the launch"
        )
    return RegionLook(
        instances=instances,
        volumes=tuple(
            parse_volume(region, each)
            for each in volumes
            if parse_tags(each).get(TAG_DISK) == "chain" and each.get("State") not in _GONE_VOLUMES
        ),
        addresses=tuple(
            parse_address(region, each) for each in addresses if parse_tags(each).get(TAG_FLEET) == spec.fleet
        ),
        zones=tuple((each, subnets[each].zone) for each in wanted if each in subnets),
        free_addresses=free,
        warnings=tuple(warnings),
        other_access=bool(differences),
    )


def observe_instances(clients: Clients, region: str, filters: list[dict[str, Any]]) -> tuple[Instance, ...]:
    """List instances with their status checks, terminated ones too."""
    documents = list_instances(clients, region, filters)
    alive = [each["InstanceId"] for each in documents if each["State"]["Name"] not in GONE]
    statuses: dict[str, InstanceStatus] = {}
    for batch in _batches(alive, STATUS_BATCH):
        statuses |= _observe_statuses(clients, region, batch)
    return tuple(
        parse_instance(region, each, statuses.get(each["InstanceId"], InstanceStatus.UNKNOWN)) for each in documents
    )


def list_instances(clients: Clients, region: str, filters: list[dict[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """List instances as AWS describes them."""
    reservations = clients.pages(region, "describe_instances", "Reservations", Filters=filters)
    return tuple(instance for each in reservations for instance in each["Instances"])


def find_subnets(clients: Clients, region: str, subnet_ids: Sequence[str]) -> dict[str, Subnet]:
    """Return those of the subnets that exist. By filter: asked by id, one that is missing would hide the others."""
    if not subnet_ids:
        return {}
    filters = [{"Name": "subnet-id", "Values": sorted(subnet_ids)}]
    found = clients.pages(region, "describe_subnets", "Subnets", Filters=filters)
    return {each["SubnetId"]: parse_subnet(each) for each in found}


def _observe_statuses(clients: Clients, region: str, instance_ids: list[str]) -> dict[str, InstanceStatus]:
    """Read the status checks. An instance that vanished in between leaves its batch UNKNOWN for this look."""
    try:
        answer = clients.call(
            region,
            "describe_instance_status",
            expected=frozenset({"InvalidInstanceID.NotFound"}),
            InstanceIds=instance_ids,
            IncludeAllInstances=True,
        )
    except ExpectedCode:
        return {}
    return {each["InstanceId"]: parse_status(each) for each in answer.get("InstanceStatuses", ())}


def _count_free(quota: AddressQuota, region: str, used: int) -> int | None:
    limit = quota.limit(region)
    if limit is not None and limit <= used:
        quota.forget(region)
    return None if limit is None else max(0, limit - used)


def _batches(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
