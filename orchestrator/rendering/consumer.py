"""Topologies for those who bootstrap from this fleet: new nodes, relays, block producers, tools. Pure.

In the shape of the official files (their keys, in their order), so that tools which know those know these. Whatever leaves here
has passed the check of `topology_check.py`. Where the names and the agreed slot come from is up to the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.errors import RenderFailed
from orchestrator.rendering.releases import is_at_least
from orchestrator.rendering.snapshot import NotASnapshot, SnapshotFile, check_snapshot, read_snapshot
from orchestrator.rendering.topology_check import RELATIVE_SNAPSHOTS, check_topology
from orchestrator.rendering.topology_findings import Circumstances, Finding
from orchestrator.rendering.topology_rules import Severity
from orchestrator.rendering.values import AccessPoint, NetworkFiles
from orchestrator.spec.model import NetworkSpec

TOPOLOGY_NAME = "topology.json"
SNAPSHOT_NAME = "peer-snapshot.json"

NEVER = -1
"""useLedgerAfterSlot of a node that takes no peers from the ledger."""

FIRST_EPOCH_START = {"mainnet": 4_492_800, "preprod": 86_400}
"""Slot of the first epoch with Shelley's length, on networks that began with Byron's; elsewhere epochs count from slot 0."""


class ConsumerKind(StrEnum):
    """Who is to read the topology."""

    NEW_NODE = "new-node"
    RELAY = "relay"
    BLOCK_PRODUCER = "block-producer"
    TOOLING = "tooling"

    @property
    def uses_ledger(self) -> bool:
        """Whether it comes to stand on its own: takes peers from the ledger once it has followed the chain far enough."""
        return self in (ConsumerKind.NEW_NODE, ConsumerKind.RELAY)

    @property
    def bootstraps(self) -> bool:
        """Whether it syncs from this fleet; a block producer knows nobody but its own relays."""
        return self is not ConsumerKind.BLOCK_PRODUCER


@dataclass(frozen=True, slots=True)
class Epochs:
    """Where epochs begin, and how far below the tip nothing changes any more."""

    length_slots: int
    first_start: int
    settled_slots: int
    """3k/f: a block this far below the tip cannot be rolled back; 36 hours on mainnet."""


@dataclass(frozen=True, slots=True)
class ConsumerInputs:
    """All that the topologies of consumers are made of."""

    bootstrap: tuple[AccessPoint, ...]
    """Names or addresses of this fleet and of its partners."""
    local_roots: tuple[AccessPoint, ...]
    """The consumer's own nodes."""
    agreed_slot: int | None
    """Slot of a block that fleet and partners agree on; needed where ledger peers are used."""
    epochs: Epochs
    circumstances: Circumstances
    """The consumer's node, as far as it is known."""
    snapshot: str | None = None
    """Peer snapshot that will lie beside the topology; see `why_no_snapshot`."""


def render_consumer_topology(kind: ConsumerKind, inputs: ConsumerInputs) -> str:
    """Return the text of topology.json. Raises RenderFailed if something is missing or the node would not take it as meant."""
    snapshot = inputs.snapshot if kind.uses_ledger else None
    text = json.dumps(_document(kind, inputs, snapshot), indent=2) + "\n"
    findings = check_topology(text, inputs.circumstances, None if snapshot is None else SnapshotFile(snapshot))
    if refused := [_sentence(finding) for finding in findings if finding.severity is Severity.ERROR]:
        raise RenderFailed(
            f"the topology of a {kind} would not do what it says: {'; '.join(refused)}",
            next_step="correct publish.names, partners or the options; GenesisMode needs topology.peer_snapshot, and -o for it",
        )
    return text


def list_notes(text: str, circumstances: Circumstances) -> tuple[str, ...]:
    """Return what is legal about a topology and may still surprise, a sentence each."""
    return tuple(_sentence(finding) for finding in check_topology(text, circumstances))


def pick_ledger_slot(agreed_slot: int, snapshot_slot: int | None, epochs: Epochs) -> int:
    """Choose from which slot on a node takes its peers from the ledger: as official files do, the start of an epoch.

    It is the epoch of the newest block that cannot be rolled back: stake, and so who is a ledger peer, is fixed for an epoch, and
    every node that syncs gets past that slot. Never above the slot of the snapshot beside it, which is fatal in the node; and
    above 0, which would mean always, with an empty ledger too.
    """
    settled = agreed_slot - epochs.settled_slots
    if snapshot_slot is not None:
        settled = min(settled, snapshot_slot)
    start = settled - (settled - epochs.first_start) % epochs.length_slots
    return max(start, 1)


