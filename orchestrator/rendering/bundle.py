"""What relays of one digest are made of, as text to be kept, and a relay made of it again. Pure.

A fleet file that is edited, or a controller that is upgraded, can no longer say what the relays were before. So what had been
rendered is kept: the release, the files that only a restart changes, and the peer snapshot, whose format belongs to the release.
Everything else is always today's: topology, firewall, SSH, clock.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from posixpath import basename

from orchestrator.errors import StoreRefused
from orchestrator.rendering import layout
from orchestrator.rendering.digest import digest_of_files, file_states
from orchestrator.rendering.host import json_text, make_file
from orchestrator.rendering.values import ChangeClass, RenderedFile, RenderedRelay, WantedRelease

COMPUTED = (layout.RELOAD_DIGEST, layout.RESTART_DIGEST)
"""Files that are made from the others."""


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """A bundle's document, read."""

    files: tuple[RenderedFile, ...]
    release: WantedRelease
    restart_digest: str
    network_digest: str


@lru_cache(maxsize=4096)
def render_bundle(rendered: RenderedRelay) -> str:
    """Return the document that keeps a relay; the same for relays that differ only in what is always today's."""
    kept = [asdict(file) for file in rendered.files if _is_kept(file)]
    return json.dumps(
        {
            "files": kept,
            "release": asdict(rendered.release),
            "restart_digest": rendered.restart_digest,
            "network_digest": rendered.network_digest,
        },
        sort_keys=True,
    )


@lru_cache(maxsize=64)
def parse_bundle(document: str) -> KeptFiles:
    """Read such a document. Raises StoreRefused for anything else: nothing is deployed that cannot be read whole."""
    try:
        values = json.loads(document)
        files = [RenderedFile(**{**file, "change": ChangeClass(file["change"])}) for file in values["files"]]
        release = WantedRelease(**values["release"])
        return KeptFiles(tuple(files), release, str(values["restart_digest"]), str(values["network_digest"]))
    except (ValueError, TypeError, KeyError) as error:
        raise StoreRefused(
            f"the record keeps a release to go back to that cannot be read: {error}",
            next_step="it was written by another version of genesis-fleet, or damaged: use that version, or a backup of the store",
        ) from error


@lru_cache(maxsize=8192)  # every look makes the same ones again
def apply_bundle(rendered: RenderedRelay, document: str) -> RenderedRelay:
    """Return the relay with what is kept in place of its own, and all that is always today's."""
    kept = parse_bundle(document)
    topology = _refit(next(file for file in rendered.files if file.path == layout.TOPOLOGY), kept)
    snapshots = [file for file in kept.files if file.path == layout.PEER_SNAPSHOT]
    reload_digest = digest_of_files(file_states([topology, *snapshots]))
    files = (
        *(file for file in kept.files if file.change is ChangeClass.RESTART),
        *(file for file in rendered.files if file.change is ChangeClass.NONE and file.path not in COMPUTED),
        topology,
        *snapshots,
        make_file(layout.RELOAD_DIGEST, f"{reload_digest}\n"),
        make_file(layout.RESTART_DIGEST, f"{kept.restart_digest}\n"),
    )
    return RenderedRelay(
        relay=rendered.relay,
        files=files,
        release=kept.release,
        restart_digest=kept.restart_digest,
        reload_digest=reload_digest,
        digest=digest_of_files(file_states(files), kept.release.sha256, kept.network_digest),
        network_digest=kept.network_digest,
    )


def _is_kept(file: RenderedFile) -> bool:
    return file.change is ChangeClass.RESTART or file.path == layout.PEER_SNAPSHOT


def _refit(topology: RenderedFile, kept: KeptFiles) -> RenderedFile:
    """Let a topology name a peer snapshot if, and only if, the kept files have one: the format belongs to the release."""
    has_snapshot = any(file.path == layout.PEER_SNAPSHOT for file in kept.files)
    document = json.loads(topology.content)
    if has_snapshot == ("peerSnapshotFile" in document):
        return topology
    document.pop("peerSnapshotFile", None)
    if has_snapshot:
        document["peerSnapshotFile"] = basename(layout.PEER_SNAPSHOT)
    return replace(topology, content=json_text(document))
