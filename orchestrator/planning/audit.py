"""What carries the fleet's tag and belongs to nobody: it costs money, or stands in somebody's way. Pure; plans nothing.

The plan gives such things back by itself, once it may; what is found here right after an apply has converged is a leak.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.fleet.generations import follows, pick_standing
from orchestrator.fleet.observation import CloudView, ElasticAddress, Instance, Volume
from orchestrator.planning.look import GONE


@dataclass(frozen=True, slots=True, order=True)
class Stray:
    """One thing that belongs to nobody."""

    kind: str
    """`instance`, `disk` or `address`."""
    what: str
    """Its id, or the address itself."""
    region: str
    relay: str
    """Whom its tag names."""
    why: str


def find_strays(wanted: Collection[str], cloud: CloudView, store_id: str) -> tuple[Stray, ...]:
    """Return what belongs to none of the wanted relays, in regions that answered; in order."""
    living = [instance for instance in cloud.instances if instance.state not in GONE]
    found = [
        *_list_instances(wanted, living, store_id),
        *_list_disks(wanted, cloud.volumes, living),
        *_list_addresses(wanted, cloud.addresses, living),
    ]
    return tuple(sorted(stray for stray in found if stray.region not in cloud.silent_regions))


def _list_instances(wanted: Collection[str], living: Sequence[Instance], store_id: str) -> Iterator[Stray]:
    standing = pick_standing(living)
    for instance in living:
        why = None
        if instance.relay not in wanted:
            why = "the fleet file asks for no such relay"
        elif instance.store_id not in ("", store_id):
            why = f"store {instance.store_id} launched it, this one is {store_id}"
        elif (other := standing[instance.relay]) is not instance and not follows(instance, other):
            why = f"{other.instance_id} is the relay's instance"
        if why is not None:
            yield Stray("instance", instance.instance_id, instance.region, instance.relay, why)


def _list_disks(wanted: Collection[str], volumes: Sequence[Volume], living: Sequence[Instance]) -> Iterator[Stray]:
    holders = {volume.attached_to: volume.volume_id for volume in volumes if volume.attached_to is not None}
    for volume in volumes:
        why = _why_stray(volume, volume.volume_id, wanted, living, holders)
        if why is not None:
            yield Stray("disk", volume.volume_id, volume.region, volume.relay, why)


def _list_addresses(
    wanted: Collection[str], addresses: Sequence[ElasticAddress], living: Sequence[Instance]
) -> Iterator[Stray]:
    holders = {each.attached_to: each.address for each in addresses if each.attached_to is not None}
    for each in addresses:
        if (why := _why_stray(each, each.address, wanted, living, holders)) is not None:
            yield Stray("address", each.address, each.region, each.relay, why)


def _why_stray(
    thing: Volume | ElasticAddress,
    name: str,
    wanted: Collection[str],
    living: Sequence[Instance],
    holders: Mapping[str, str],
) -> str | None:
    """Return why a disk or an address is nobody's; a free one of a wanted relay that has no other waits for its next instance."""
    instances = {instance.instance_id: instance for instance in living}
    if thing.attached_to is not None:
        return None if thing.attached_to in instances else f"{thing.attached_to}, which has it, is gone"
    if thing.relay not in wanted:
        return "the fleet file asks for no such relay"
    others = [holders[i] for i in holders if i in instances and instances[i].relay == thing.relay]
    return f"the relay has {others[0]}" if others and others[0] != name else None
