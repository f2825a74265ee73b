"""The elastic address and the chain disk of one running instance: found or made, then attached. Safe to repeat.

Killed anywhere, nothing is lost or doubled: what is made carries the relay's tags from its very first moment, and every
run looks for it by these tags first. Disks are made under a token as well. Addresses know no token, so the call that makes
one is never repeated blindly: after an unclear answer this looks again, and gives up until the next look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.adapters.aws_clients import Clients, ExpectedCode, tag_filter
from orchestrator.adapters.aws_errors import Unconfirmed
from orchestrator.adapters.aws_observe import AddressQuota, list_instances
from orchestrator.adapters.aws_requests import (
    CHAIN_DEVICE,
    TAG_DISK,
    TAG_GENERATION,
    TAG_RELAY,
    TAG_STORE,
    disk_token,
    fleet_tags,
    render_tags,
)
from orchestrator.adapters.aws_view import GONE, holder_of, parse_number, parse_tags
from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.fleet.observation import Instance
from orchestrator.spec.model import FleetSpec

Document = Mapping[str, Any]

ATTACH_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
"""EBS attaches within seconds; what takes longer than these 30 s is taken up by the next look."""
_NOT_VISIBLE = frozenset({"InvalidVolume.NotFound", "InvalidAllocationID.NotFound", "InvalidInstanceID.NotFound"})
_ALIVE = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Furnisher:
    """What furnishing needs beside the instance."""

    clients: Clients
    quota: AddressQuota
    spec: FleetSpec
    store_id: str


def furnish(with_: Furnisher, instance: Instance) -> str:
    """Give the instance what it lacks, and say what was done. Raises CloudRefused or CloudUnavailable."""
    done = []
    if with_.spec.regions[instance.region].addresses == "elastic":
        done.append(_furnish_address(with_, instance))
    done.append(_furnish_disk(with_, instance))
    return "; ".join(part for part in done if part) or "nothing was missing"


# --- address ---------------------------------------------------------------------------------------------------------


def _furnish_address(with_: Furnisher, instance: Instance) -> str:
    found = _find_addresses(with_, instance)
    if any(each.get("InstanceId") == instance.instance_id for each in found):
        return ""
    taken = [each for each in found if each.get("InstanceId")]
    free = [each for each in found if not each.get("InstanceId")]
    # The address that consumers know is the one in use; a free one beside it is a leftover.
    address = taken[0] if taken else free[0] if free else _allocate(with_, instance)
    holder = address.get("InstanceId")
    if holder:
        _refuse_unless_older(with_, instance, str(holder), f"address {address['PublicIp']}")
    try:
        with_.clients.call(
            instance.region,
            "associate_address",
            expected=_NOT_VISIBLE,
            AllocationId=address["AllocationId"],
            InstanceId=instance.instance_id,
            AllowReassociation=bool(holder),
        )
    except ExpectedCode as refusal:
        raise _not_visible(instance, refusal) from refusal
    return f"address {address['PublicIp']} " + (f"taken over from {holder}" if holder else "associated")


def _find_addresses(with_: Furnisher, instance: Instance) -> list[Document]:
    filters = tag_filter(fleet=with_.spec.fleet, relay=instance.relay)
    found = with_.clients.call(instance.region, "describe_addresses", Filters=filters).get("Addresses", ())
    for each in found:
        _refuse_other_store(with_, each, f"address {each['PublicIp']}", instance)
    return sorted(found, key=lambda each: str(each["AllocationId"]))


def _allocate(with_: Furnisher, instance: Instance) -> Document:
    limit = with_.quota.limit(instance.region)
    used = len(with_.clients.call(instance.region, "describe_addresses").get("Addresses", ()))
    if limit is not None and used >= limit:
        with_.quota.forget(instance.region)
        raise _quota_reached(instance, f"{used} of {limit} are in use")
    tags = render_tags(fleet_tags(with_.spec, with_.store_id, instance.relay))
    try:
        return with_.clients.call_once(
            instance.region,
            "allocate_address",
            expected=frozenset({"AddressLimitExceeded"}),
            Domain="vpc",
            TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}],
        )
    except ExpectedCode as refusal:
        with_.quota.forget(instance.region)
        raise _quota_reached(instance, refusal.text) from refusal
    except Unconfirmed:
        found = with_.clients.find_patiently(lambda: _find_addresses(with_, instance))
        if found:
            return found[0]
        raise


def _quota_reached(instance: Instance, cause: str) -> CloudRefused:
    return CloudRefused(
        f"{instance.relay} gets no elastic address in {instance.region}: {cause.rstrip('.')}.",
        next_step="Ask for more in the Service Quotas console (EC2-VPC Elastic IPs, L-0263D0A3), release addresses that "
        "nobody needs, or set `addresses: ephemeral` for the region.",
    )


# --- chain disk ------------------------------------------------------------------------------------------------------


def _furnish_disk(with_: Furnisher, instance: Instance) -> str:
    disks = _find_disks(with_, instance)
    own = [each for each in disks if holder_of(each) == instance.instance_id]
    if own:
        _wait_for_state(with_, instance, own[0]["VolumeId"], "attached")
        return ""
    disk, kept = _pick_disk(with_, instance, disks), True
    if disk is None:
        disk, kept = _create_disk(with_, instance), False
    volume_id = str(disk["VolumeId"])
    _wait_for_state(with_, instance, volume_id, "available")
    try:
        # Attached by a call of its own, a disk is never deleted with its instance: that is AWS's default here.
        with_.clients.call(
            instance.region,
            "attach_volume",
            expected=_NOT_VISIBLE,
            VolumeId=volume_id,
            InstanceId=instance.instance_id,
            Device=CHAIN_DEVICE,
        )
    except ExpectedCode as refusal:
        raise _not_visible(instance, refusal) from refusal
    _wait_for_state(with_, instance, volume_id, "attached")
    return f"disk {volume_id} of {disk['Size']} GiB " + ("kept and attached" if kept else "made and attached")


def _find_disks(with_: Furnisher, instance: Instance) -> list[Document]:
    """List the relay's chain disks in the instance's zone, the latest generation's first."""
    filters = [
        *tag_filter(fleet=with_.spec.fleet, relay=instance.relay, disk="chain"),
        {"Name": "availability-zone", "Values": [instance.zone]},
    ]
    found = with_.clients.pages(instance.region, "describe_volumes", "Volumes", Filters=filters)
    usable = [each for each in found if each["State"] in ("creating", "available", "in-use")]
    for each in usable:
        _refuse_other_store(with_, each, f"disk {each['VolumeId']}", instance)
    return sorted(usable, key=lambda each: (-_generation(each), str(each["VolumeId"])))


