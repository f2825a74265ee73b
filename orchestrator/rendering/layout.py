"""Where everything lies on a relay, and what a change of each file asks for. Names only; contents are rendered elsewhere.

The change class of a path is decided here and nowhere else, so that a rendered file and a file seen on a host are judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from posixpath import join

from orchestrator.rendering.values import ChangeClass

USER = "cardano-node"
UNIT = "cardano-node.service"
FIREWALL_UNIT = "genesis-fleet-firewall.service"

CONFIG_FOLDER = "/etc/cardano-node"
PROGRAM_FOLDER = "/opt/cardano-node"
RELEASE_LINK = "/opt/cardano-node/current"
RUNTIME_FOLDER = "/run/cardano-node"

CHAIN_MOUNT = "/var/lib/cardano-node"
# One level below the mount: a fresh file system holds lost+found, and the node refuses a folder that is not empty and
# lacks its protocolMagicId.
DATABASE = "/var/lib/cardano-node/db"

TOPOLOGY = "/etc/cardano-node/topology.json"
PEER_SNAPSHOT = "/etc/cardano-node/peer-snapshot.json"
NODE_CONFIG = "/etc/cardano-node/config.json"
ENVIRONMENT = "/etc/cardano-node/environment"
RESTART_DIGEST = "/etc/cardano-node/restart.digest"
RELOAD_DIGEST = "/etc/cardano-node/reload.digest"
NODE_UNIT = "/etc/systemd/system/cardano-node.service"
FIREWALL = "/etc/nftables.d/genesis-fleet.nft"
FIREWALL_UNIT_FILE = "/etc/systemd/system/genesis-fleet-firewall.service"
CHRONY = "/etc/chrony/conf.d/genesis-fleet.conf"
SYSCTL = "/etc/sysctl.d/60-genesis-fleet.conf"
JOURNALD = "/etc/systemd/journald.conf.d/genesis-fleet.conf"
UPGRADES = "/etc/apt/apt.conf.d/60genesis-fleet"
NEEDRESTART = "/etc/needrestart/conf.d/genesis-fleet.conf"
# sshd keeps the first value it reads, and cloud-init writes 50-cloud-init.conf.
SSHD = "/etc/ssh/sshd_config.d/10-genesis-fleet.conf"

CHANGE_CLASSES = {
    TOPOLOGY: ChangeClass.RELOAD,
    PEER_SNAPSHOT: ChangeClass.RELOAD,
    NODE_CONFIG: ChangeClass.RESTART,
    ENVIRONMENT: ChangeClass.RESTART,
    NODE_UNIT: ChangeClass.RESTART,
    # The digest files tell what the others asked for; by themselves they ask for nothing.
    RESTART_DIGEST: ChangeClass.NONE,
    RELOAD_DIGEST: ChangeClass.NONE,
    FIREWALL: ChangeClass.NONE,
    FIREWALL_UNIT_FILE: ChangeClass.NONE,
    CHRONY: ChangeClass.NONE,
    SYSCTL: ChangeClass.NONE,
    JOURNALD: ChangeClass.NONE,
    UPGRADES: ChangeClass.NONE,
    NEEDRESTART: ChangeClass.NONE,
    SSHD: ChangeClass.NONE,
}

CHECKS = {
    TOPOLOGY: "json",
    PEER_SNAPSHOT: "json",
    NODE_CONFIG: "json",
    NODE_UNIT: "systemd",
    FIREWALL_UNIT_FILE: "systemd",
    FIREWALL: "nft",
    SSHD: "sshd",
}
"""What the host checks before a file takes effect."""


def change_class_of(paths: Iterable[str]) -> ChangeClass:
    """Return the most disturbing class among these paths; a path that nobody renders asks for nothing."""
    return max((CHANGE_CLASSES.get(path, ChangeClass.NONE) for path in paths), default=ChangeClass.NONE)


def network_folder(network_digest: str) -> str:
    """Return the folder where `stage` puts the network's genesis files; another network is another folder."""
    return join(PROGRAM_FOLDER, "network", network_digest)


def release_folder(version: str, archive_sha256: str) -> str:
    """Return the folder of one unpacked release; the checksum tells two builds of one version apart."""
    return join(PROGRAM_FOLDER, "releases", f"{version}-{archive_sha256[:12]}")
