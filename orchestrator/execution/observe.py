"""One look at the world: the cloud, then hosts and wire side by side. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median_low

from orchestrator.execution.ports import CloudPort, HostsPort, HostTarget, ProbeTarget, WirePort
from orchestrator.execution.ports_names import NO_NAMES, NamesPort
from orchestrator.execution.targets import accepted_host_keys, host_target
from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.generations import pick_standing
from orchestrator.fleet.observation import (
    HostFacts,
    HostView,
    InFlight,
    Instance,
    InstanceState,
    Observation,
    Sighting,
    Unreachable,
    WrongHostKey,
)
from orchestrator.fleet.record import FleetRecord, Identity
from orchestrator.planning.silence import why_keys_disagree
from orchestrator.rendering.variables import inspect_variables
from orchestrator.spec.model import FleetSpec

NEAR_BLOCKS = 5
"""Points this close below what is shown now tell a slot battle from a fork."""

MOST_TIPS = 8
"""Tips of one look that are asked about: more than there are branches of a chain."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """What a look needs."""

    cloud: CloudPort
    hosts: HostsPort
    wire: WirePort
    at_once: bool = True
    """Hosts and wire side by side; a world in which asking takes no time needs no thread for it."""
    names: NamesPort = NO_NAMES


def observe_fleet(eyes: Eyes, spec: FleetSpec, record: FleetRecord, in_flight: Mapping[str, InFlight]) -> Observation:
    """Look once. A host with work under way is not inspected: the work will tell."""
    cloud = eyes.cloud.observe_cloud()
    running = [i for i in cloud.instances if i.state is InstanceState.RUNNING and i.address is not None]
    asked = [i for i in running if i.relay not in in_flight]
    if not eyes.at_once:
        hosts = observe_hosts(eyes.hosts, asked, spec, record)
        sightings, heights = observe_chains(eyes.wire, list_probe_targets(spec, running), record)
        zone, answers = eyes.names.observe_zone(), eyes.names.observe_answers()
        return Observation(cloud, hosts, sightings, dict(in_flight), heights, zone, answers)
    with ThreadPoolExecutor(4, thread_name_prefix="look") as pool:
        chains = pool.submit(observe_chains, eyes.wire, list_probe_targets(spec, running), record)
        reading, asking = pool.submit(eyes.names.observe_zone), pool.submit(eyes.names.observe_answers)
        hosts = observe_hosts(eyes.hosts, asked, spec, record)
        sightings, heights = chains.result()
        return Observation(cloud, hosts, sightings, dict(in_flight), heights, reading.result(), asking.result())


def observe_chains(
    wire: WirePort, targets: Sequence[ProbeTarget], record: FleetRecord
) -> tuple[Mapping[str, Sighting], Mapping[ChainPoint, int]]:
    """Probe everybody, asking for the points on record; return the sightings, and the points' block numbers.

    Where the newest point on record is far behind what is shown now, a second round asks for the tips of the first: else
    nothing would be known of the newest blocks, because nobody has looked for a while, or never.
    """
    heights = {shown.point: shown.block for shown in record.evidence.points}
    pinned = [record.pin.point] if record.pin is not None else []
    sightings = wire.observe_wire(targets, [*pinned, *heights])
    shown = {s.tip: s.tip_block for s in sightings.values() if s.tip is not None and s.tip_block is not None}
    if not shown:
        return sightings, heights
    middle = median_low(shown.values())
    if any(middle - height < NEAR_BLOCKS for height in heights.values() if height <= middle):
        return sightings, heights
    heights |= dict(sorted(shown.items(), key=lambda item: abs(item[1] - middle))[:MOST_TIPS])
    again = wire.observe_wire([t for t in targets if sightings[t.name].tip is not None], [*pinned, *heights])
    # Who answered once and not twice in a row is not worse for it.
    return {**sightings, **{name: seen for name, seen in again.items() if seen.tip is not None}}, heights


def observe_hosts(
    hosts: HostsPort, instances: Sequence[Instance], spec: FleetSpec, record: FleetRecord
) -> Mapping[str, HostView]:
    """Inspect instances whose key is known beyond doubt; the others are named as such, never talked to."""
    targets: list[HostTarget] = []
    views: dict[str, HostView] = {}
    for instance in instances:
        keys = accepted_host_keys(instance, record)
        if (quarrel := why_keys_disagree(instance, record)) is not None:
            views[instance.instance_id] = WrongHostKey(quarrel)
        elif not keys:
            views[instance.instance_id] = WrongHostKey("no host key is known for it, neither on record nor in its tag")
        else:
            targets.append(host_target(instance, keys, spec, inspect_variables(spec)))
    if targets:
        views.update(hosts.observe_hosts(targets))
    return views


def list_probe_targets(spec: FleetSpec, running: Sequence[Instance]) -> list[ProbeTarget]:
    """List the running instance that stands for every relay, and every partner."""
    standing = pick_standing(running).values()
    relays = [ProbeTarget(i.relay, i.address, spec.ports.relay) for i in standing if i.address is not None]
    partners = [ProbeTarget(p.name, p.address, p.port) for p in spec.partners]
    return [*sorted(relays, key=lambda t: t.name), *partners]


def observe_confirmations(
    hosts: HostsPort, seen: Observation, spec: FleetSpec, record: FleetRecord
) -> tuple[Identity, ...]:
    """Ask freshly switched hosts again, accepting the permanent key alone; return the identities so confirmed."""
    candidates = []
    for instance in seen.cloud.instances:
        identity = record.identities.get(instance.instance_id)
        facts = seen.hosts.get(instance.instance_id)
        if identity is None or identity.confirmed or not isinstance(facts, HostFacts) or not facts.one_time_key_wiped:
            continue
        candidates.append((identity, host_target(instance, (identity.public_key,), spec, {})))
    if not candidates:
        return ()
    answers = hosts.observe_hosts([target for _, target in candidates])
    return tuple(
        replace(identity, confirmed=True)
        for identity, target in candidates
        if isinstance(answers.get(target.instance_id), HostFacts)
    )


def update_missed(seen: Observation, record: FleetRecord, now: datetime) -> Mapping[str, datetime]:
    """Return since when each unreachable instance has been missed in an unbroken row."""
    return {
        instance_id: record.missed_since.get(instance_id, now)
        for instance_id, host in seen.hosts.items()
        if isinstance(host, Unreachable)
    } | {  # not asked in this look: neither proof nor disproof
        instance_id: since
        for instance_id, since in record.missed_since.items()
        if instance_id not in seen.hosts and any(i.instance_id == instance_id for i in seen.cloud.instances)
    }


def highest_token(seen: Observation) -> int:
    """Return the highest fencing token that any host has seen."""
    return max((host.token for host in seen.hosts.values() if isinstance(host, HostFacts)), default=0)
