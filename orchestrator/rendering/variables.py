"""The Ansible variables of each intent, by host. Playbooks read these names and no others; values are JSON-able.

What each host is to be is decided before; this only spells it out.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any

from orchestrator.rendering import layout
from orchestrator.rendering.values import NetworkFiles, RenderedFile, RenderedRelay
from orchestrator.spec.model import FleetSpec

# What a relay needs beside its release: time, firewall, security fixes, and certificates to download by https.
PACKAGES = ("ca-certificates", "chrony", "nftables", "unattended-upgrades")


def deploy_variables(rendered: RenderedRelay, *, token: int = 0) -> dict[str, Any]:
    """Everything that `deploy` makes so. A host that has seen a token refuses the token 0: whoever runs this gives his own."""
    return {
        "genesis_files": [_file(file) for file in rendered.files],
        "genesis_release": _release(rendered),
        "genesis_network": {"digest": rendered.network_digest, "files": {}},
        "genesis_digest": rendered.digest,
        "genesis_restart_digest": rendered.restart_digest,
        "genesis_reload_digest": rendered.reload_digest,
        "genesis_token": token,
    }


def stage_variables(
    rendered: RenderedRelay, network: NetworkFiles, *, allow_http: bool = False, token: int = 0
) -> dict[str, Any]:
    """The release to download and the genesis files to lay beside it; nothing that disturbs a running node.

    `allow_http` is for the lab alone: everywhere else the download itself must be authentic, beside its checksum.
    """
    return {
        "genesis_release": _release(rendered),
        "genesis_network": {"digest": network.digest, "files": dict(sorted(network.genesis.items()))},
        "genesis_allow_http": allow_http,
        "genesis_token": token,
    }


def prepare_variables(
    spec: FleetSpec, step: str, volume_id: str | None = None, *, adopt: bool = False, token: int = 0
) -> dict[str, Any]:
    """The baseline of a new host: user, packages, chain disk, and its SSH host key.

    `step` is `identify` (generate the host key and show it) or `settle` (everything else, switch to that key, wipe the one-time
    key); `volume_id` the cloud's name of the chain disk (None: the host's own disk). A host whose key is pinned in the
    fleet file keeps that key. `adopt` takes a host over from another store.
    """
    return {
        "genesis_prepare": {
            "step": step,
            "volume_id": volume_id,
            "mount": layout.CHAIN_MOUNT,
            "packages": list(PACKAGES),
            "user": layout.USER,
            "baseline_digest": baseline_digest(spec),
            "keep_identity": spec.cloud.kind == "static",
            "adopt": adopt,
        },
        "genesis_token": token,
    }


def inspect_variables(spec: FleetSpec) -> dict[str, Any]:
    """Where a look finds the node's metrics: on the host's loopback."""
    return {"genesis_metrics_port": spec.ports.metrics}


def baseline_digest(spec: FleetSpec) -> str:
    """Return what `HostFacts.prepared` must be once a host has the present baseline: the same for all hosts of a fleet."""
    return _baseline_digest(spec.cloud.kind)


@lru_cache(maxsize=8)
def _baseline_digest(cloud: str) -> str:
    baseline = [layout.USER, PACKAGES, layout.CHAIN_MOUNT, cloud]
    return hashlib.sha256(json.dumps(baseline).encode()).hexdigest()


def _file(file: RenderedFile) -> dict[str, str]:
    return {
        "path": file.path,
        "content": file.content,
        "owner": file.owner,
        "group": file.group,
        "mode": file.mode,
        "change": file.change.name.lower(),
        "validate": file.validate,
    }


def _release(rendered: RenderedRelay) -> dict[str, str]:
    release = rendered.release
    return {
        "version": release.version,
        "architecture": release.architecture,
        "url": release.url,
        "sha256": release.sha256,
    }
