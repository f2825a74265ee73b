"""The files that all relays of a region share: unit, environment, node config, firewall and the host's own settings.

Nothing here depends on who the relay is, so it is rendered once for each set of values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from orchestrator.errors import RenderFailed
from orchestrator.rendering import layout
from orchestrator.rendering.digest import digest_of_files, file_states
from orchestrator.rendering.node_config import NodeValues, node_config_document
from orchestrator.rendering.templating import render_text
from orchestrator.rendering.values import ChangeClass, RenderedFile, Templates, WantedRelease
from orchestrator.spec.model import FleetSpec, RegionSpec, allowed_networks

# Share of a host's memory for the node's heap. The unit's MemoryMax is 15 % above the heap, which leaves about a
# seventh of the host for the page cache, sshd and upgrades.
HEAP_SHARE = 0.75
MEMORY_MAX_OVER_HEAP = 1.15

# The node gains nothing from more capabilities, and its collector needs two even on one core.
LEAST_CAPABILITIES = 2
MOST_CAPABILITIES = 8

# Descriptors beside inbound connections: outbound peers, chain files, the socket of local clients.
DESCRIPTORS_BESIDE_CONNECTIONS = 16384
LEAST_DESCRIPTORS = 65535

# A node that is killed validates its chain for up to an hour at the next start; ten minutes is what the operators of
# the real relays grant it, and one minute was seen to be too short.
STOP_TIMEOUT_SECONDS = 600

TEMPLATES = {
    layout.ENVIRONMENT: "environment.j2",
    layout.NODE_UNIT: "cardano-node.service.j2",
    layout.FIREWALL: "genesis-fleet.nft.j2",
    layout.FIREWALL_UNIT_FILE: "genesis-fleet-firewall.service.j2",
    layout.CHRONY: "chrony.conf.j2",
    layout.SYSCTL: "sysctl.conf.j2",
    layout.JOURNALD: "journald.conf.j2",
    layout.UPGRADES: "unattended-upgrades.conf.j2",
    layout.NEEDRESTART: "needrestart.conf.j2",
    layout.SSHD: "sshd.conf.j2",
}


@dataclass(frozen=True, slots=True)
class HostValues:
    """What templates may ask for; every field is a name in them."""

    relay_port: int
    metrics_port: int
    ssh_port: int
    ssh_networks_v4: tuple[str, ...]
    ssh_networks_v6: tuple[str, ...]
    """Both empty: SSH from anywhere (static hosts only)."""
    ssh_user_is_root: bool
    """The controller itself logs in as root: root's keys stay welcome."""
    time_source: str
    """A time server beside the distribution's own, or empty."""
    heap_mib: int
    memory_max_mib: int
    capabilities: int
    open_files: int
    memory_deny_write_execute: bool


@dataclass(frozen=True, slots=True)
class HostFiles:
    """The shared files, and the digest of what a running node must be restarted for."""

    files: tuple[RenderedFile, ...]
    restart_digest: str


def host_values(spec: FleetSpec, region: RegionSpec) -> HostValues:
    """Gather what templates need from the fleet file, sizes computed."""
    networks = allowed_networks(spec)
    heap_mib = int(region.memory_gib * 1024 * HEAP_SHARE)
    return HostValues(
        relay_port=spec.ports.relay,
        metrics_port=spec.ports.metrics,
        ssh_port=spec.ssh.port,
        ssh_networks_v4=tuple(str(network) for network in networks if network.version == 4),
        ssh_networks_v6=tuple(str(network) for network in networks if network.version == 6),
        ssh_user_is_root=spec.ssh.user == "root",
        time_source="169.254.169.123" if spec.cloud.kind == "aws" else "",
        heap_mib=heap_mib,
        memory_max_mib=int(heap_mib * MEMORY_MAX_OVER_HEAP),
        capabilities=min(max(region.cores, LEAST_CAPABILITIES), MOST_CAPABILITIES),
        open_files=max(LEAST_DESCRIPTORS, spec.connections.hard_limit + DESCRIPTORS_BESIDE_CONNECTIONS),
        memory_deny_write_execute=spec.hardening.memory_deny_write_execute,
    )


@lru_cache(maxsize=64)
def render_host_files(
    values: HostValues,
    node: NodeValues,
    release: WantedRelease,
    network: tuple[str, str, tuple[str, ...]],
    templates: Templates,
) -> HostFiles:
    """Render the shared files; `network` is config.json's text, the network's digest and the genesis files' names."""
    config_json, network_digest, genesis_names = network
    config = node_config_document(config_json, genesis_names, network_digest, node)
    asked = template_values(values)
    files = [make_file(layout.NODE_CONFIG, json_text(config))]
    files += [make_file(path, render_text(templates, name, asked)) for path, name in TEMPLATES.items()]
    restarts = file_states(file for file in files if file.change is ChangeClass.RESTART)
    return HostFiles(tuple(files), digest_of_files(restarts, release.sha256, network_digest))


def template_values(values: HostValues) -> Mapping[str, Any]:
    """Return all names that templates may use: the values, and the paths and names of the layout."""
    paths = {name.lower(): value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)}
    return {**paths, **asdict(values), "stop_timeout_seconds": STOP_TIMEOUT_SECONDS}


def wanted_release(spec: FleetSpec, region: RegionSpec) -> WantedRelease:
    """Pick the wanted release for a region's architecture. Raises RenderFailed if the fleet file has none."""
    artifact = spec.releases.get(spec.release, {}).get(region.architecture)
    if artifact is None:
        raise RenderFailed(
            f"release {spec.release} has no archive for {region.architecture}",
            next_step=f"Add releases.{spec.release}.{region.architecture} to the fleet file, or want another release.",
        )
    return WantedRelease(spec.release, region.architecture, artifact.url, artifact.sha256)


def make_file(path: str, content: str) -> RenderedFile:
    """Make a file of the layout: root's, readable by all, since nothing secret lies on a relay."""
    return RenderedFile(path, content, "root", "root", "0644", layout.CHANGE_CLASSES[path], layout.CHECKS.get(path, ""))


def json_text(document: Mapping[str, Any]) -> str:
    """Write JSON the same way for the same values: sorted, indented, with a newline at the end."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
