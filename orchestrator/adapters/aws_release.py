"""Giving back chain disks and elastic addresses that nothing uses any more. What is gone stays gone: it asks first.

Safe without fencing: what is given back is read again right before, and AWS itself refuses what is attached by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.adapters.aws_clients import Clients, ExpectedCode
from orchestrator.adapters.aws_requests import TAG_DISK, TAG_FLEET, TAG_STORE
from orchestrator.adapters.aws_view import holder_of, parse_tags
from orchestrator.errors import CloudRefused
from orchestrator.fleet.observation import ElasticAddress, Volume
from orchestrator.spec.model import FleetSpec

_NO_VOLUME = frozenset({"InvalidVolume.NotFound"})
_NO_ADDRESS = frozenset({"InvalidAllocationID.NotFound", "InvalidAddress.NotFound"})


def release_thing(clients: Clients, spec: FleetSpec, store_id: str, thing: Volume | ElasticAddress) -> None:
    """Delete a free chain disk, or release a free address. Raises CloudRefused for what is in use or not ours."""
    region = thing.region
    match thing:
        case Volume(volume_id=volume_id):
            found = _read(clients, region, "describe_volumes", "Volumes", _NO_VOLUME, VolumeIds=[volume_id])
            if found is None or found["State"] in ("deleting", "deleted"):
                return
            what = f"Disk {volume_id} in {region}"
            _refuse(spec, store_id, what, found, holder_of(found))
            if parse_tags(found).get(TAG_DISK) != "chain":
                raise _left_alone(f"{what} is not a chain disk", "Delete it by hand if nobody needs it.")
            _give_back(clients, region, "delete_volume", _NO_VOLUME, VolumeId=volume_id)
        case ElasticAddress(allocation_id=allocation_id, address=address):
            ids = [allocation_id]
            found = _read(clients, region, "describe_addresses", "Addresses", _NO_ADDRESS, AllocationIds=ids)
            if found is None:
                return
            _refuse(spec, store_id, f"Address {address} in {region}", found, found.get("AssociationId"))
            _give_back(clients, region, "release_address", _NO_ADDRESS, AllocationId=allocation_id)


def _read(
    clients: Clients,
    region: str,
    operation: str,
    key: str,
    missing: frozenset[str],
    **parameters: Any,  # noqa: ANN401 - boto3 has no types
) -> Mapping[str, Any] | None:
    try:
        found = clients.call(region, operation, expected=missing, **parameters).get(key, ())
    except ExpectedCode:
        return None
    return found[0] if found else None


def _give_back(clients: Clients, region: str, operation: str, gone: frozenset[str], **parameters: str) -> None:
    try:
        clients.call(region, operation, expected=gone, **parameters)
    except ExpectedCode:
        return  # a repeated call whose first answer was lost


def _refuse(spec: FleetSpec, store_id: str, what: str, found: Mapping[str, Any], holder: str | None) -> None:
    tags = parse_tags(found)
    if tags.get(TAG_FLEET) != spec.fleet:
        raise _left_alone(
            f"{what} does not carry the tag {TAG_FLEET}={spec.fleet}", "Give it its tags back if it is this fleet's."
        )
    if tags.get(TAG_STORE) != store_id:
        raise _left_alone(
            f"{what} belongs to store {tags.get(TAG_STORE, 'none')}, this store is {store_id}",
            "Run `genesis-fleet adopt` if this controller takes over.",
        )
    if holder:
        raise _left_alone(f"{what} is in use ({holder})", "Retire what uses it first.")


def _left_alone(cause: str, next_step: str) -> CloudRefused:
    return CloudRefused(f"{cause}: it is left alone.", next_step=next_step)
