"""An oracle that looks at the world alone: what serves, what exists, who can be reached. It knows nothing of plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.fleet.observation import InstanceState
from orchestrator.fleet.relay import wanted_relays
from orchestrator.simulation.machines import SimulatedHost
from orchestrator.simulation.rehearsal import Rehearsal
from orchestrator.simulation.world import World
from orchestrator.spec.model import FleetSpec

ENDED = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)


def living(world: World) -> list[SimulatedHost]:
    """Every instance that somebody pays for."""
    return [host for host in world.hosts.values() if host.instance.state not in ENDED]


def host_of(world: World, relay: str) -> SimulatedHost:
    """The one living instance of a relay."""
    (host,) = [host for host in living(world) if host.instance.relay == relay]
    return host


def serving(world: World) -> set[str]:
    """Relays that answer with a fresh tip, under an address that is theirs."""
    return {host.instance.relay for host in living(world) if world.serves(host)}


def faults_of(made: Rehearsal, spec: FleetSpec | None = None) -> list[str]:
    """Everything that is not as a finished fleet must be: empty when all is well."""
    world, spec, record = made.world, spec or made.wanted.spec, made.store.load()
    wanted = {relay.name for relay in wanted_relays(spec)}
    found = []
    instances = Counter(host.instance.relay for host in living(world))
    found += [
        f"{relay} has {instances[relay]} instances"
        for relay in wanted | set(instances)
        if instances[relay] != (relay in wanted)
    ]
    found += [f"{relay} does not serve" for relay in sorted(wanted - serving(world))]
    disks = Counter(relay for _, _, relay, _ in world.volumes.values())
    addresses = Counter(relay for _, relay, _ in world.addresses.values())
    found += [f"{relay} has {disks[relay]} disks" for relay in wanted | set(disks) if disks[relay] != (relay in wanted)]
    found += [
        f"{relay} has {addresses[relay]} addresses"
        for relay in wanted | set(addresses)
        if addresses[relay] != (relay in wanted)
    ]
    for host in living(world):
        instance = host.instance
        pinned = record.identities.get(instance.instance_id)
        if (
            pinned is None
            or not pinned.confirmed
            or pinned.public_key != host.own_key
            or instance.host_key != host.own_key
        ):
            found.append(f"{instance.instance_id} is locked out: {pinned}, tag {instance.host_key}, key {host.own_key}")
        if not host.one_time_wiped:
            found.append(f"{instance.instance_id} still has its one-time key")
    found += [f"{i.token} keeps a one-time key in the store" for i in record.intents if i.request_json]
    used = {host.instance.instance_id for host in living(world)}
    found += [f"{key} hangs on {held[-1]}" for key, held in world.volumes.items() if held[-1] not in used]
    found += [f"{key} hangs on {held[-1]}" for key, held in world.addresses.items() if held[-1] not in used]
    return found


@dataclass(slots=True)
class Watch:
    """Looks at the world each time something changes, and keeps the worst it saw."""

    world: World
    spec: FleetSpec
    excused: frozenset[str] = frozenset()
    """Relays that were down before anybody did anything."""
    most_out: int = 0
    dark: set[str] = field(default_factory=set)
    looks: int = 0
    ever_out: list[str] = field(default_factory=list)
    """In the order in which they first went out."""

    def look(self) -> None:
        self.looks += 1
        relays = wanted_relays(self.spec)
        serve = serving(self.world)
        out = [relay.name for relay in relays if relay.name not in serve and relay.name not in self.excused]
        self.most_out = max(self.most_out, len(out))
        self.ever_out += [name for name in out if name not in self.ever_out]
        self.dark |= {relay.region for relay in relays} - {relay.region for relay in relays if relay.name in serve}

    def over(self, made: Rehearsal) -> Watch:
        """Look whenever virtual time moves on and after each piece of work."""
        clock = made.world.clock
        wait = clock.wait

        def watched(seconds: float, until: Callable[[], bool]) -> None:
            def looked() -> bool:
                self.look()
                return until()

            wait(seconds, looked)
            self.look()

        clock.wait = watched  # type: ignore[method-assign]
        return self
