"""Making the instance of a recorded request, once, wherever the controller dies.

Safe without fencing: the request carries a token; AWS gives the same instance for the same token, and this looks for it
first, because AWS forgets tokens of instances that are long gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.adapters.aws_clients import Clients, ExpectedCode
from orchestrator.adapters.aws_errors import Unconfirmed
from orchestrator.adapters.aws_observe import list_instances
from orchestrator.adapters.aws_view import GONE
from orchestrator.errors import CloudRefused
from orchestrator.execution.ports import Launched, LaunchRefused, LaunchResult

NO_CAPACITY = frozenset(
    {"InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity", "Unsupported"}
    | {
        "InsufficientFreeAddressesInSubnet",
        "UnsupportedHibernationConfiguration",
        "InsufficientReservedInstanceCapacity",
    }
)
"""Of this zone, now: another zone may do. `Unsupported` is the answer where a zone does not offer the instance type."""
QUOTA = frozenset(
    {"VcpuLimitExceeded", "InstanceLimitExceeded", "MaxIOPSLimitExceeded", "VolumeLimitExceeded"}
    | {"NetworkInterfaceLimitExceeded", "ResourceLimitExceeded", "ResourceCountExceeded"}
)
STALE_REQUEST = frozenset({"InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"})
"""The recorded request names a security group that somebody deleted since; a new attempt makes it anew."""
MISMATCH = frozenset({"IdempotentParameterMismatch"})


def launch_once(clients: Clients, region: str, request_json: str) -> LaunchResult:
    """Find the instance of this request, or make it. Raises CloudRefused or CloudUnavailable."""
    request: dict[str, Any] = json.loads(request_json)
    token = request["ClientToken"]
    if found := _find(clients, region, token):
        _refuse_mismatch(region, request, found)
        return Launched(found["InstanceId"])
    try:
        answer = clients.call_once(
            region, "run_instances", expected=NO_CAPACITY | QUOTA | STALE_REQUEST | MISMATCH, **request
        )
    except ExpectedCode as refusal:
        return _refused(clients, region, request, refusal)
    except Unconfirmed:
        if found := _find_patiently(clients, region, token):
            return Launched(found["InstanceId"])
        raise
    _find_patiently(clients, region, token)
    return Launched(answer["Instances"][0]["InstanceId"])


def _refused(clients: Clients, region: str, request: Mapping[str, Any], refusal: ExpectedCode) -> LaunchResult:
    place = f"{request['InstanceType']} in {_subnet_of(request)} ({region})"
    said = f"{refusal.code}: {refusal.text}"
    if refusal.code in MISMATCH:
        if found := _find_patiently(clients, region, request["ClientToken"]):
            _refuse_mismatch(region, request, found)
            return Launched(found["InstanceId"])
        raise _mismatch(region, request, "an earlier request that can no longer be seen")
    if refusal.code in NO_CAPACITY:
        return LaunchRefused(f"no capacity for {place}: {said}", capacity=True)
    if refusal.code in QUOTA:
        return LaunchRefused(
            f"a quota of the account is used up for {place}: {said}; ask for more in the Service Quotas console",
            capacity=False,
        )
    return LaunchRefused(f"the recorded request for {place} is out of date: {said}", capacity=False)


def _find(clients: Clients, region: str, token: str) -> Mapping[str, Any] | None:
    """Find by token, preferring one that is alive. A terminated one counts: its token was used."""
    found = list_instances(clients, region, [{"Name": "client-token", "Values": [token]}])
    return min(found, key=lambda each: (each["State"]["Name"] in GONE, each["InstanceId"]), default=None)


def _find_patiently(clients: Clients, region: str, token: str) -> Mapping[str, Any] | None:
    """Find what was just made: AWS lists new instances with some delay."""
    return clients.find_patiently(lambda: _find(clients, region, token))


def _refuse_mismatch(region: str, request: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse to take an instance for one that was asked for differently. Terminated ones no longer tell."""
    if found["State"]["Name"] in GONE:
        return
    there = (found.get("InstanceType"), found.get("SubnetId"), found.get("ImageId"))
    if there != (request["InstanceType"], _subnet_of(request), request["ImageId"]):
        what = f"{found['InstanceId']} ({there[0]} in {there[1]}, image {there[2]})"
        raise _mismatch(region, request, what)


def _mismatch(region: str, request: Mapping[str, Any], there: str) -> CloudRefused:
    token = request["ClientToken"]
    return CloudRefused(
        f"The launch token {token} in {region} belongs to {there}, and the recorded request asks for "
        f"{request['InstanceType']} in {_subnet_of(request)}, image {request['ImageId']}.",
        next_step="One store was probably restored from a copy, or two share an id: see which instance is right, terminate "
        "the other by hand, and run the command again.",
    )


def _subnet_of(request: Mapping[str, Any]) -> str:
    return str(request["NetworkInterfaces"][0]["SubnetId"])
