"""Builders for fleets and worlds: each names only what matters to a test."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path

from orchestrator.adapters.assets import load_templates
from orchestrator.execution.cycle import Ending, Round
from orchestrator.fleet.observation import InFlight
from orchestrator.planning.look import Wanted
from orchestrator.rendering.values import NetworkFiles
from orchestrator.simulation.rehearsal import Rehearsal, make_rehearsal
from orchestrator.spec.model import FleetSpec

REPOSITORY = Path(__file__).resolve().parents[2]

SMALL = {"eu-central-1": 2, "us-east-1": 2}

MEDIUM = dict.fromkeys(("ap-southeast-1", "eu-central-1", "sa-east-1", "us-east-1"), 2)

REGIONS = ("ap-southeast-1", "eu-central-1", "sa-east-1", "us-east-1")

BUDGET_ALONE: dict[str, object] = {
    "canaries": 0,
    "canary_bake": None,
    "bake": None,
    "healthy_looks": 1,
    "drain_time": None,
}
"""A rollout policy under which nothing but the budget, and the order of the waves, keeps a relay from being restarted."""


def fleet_spec(counts: dict[str, int] | None = None, **changes: object) -> FleetSpec:
    """A fleet on AWS; `counts` is region → relays."""
    counts = counts or dict.fromkeys(REGIONS, 5)
    regions = {
        region: {
            "count": count,
            "image": "ami-0123456789abcdef0",
            "instance_type": "r6a.large",
            "subnets": tuple(f"subnet-{number:04x}{zone:04x}" for zone in range(2)),
        }
        for number, (region, count) in enumerate(sorted(counts.items()))
    }
    values: dict[str, object] = {
        "fleet": "demo",
        "network": {"name": "testing", "magic": 42, "folder": "network"},
        "releases": {
            "10.5.1": {"x86_64": {"url": "https://releases.example/10.5.1.tar.gz", "sha256": "a" * 64}},
            "10.6.0": {"x86_64": {"url": "https://releases.example/10.6.0.tar.gz", "sha256": "b" * 64}},
        },
        "release": "10.5.1",
        "cloud": {"kind": "aws"},
        "regions": regions,
        "partners": (
            {"name": "alpha", "address": "192.0.2.1"},
            {"name": "beta", "address": "192.0.2.2"},
        ),
        "ssh": {"allowed_from": ("192.0.2.0/24",)},
    }
    return FleetSpec.model_validate(values | changes)


def wanted(spec: FleetSpec | None = None) -> Wanted:
    """The fleet with a network of its own and the real templates."""
    genesis = {f"{era}-genesis.json": "{}" for era in ("byron", "shelley", "alonzo", "conway")}
    config = '{"ByronGenesisFile": "byron-genesis.json", "ShelleyGenesisFile": "shelley-genesis.json", "AlonzoGenesisFile": "alonzo-genesis.json", "ConwayGenesisFile": "conway-genesis.json", "Protocol": "Cardano"}'
    network = NetworkFiles(config_json=config, genesis=genesis, peer_snapshot=None, digest="c" * 64)
    return Wanted(spec or fleet_spec(), network, load_templates(REPOSITORY / "templates"))


MOST_ROUNDS = 2000
"""More than any run here needs: an apply that never ends fails instead of hanging."""


def rehearsal(spec: FleetSpec | None = None) -> Rehearsal:
    """A controller in front of an empty world."""
    made = make_rehearsal(wanted(spec))
    rounds = count(1)

    def impatient(found: Round, _in_flight: Mapping[str, InFlight]) -> None:
        assert next(rounds) < MOST_ROUNDS, f"this apply never ends: {found.plan.actions} {found.plan.holds}"

    made.report = impatient
    return made


def serving_fleet(spec: FleetSpec | None = None) -> Rehearsal:
    """A controller in front of a fleet that serves; what it took to get there is forgotten."""
    made = rehearsal(spec)
    ending, last = made.run()
    assert ending is Ending.CONVERGED, last.plan.holds
    made.events.clear()
    return made


def resubmit(made: Rehearsal, spec: FleetSpec) -> Rehearsal:
    """The same world and store, and another fleet file in front of them."""
    return Rehearsal(wanted(spec), made.world, made.store, made.events, made.report)
