"""The fleet file of a lab: twenty relays in four regions, two partners, short timers. Pure text; `lab init` writes it.

The committed `inventory/lab/fleet.yaml` is exactly this for the lab `demo`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from orchestrator.lab.cloud.places import HOSTED_ZONE, LAB_REGIONS, plan_place
from orchestrator.lab.machines.layout import LABS
from orchestrator.lab.machines.network import LabNetwork, pick_network
from orchestrator.lab.places import NAMES_PORT, RELAY_PORT, partner_places, relays_name, releases_url
from orchestrator.lab.releases.tarball import Release

WANTED = "10.5.1"

HEADER = """\
# yaml-language-server: $schema=./fleet.schema.json
#
# A fleet in the lab: a whole cloud on this machine. `make demo` starts the lab and applies this file.
# Written by `genesis-fleet lab init {lab}`; checksums are those of the lab's own releases.
# Timers are short, so that what takes hours in a real network takes a minute here.

"""


def render_lab_fleet(
    lab: str, releases: Sequence[Release], counts: Mapping[str, int] | None = None, network_folder: str = "network"
) -> str:
    """Return the fleet file. `counts` is region → relays, five in each of four regions if not given."""
    network = pick_network(lab, ())
    counts = counts or dict.fromkeys(LAB_REGIONS, 5)
    document: dict[str, Any] = {
        "fleet": lab,
        "lab": lab,
        "network": {"name": "lab", "magic": 4242, "folder": network_folder},
        "releases": {release.version: {"x86_64": render_artifact(network, release)} for release in releases},
        "release": WANTED,
        "cloud": {"kind": "aws"},
        "regions": {region: _region(region, count) for region, count in counts.items()},
        "partners": [
            {"name": place.name, "address": str(place.address), "port": RELAY_PORT} for place in partner_places(network)
        ],
        "connections": {"hard_limit": 64, "soft_limit": 48, "delay_seconds": 1},
        "rollout": {
            "max_unavailable": "20%",
            "max_unavailable_per_region": 1,
            "canary_bake": "10s",
            "bake": "2s",
            "healthy_looks": 2,
            "progress_deadline": "30s",
            "drain_time": "5s",
            "drain_connections": 2,
            "drain_deadline": "20s",
            "replace_after": "2m",
            "retry_after": "5s",
            "boot_deadline": "3m",
        },
        "health": {"max_tip_age": "30s", "probe_timeout": "5s"},
        "trust": {"fork_looks": 3, "return_after": "10s"},
        "publish": {
            "provider": "route53",
            "zone": HOSTED_ZONE,
            "name": relays_name(lab).rstrip("."),
            "ttl": "5s",
            "resolver": {"address": str(network.gateway_v4), "port": NAMES_PORT},
        },
        "ssh": {
            "user": "admin",
            "private_key": str(LABS / lab / "id_ed25519"),
            "allowed_from": [str(network.v4)],
        },
        "hardening": {"memory_deny_write_execute": True},
        "controller": {"lease": "30s", "look_every": "2s"},
    }
    return HEADER.format(lab=lab) + yaml.safe_dump(document, sort_keys=False, width=120)


def render_artifact(network: LabNetwork, release: Release) -> dict[str, str]:
    """Return what the fleet file says of one archive."""
    return {"url": f"{releases_url(network)}/{release.file_name}", "sha256": release.sha256}


def _region(region: str, count: int) -> dict[str, Any]:
    place = plan_place(region)
    return {
        "count": count,
        "image": place.image_id,
        "instance_type": "t3.small",
        "subnets": [zone.subnet_id for zone in place.zones],
        "disk_gib": 1,
        "addresses": "elastic",
        "memory_gib": 2,
        "cores": 2,
    }
