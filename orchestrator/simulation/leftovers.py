"""What is doubled, leaked or missing in a simulated world at the end. Sees the world alone."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.fleet.observation import InstanceState
from orchestrator.simulation.world import World

ENDED = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)


def find_leftovers(world: World, wanted: Collection[str]) -> list[str]:
    """Return what is doubled, leaked or missing at the end, when everybody has had the time to mend it."""
    living = [host for host in world.hosts.values() if host.instance.state not in ENDED]
    holders = {host.instance.instance_id for host in living}
    found = []
    for what, relays in (
        ("instances", [host.instance.relay for host in living]),
        ("disks", [relay for _, _, relay, _ in world.volumes.values()]),
        ("addresses", [relay for _, relay, _ in world.addresses.values()]),
    ):
        found += [
            f"{relay} has {relays.count(relay)} {what}"
            for relay in sorted({*wanted, *relays})
            if relays.count(relay) != (relay in wanted)
        ]
    things = {**world.volumes, **world.addresses}
    found += [f"{name} hangs on {held[-1]}, which is gone" for name, held in things.items() if held[-1] not in holders]
    found += [f"{host.instance.instance_id} still has its one-time key" for host in living if not host.one_time_wiped]
    return found
