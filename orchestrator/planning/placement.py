"""Chooses the subnet, and so the zone, of a launch. Pure: counts in, choice out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.fleet.observation import CloudView
from orchestrator.fleet.record import LaunchIntent
from orchestrator.fleet.relay import Relay
from orchestrator.planning.look import GONE


def pick_subnet(
    relay: Relay, cloud: CloudView, planned: Mapping[str, int], refused: Sequence[LaunchIntent]
) -> tuple[str, str] | None:
    """Return (subnet, zone) for a launch, or None if every zone of the region has refused this generation.

    The zone of the relay's own chain disk comes first, since the disk cannot leave it; then the zone with the fewest
    relays, those `planned` by this very plan included; then name order.
    """
    no_capacity = {intent.subnet for intent in refused}
    choices = [choice for choice in cloud.zones.get(relay.region, ()) if choice[0] not in no_capacity]
    if not choices:
        return None
    disks = {volume.zone for volume in cloud.volumes if volume.relay == relay.name and volume.region == relay.region}
    load = Counter(i.subnet for i in cloud.instances if i.region == relay.region and i.state not in GONE)
    load.update(planned)
    return min(choices, key=lambda choice: (choice[1] not in disks, load[choice[0]], choice[1], choice[0]))
