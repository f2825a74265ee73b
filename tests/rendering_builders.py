"""A small fleet to render in tests; each builder names only what matters there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.adapters.assets import load_templates
from orchestrator.fleet.relay import Relay
from orchestrator.rendering.relay import render_relay
from orchestrator.rendering.values import AccessPoint, NetworkFiles, RelayNeighbours, RenderedRelay
from orchestrator.spec.model import FleetSpec

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = load_templates(ROOT / "templates")
ARCHIVE = {"url": "https://releases.example/cardano-node.tar.gz", "sha256": "a1" * 32}

CONFIG = {
    "ByronGenesisFile": "byron-genesis.json",
    "ByronGenesisHash": "b0" * 32,
    "ShelleyGenesisFile": "shelley-genesis.json",
    "ShelleyGenesisHash": "51" * 32,
    "ConsensusMode": "PraosMode",
    "Protocol": "Cardano",
    "RequiresNetworkMagic": "RequiresMagic",
    "TargetNumberOfActivePeers": 20,
    "TraceMempool": True,
    "hasEKG": 12788,
    "hasPrometheus": ["0.0.0.0", 9999],
    "minSeverity": "Debug",
    "SomethingNew": {"kept": True},
}


def network_files(peer_snapshot: str | None = None, **changes: Any) -> NetworkFiles:
    return NetworkFiles(
        config_json=json.dumps({**CONFIG, **changes}),
        genesis={"byron-genesis.json": "{}", "shelley-genesis.json": '{"networkMagic": 42}'},
        peer_snapshot=peer_snapshot,
        digest="d1" * 32,
    )


def fleet_spec(release: str = "10.7.1", **changes: Any) -> FleetSpec:
    document = {
        "fleet": "demo",
        "network": {"name": "demonet", "magic": 42, "folder": "network"},
        "releases": {release: {"x86_64": ARCHIVE}},
        "release": release,
        "cloud": {"kind": "aws"},
        "regions": {"eu-central-1": {"count": 3}, "us-east-2": {"count": 2}},
        "ssh": {"allowed_from": ["198.51.100.0/24", "2001:db8:5::/48"]},
        **changes,
    }
    return FleetSpec.model_validate_json(json.dumps(document))


def neighbours(*addresses: str, partners: tuple[str, ...] = ("relay.partner.example",)) -> RelayNeighbours:
    return RelayNeighbours(
        own=tuple(AccessPoint(address, 3001) for address in addresses),
        partners=tuple(AccessPoint(address, 3001) for address in partners),
    )


FIRST = Relay("demo-eu-central-1-01", "eu-central-1", 1)
NEIGHBOURS = neighbours("192.0.2.12", "192.0.2.13", "2001:db8::21")


def rendered(
    spec: FleetSpec | None = None,
    network: NetworkFiles | None = None,
    relay: Relay = FIRST,
    known: RelayNeighbours = NEIGHBOURS,
) -> RenderedRelay:
    return render_relay(spec or fleet_spec(), network or network_files(), TEMPLATES, relay, known)


def content(relay: RenderedRelay, path: str) -> str:
    return next(file.content for file in relay.files if file.path == path)


def document(relay: RenderedRelay, path: str) -> dict[str, Any]:
    value = json.loads(content(relay, path))
    assert isinstance(value, dict)
    return value
