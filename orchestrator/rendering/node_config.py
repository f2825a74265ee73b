"""config.json of a relay: an overlay on the network's own, which keeps every key that we have no opinion on.

Ours are: the connection limits, peer sharing, where the genesis files lie, and where logs and metrics go. Consensus mode, ledger
backend, peer targets and everything unknown stay the network's.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from posixpath import join
from typing import Any

from orchestrator.errors import RenderFailed
from orchestrator.rendering.layout import network_folder
from orchestrator.rendering.releases import PEER_TO_PEER_ONLY, is_at_least
from orchestrator.rendering.tracing import overlay_tracing


@dataclass(frozen=True, slots=True)
class NodeValues:
    """What the fleet file says about every node's config.json."""

    release: str
    metrics_port: int
    hard_limit: int
    soft_limit: int
    delay_seconds: int


def node_config_document(
    config_json: str, genesis_names: Collection[str], network_digest: str, values: NodeValues
) -> dict[str, Any]:
    """Lay our settings over the network's config.json. Raises RenderFailed for a text that is no JSON object."""
    document = _read_config(config_json)
    _locate_files(document, genesis_names, network_folder(network_digest))
    document["PeerSharing"] = True
    # All three are required once the object is there.
    document["AcceptedConnectionsLimit"] = {
        "hardLimit": values.hard_limit,
        "softLimit": values.soft_limit,
        "delay": values.delay_seconds,
    }
    if not is_at_least(values.release, PEER_TO_PEER_ONLY):
        document["EnableP2P"] = True
    return overlay_tracing(document, values.release, values.metrics_port)


def _read_config(config_json: str) -> dict[str, Any]:
    try:
        document = json.loads(config_json)
    except ValueError as error:
        raise RenderFailed(
            f"the network's config.json is no JSON: {error}", next_step="Fetch the network folder again."
        ) from error
    if not isinstance(document, dict):
        raise RenderFailed("the network's config.json is no JSON object", next_step="Fetch the network folder again.")
    return document


def _locate_files(document: dict[str, Any], genesis_names: Collection[str], folder: str) -> None:
    """Name each genesis or checkpoints file by the absolute path where it is staged; hashes stay as they are."""
    for key, value in document.items():
        if not key.endswith("GenesisFile") and key != "CheckpointsFile":
            continue
        if value not in genesis_names:
            raise RenderFailed(
                f"the network's config.json names {key} {value!r}, which the network folder did not supply",
                next_step="Put the file into the network folder, beside config.json.",
            )
        document[key] = join(folder, value)
