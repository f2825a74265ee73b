"""What a plan costs as fleets grow: one whole plan_fleet, in memory, converged, in the middle of a rollout, at the first apply.

Fleets are the lab's fleet file with larger counts and an invented observation; rendering is part of a plan. The first
plan of a process renders everything; the plans of later cycles are the converged ones.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from orchestrator.cli.wiring import load_wanted
from orchestrator.fleet.observation import (
    CloudView,
    ElasticAddress,
    HostFacts,
    Instance,
    InstanceState,
    InstanceStatus,
    Observation,
    Sighting,
    UnitState,
    Verdict,
    Volume,
)
from orchestrator.fleet.record import FleetRecord, Identity
from orchestrator.fleet.relay import Relay, wanted_relays
from orchestrator.fleet.rollout import Settling
from orchestrator.planning.look import Look, Wanted
from orchestrator.planning.mesh import render_fleet
from orchestrator.planning.plan import Plan
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.rendering.digest import file_states
from orchestrator.rendering.variables import baseline_digest

SIZES = (20, 200, 2_000, 20_000)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STORE = "bench"


def measure_planning(fleet: Path, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure every size; the median of a few plans where they are quick."""
    _, wanted = load_wanted(fleet)
    rows = []
    for name, make_look in (("first apply", first_look), ("converged", converged_look), ("mid-rollout", rollout_look)):
        for size in SIZES:
            look = make_look(grow(wanted, size))
            seconds = statistics.median(_time_plan(look) for _ in range(3 if size <= 2_000 else 1))
            rows.append({"fleet": name, "relays": size, "seconds": round(seconds, 4)})
            report(f"planning: {name}, {size} relays: {seconds:.3f} s")
    return rows


def first_look(wanted: Wanted) -> Look:
    """Return a look at nothing yet."""
    return Look(wanted, Observation(_empty_cloud(wanted), {}, {}, {}), _record(wanted), NOW)


def converged_look(wanted: Wanted) -> Look:
    """Return a look at a fleet on which everything is as wanted."""
    return Look(wanted, converged(wanted), _record(wanted), NOW)


def rollout_look(wanted: Wanted) -> Look:
    """Return a look at a fleet half of whose waves run, and have proven, another release."""
    spec = wanted.spec
    newer = replace(wanted, spec=spec.model_copy(update={"release": max(set(spec.releases) - {spec.release})}))
    record = _keep(plan_fleet(converged_look(wanted)), _record(wanted))
    before, after = converged(wanted), converged(newer)
    started = _keep(plan_fleet(Look(newer, before, record, NOW)), record)
    rollout = started.rollout.current
    if rollout is None or not rollout.waves:
        raise RuntimeError("no rollout begins where another release is wanted")
    done = {name for wave in rollout.waves[: len(rollout.waves) // 2] for name in wave}
    settling = {
        name: Settling(rollout.wish[name.removeprefix(f"{spec.fleet}-").rpartition("-")[0]], NOW, looks=9, settled=True)
        for name in sorted(done)
    }
    hosts = {
        instance.instance_id: (after if instance.relay in done else before).hosts[instance.instance_id]
        for instance in before.cloud.instances
    }
    record = replace(started, rollout=replace(started.rollout, settling=settling))
    return Look(newer, replace(before, hosts=hosts), record, NOW + timedelta(hours=1))


def _keep(plan: Plan, record: FleetRecord) -> FleetRecord:
    """Return the record as the cycle would keep it after a plan."""
    if plan.rollout is None:
        raise RuntimeError("a plan of a fleet that is seen whole says how far its rollout is")
    return replace(record, rollout=plan.rollout.record, bundles=plan.rollout.bundles)


def grow(wanted: Wanted, size: int) -> Wanted:
    """Return the same fleet with this many relays, spread over its regions."""
    spec = wanted.spec
    regions = {
        name: region.model_copy(update={"count": size // len(spec.regions)}) for name, region in spec.regions.items()
    }
    return Wanted(spec.model_copy(update={"regions": regions}), wanted.network, wanted.templates)


def converged(wanted: Wanted) -> Observation:
    """Return what a look sees when everything is as wanted."""
    instances, volumes, addresses = [], [], []
    for position, relay in enumerate(wanted_relays(wanted.spec)):
        instance = _instance(wanted, relay, str(IPv4Address("10.0.0.1") + position))
        instances.append(instance)
        volumes.append(Volume(f"vol-{relay.name}", relay.region, "a", relay.name, STORE, 1, instance.instance_id))
        addresses.append(
            ElasticAddress(
                f"eip-{relay.name}", relay.region, instance.address or "", relay.name, STORE, instance.instance_id
            )
        )
    cloud = CloudView(tuple(instances), tuple(volumes), tuple(addresses))
    rendered = render_fleet(wanted, Observation(cloud, {}, {}, {}))
    baseline = baseline_digest(wanted.spec)
    hosts = {
        instance.instance_id: HostFacts(
            token=1,
            working="",
            host_key="ssh-ed25519 AAAA",
            one_time_key_wiped=True,
            prepared=baseline,
            staged=frozenset({*wanted.spec.list_versions(), wanted.network.digest}),
            release=rendered[instance.relay].release.sha256,
            files=file_states(rendered[instance.relay].files),
            unit=UnitState.ACTIVE,
            unit_enabled=True,
            running_restart_digest=rendered[instance.relay].restart_digest,
            running_reload_digest=rendered[instance.relay].reload_digest,
            clean_marker=False,
            store_id=STORE,
        )
        for instance in instances
    }
    sightings = {instance.relay: Sighting(Verdict.OK, tip_slot=1, tip_age_seconds=1.0) for instance in instances}
    return Observation(cloud, hosts, sightings, {})


def _instance(wanted: Wanted, relay: Relay, address: str) -> Instance:
    region = wanted.spec.regions[relay.region]
    return Instance(
        instance_id=f"i-{relay.name}",
        region=relay.region,
        zone="a",
        state=InstanceState.RUNNING,
        status=InstanceStatus.OK,
        fleet="bench",
        store_id=STORE,
        relay=relay.name,
        generation=1,
        address=address,
        address_v6=None,
        image=region.image or "",
        instance_type=region.instance_type or "",
        subnet="subnet",
        launched_at=NOW - timedelta(days=1),
        launch_token="",
        host_key="ssh-ed25519 AAAA",
    )


def _empty_cloud(wanted: Wanted) -> CloudView:
    zones = {name: tuple((subnet, subnet) for subnet in region.subnets) for name, region in wanted.spec.regions.items()}
    return CloudView(zones=zones, free_addresses=dict.fromkeys(zones, 1_000_000))


def _record(wanted: Wanted) -> FleetRecord:
    identities = {
        f"i-{relay.name}": Identity(f"i-{relay.name}", relay.name, "ssh-ed25519 AAAA", confirmed=True)
        for relay in wanted_relays(wanted.spec)
    }
    return FleetRecord(STORE, wanted.spec.fleet, wanted.spec.network.magic, identities=identities)


def _time_plan(look: Look) -> float:
    gc.collect()
    began = time.process_time()
    plan_fleet(look)
    return time.process_time() - began
