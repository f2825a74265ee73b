"""The Ansible variables of each intent, by host. Playbooks read these names and no others; values are JSON-able.

What each host is to be is decided before; this only spells it out.
"""

from __future__ import annotations

import hashlib
import json
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
    spec: FleetSpec, step: str, volume_id: str | None = None, *, one_time_key: str | None = None, token: int = 0
) -> dict[str, Any]:
    """The baseline of a new host: user, folders, packages, chain disk, and the one-time host key to get rid of.

    `step` is `identify` (make the baseline, generate the host key and show it) or `settle` (switch to it, wipe the other);
    `volume_id` the cloud's name of the chain disk (None: the host's own disk); `one_time_key` the public half that came
    with the user data (None: whatever the host has of one).
    """
    return {
        "genesis_step": step,
        "genesis_user": layout.USER,
        "genesis_directories": _directories(),
        "genesis_packages": list(PACKAGES),
        "genesis_chain_mount": layout.CHAIN_MOUNT,
        "genesis_login": spec.ssh.user,
        # What a host reports as `prepared`: the same for all hosts, so the volume and the key are no part of it.
        "genesis_baseline": baseline_digest(spec),
        "genesis_volume_id": volume_id,
        "genesis_one_time_key": one_time_key,
        "genesis_token": token,
    }


def baseline_digest(spec: FleetSpec) -> str:
    """Return what `HostFacts.prepared` must be once a host has the present baseline."""
    baseline = [layout.USER, _directories(), PACKAGES, layout.CHAIN_MOUNT, spec.ssh.user]
    return hashlib.sha256(json.dumps(baseline, sort_keys=True).encode()).hexdigest()


def _directories() -> list[dict[str, str]]:
    node, root = layout.USER, "root"
    return [
        {"path": path, "owner": owner, "group": owner, "mode": mode}
        for path, owner, mode in (
            (layout.CONFIG_FOLDER, root, "0755"),
            (layout.PROGRAM_FOLDER, root, "0755"),
            (f"{layout.PROGRAM_FOLDER}/releases", root, "0755"),
            (f"{layout.PROGRAM_FOLDER}/network", root, "0755"),
            (layout.CHAIN_MOUNT, node, "0750"),
        )
    ]


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