def read_epochs(network: NetworkSpec, files: NetworkFiles) -> Epochs:
    """Read when epochs begin from the Shelley genesis. Raises RenderFailed if that does not say."""
    config = json.loads(files.config_json)
    shelley: Mapping[str, Any] = json.loads(files.genesis[config["ShelleyGenesisFile"]])
    try:
        length = int(shelley["epochLength"])
        settled = 3 * int(shelley["securityParam"]) / float(shelley["activeSlotsCoeff"])
        return Epochs(length, FIRST_EPOCH_START.get(network.name, 0) % length, round(settled))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise RenderFailed(
            f"the Shelley genesis {config['ShelleyGenesisFile']} does not say when epochs begin: {error!r}",
            next_step="use a genesis file with epochLength, securityParam and activeSlotsCoeff",
        ) from error


def why_no_snapshot(snapshot: str, circumstances: Circumstances) -> str | None:
    """Return why a consumer's node cannot use a peer snapshot beside its topology; None if it can."""
    version = circumstances.node_version
    if version is None or not is_at_least(version, RELATIVE_SNAPSHOTS):
        return "only nodes from 10.5 on look for it beside the topology"
    # Whatever is not refused at slot 1 leaves room for a useLedgerAfterSlot that is not above it.
    refused = [f for f in check_snapshot(SnapshotFile(snapshot), circumstances, 1) if f.severity is Severity.ERROR]
    return refused[0].sentence if refused else None


def _document(kind: ConsumerKind, inputs: ConsumerInputs, snapshot: str | None) -> dict[str, Any]:
    bootstrap = [_point(point) for point in dict.fromkeys(inputs.bootstrap)]
    # Bootstrap peers are asked only as long as the tip is old. Afterwards a node takes peers from the ledger, or, where that is
    # switched off, from its public roots: a tool without any would be left alone as soon as it has caught up.
    public = bootstrap if kind is ConsumerKind.TOOLING else []
    document: dict[str, Any] = {
        "bootstrapPeers": bootstrap if kind.bootstraps else None,
        "localRoots": [_own_group(kind, inputs.local_roots)],
        "publicRoots": [{"accessPoints": public, "advertise": False}] if kind.bootstraps else [],
        "useLedgerAfterSlot": _ledger_slot(inputs, snapshot) if kind.uses_ledger else NEVER,
    }
    if kind.bootstraps and not bootstrap:
        raise RenderFailed("nobody to bootstrap from was given", next_step="set publish.names in the fleet file")
    if snapshot is not None:
        document["peerSnapshotFile"] = SNAPSHOT_NAME
    return dict(sorted(document.items()))


def _own_group(kind: ConsumerKind, points: tuple[AccessPoint, ...]) -> dict[str, Any]:
    """Return the group of the consumer's own nodes, all wanted; without any, the empty one of the official files."""
    own = tuple(dict.fromkeys(points))
    if kind is ConsumerKind.BLOCK_PRODUCER and not own:
        raise RenderFailed(
            "a block producer was given no relays of its own, and knows nobody else", next_step="name its own relays"
        )
    return {
        "accessPoints": [_point(point) for point in own],
        "advertise": False,
        "trustable": bool(own),
        "valency": max(len(own), 1),
    }


def _ledger_slot(inputs: ConsumerInputs, snapshot: str | None) -> int:
    if inputs.agreed_slot is None:
        raise RenderFailed(
            "there is no slot that fleet and partners agree on", next_step="name a slot of the chain that you trust"
        )
    return pick_ledger_slot(inputs.agreed_slot, None if snapshot is None else _slot_of(snapshot), inputs.epochs)


def _slot_of(snapshot: str) -> int | None:
    try:
        return read_snapshot(snapshot).slot
    except NotASnapshot:
        # The check says so, in the same words as for everybody's.
        return None


def _point(point: AccessPoint) -> dict[str, Any]:
    return {"address": point.address, "port": point.port}


def _sentence(finding: Finding) -> str:
    return f"{finding.place}: {finding.sentence}" if finding.place else finding.sentence
