"""What a plan costs as fleets grow: one whole plan_fleet, in memory, converged and at the first apply.

Fleets are the lab's fleet file with larger counts and an invented observation; rendering is part of a plan. The first
plan of a process renders everything; the plans of later cycles are the converged ones.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
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
from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.look import Look, Wanted
from orchestrator.planning.mesh import render_fleet
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.rendering.digest import file_states
from orchestrator.rendering.variables import baseline_digest

SIZES = (20, 200, 2_000, 20_000)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STORE = "bench"


def measure_planning(fleet: Path, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure every size; the median of a few plans where they are quick."""
    _, wanted, _ = load_wanted(fleet)
    rows = []
    for name, observe in (
        ("first apply", lambda _wanted: Observation(_empty_cloud(_wanted), {}, {}, {})),
        ("converged", converged),
    ):
        for size in SIZES:
            grown = grow(wanted, size)
            look = Look(grown, observe(grown), _record(grown), NOW)
            seconds = statistics.median(_time_plan(look) for _ in range(3 if size <= 2_000 else 1))
            rows.append({"fleet": name, "relays": size, "seconds": round(seconds, 4)})
            report(f"planning: {name}, {size} relays: {seconds:.3f} s")
    return rows


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
        instance = _instance(relay.name, relay.region, str(IPv4Address("10.0.0.1") + position))
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
            staged=frozenset({rendered[instance.relay].release.sha256, wanted.network.digest}),
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


def _instance(relay: str, region: str, address: str) -> Instance:
    return Instance(
        instance_id=f"i-{relay}",
        region=region,
        zone="a",
        state=InstanceState.RUNNING,
        status=InstanceStatus.OK,
        fleet="bench",
        store_id=STORE,
        relay=relay,
        generation=1,
        address=address,
        address_v6=None,
        image="ami",
        instance_type="t3.small",
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