def _pick_disk(with_: Furnisher, instance: Instance, disks: list[Document]) -> Document | None:
    """Take a free disk, or one whose holder will not write to it any more; never one that a running host may use."""
    for disk in disks:
        holder = holder_of(disk)
        if holder is None:
            return disk
        if _holder_is_done(with_, instance, holder):
            return disk
    return None


def _holder_is_done(with_: Furnisher, instance: Instance, holder: str) -> bool:
    """Say whether an older generation let go of its disk; a stopped one is made to."""
    found = _instance(with_, instance.region, holder)
    state = found["State"]["Name"] if found else "terminated"
    if state == "stopping":
        raise CloudUnavailable(
            f"The disk of {instance.relay} is still held by {holder}, which is stopping.",
            next_step="The next look takes it over.",
        )
    if state == "stopped" and found and _generation(found) < instance.generation:
        disk = next(each for each in _find_disks(with_, instance) if holder_of(each) == holder)
        with_.clients.call(instance.region, "detach_volume", VolumeId=disk["VolumeId"], InstanceId=holder)
    return state not in _ALIVE


def _create_disk(with_: Furnisher, instance: Instance) -> Document:
    size = with_.spec.regions[instance.region].disk_gib
    tags = fleet_tags(with_.spec, with_.store_id, instance.relay) | {
        TAG_DISK: "chain",
        TAG_GENERATION: str(instance.generation),
    }
    return with_.clients.call(
        instance.region,
        "create_volume",
        AvailabilityZone=instance.zone,
        Size=size,
        VolumeType="gp3",
        Encrypted=True,
        ClientToken=disk_token(instance.launch_token or instance.instance_id, instance.zone, size),
        TagSpecifications=[{"ResourceType": "volume", "Tags": render_tags(tags)}],
    )


def _wait_for_state(with_: Furnisher, instance: Instance, volume_id: str, wanted: str) -> None:
    """Wait, within bounds, until a disk is free (`available`) or the host's (`attached`)."""
    last = ["not visible yet"]

    def holds() -> bool:
        try:
            answer = with_.clients.call(
                instance.region, "describe_volumes", expected=_NOT_VISIBLE, VolumeIds=[volume_id]
            )
        except ExpectedCode:
            return False
        volume = answer["Volumes"][0]
        states = [each["State"] for each in volume.get("Attachments", ()) if each["InstanceId"] == instance.instance_id]
        last[0] = states[0] if states else volume["State"]
        return last[0] == wanted

    if not with_.clients.wait_until(holds, ATTACH_PAUSES_SECONDS):
        raise CloudUnavailable(
            f"Disk {volume_id} of {instance.relay} is {last[0]}, not {wanted}.", next_step="The next look goes on."
        )


# --- whose it is -----------------------------------------------------------------------------------------------------


def _refuse_unless_older(with_: Furnisher, instance: Instance, holder: str, what: str) -> None:
    """Let a relay's thing move only to a later generation, or away from an instance that is gone."""
    found = _instance(with_, instance.region, holder)
    if found is None or found["State"]["Name"] in GONE:
        return
    if parse_tags(found).get(TAG_RELAY) == instance.relay and _generation(found) < instance.generation:
        return
    raise CloudRefused(
        f"The {what} of {instance.relay} is in use by {holder} (generation {_generation(found)}), which is not older than "
        f"{instance.instance_id} (generation {instance.generation}).",
        next_step="See which of the two should live, terminate the other, and run the command again.",
    )


def _refuse_other_store(with_: Furnisher, document: Document, what: str, instance: Instance) -> None:
    store = parse_tags(document).get(TAG_STORE, "")
    if store != with_.store_id:
        raise CloudRefused(
            f"The {what} of {instance.relay} in {instance.region} belongs to store {store or 'none'}, this store is "
            f"{with_.store_id}.",
            next_step="Run `genesis-fleet adopt` if this controller takes over, else use the controller with that store.",
        )


def _instance(with_: Furnisher, region: str, instance_id: str) -> Document | None:
    found = list_instances(with_.clients, region, [{"Name": "instance-id", "Values": [instance_id]}])
    return found[0] if found else None


def _generation(document: Document) -> int:
    return parse_number(parse_tags(document).get(TAG_GENERATION)) or 0


def _not_visible(instance: Instance, refusal: ExpectedCode) -> CloudUnavailable:
    return CloudUnavailable(
        f"AWS does not know everything about {instance.relay} in {instance.region} yet: {refusal}",
        next_step="The next look goes on.",
    )
