"""Anybody's topology file → everything in it that the node would refuse, misread or silently change. Start here.

Pure, and stricter than the node, which says nothing of what it ignores, clamps or takes for something else. Whatever the input
is, the answer is findings, never an exception. What each finding means is in `topology_rules.py`; access points and groups are
judged in `topology_points.py` and `topology_groups.py`, the peer snapshot in `snapshot.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from posixpath import isabs
from typing import Any

from orchestrator.rendering.snapshot import SnapshotFile, check_snapshot
from orchestrator.rendering.topology_findings import Circumstances, Finding, find, severity_by_version, show
from orchestrator.rendering.topology_groups import check_local_roots
from orchestrator.rendering.topology_points import check_list, check_points, read_points
from orchestrator.rendering.topology_rules import Code
from orchestrator.rendering.topology_shape import (
    PUBLIC_KEYS,
    TOPOLOGY_KEYS,
    check_boolean,
    check_keys,
    read_number,
    wrong_type,
)
from orchestrator.rendering.topology_text import NotJson, read_json

_SIGNS = ("localRoots", "publicRoots", "bootstrapPeers", "useLedgerAfterSlot")
"""A file with none of these is meant for something else."""

RELATIVE_SNAPSHOTS = (10, 5)

SLOTS_END = 2**64
"""The node keeps a slot in 64 bits."""


def check_topology(
    content: bytes | str, circumstances: Circumstances, snapshot: SnapshotFile | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with the text of a topology, in the order of the text.

    `snapshot` is the file that `peerSnapshotFile` names; None if nobody looked for it.
    """
    try:
        text = read_json(content)
    except NotJson as error:
        return (replace(find(Code.NOT_JSON, (), f"the file is not JSON: {error.cause}"), line=error.line),)
    found = [
        replace(find(Code.DUPLICATE_KEY, path, f"the key {show(path[-1])} is there twice"), line=line)
        for path, line in text.duplicates
    ]
    for finding in check_document(text.value, circumstances, snapshot):
        # A missing member has no line of its own: that of what it is missing from.
        above = (finding.path[:length] for length in range(len(finding.path), -1, -1))
        found.append(replace(finding, line=next(text.lines[path] for path in above if path in text.lines)))
    return tuple(sorted(found, key=lambda finding: finding.line or 0))


def check_document(
    document: object, circumstances: Circumstances, snapshot: SnapshotFile | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with a topology that is a value already; findings have no lines."""
    if not isinstance(document, dict):
        return (find(Code.NOT_A_TOPOLOGY, (), f"the file is {show(document)}, not an object"),)
    if "Producers" in document and "localRoots" not in document:
        return (find(Code.OLD_FORMAT, ("Producers",), "this is a topology from before peer-to-peer"),)
    if not any(sign in document for sign in _SIGNS):
        return (find(Code.NOT_A_TOPOLOGY, (), "the file has none of the keys of a topology"),)
    return (
        *check_keys(document, TOPOLOGY_KEYS, (), circumstances),
        *(check_local_roots(document["localRoots"], circumstances) if "localRoots" in document else ()),
        *(_check_public_roots(document["publicRoots"], circumstances) if "publicRoots" in document else ()),
        *_check_bootstrap(document, circumstances),
        *_check_ledger(document, circumstances),
        *_check_snapshot_file(document, circumstances, snapshot),
        *_check_sources(document, circumstances),
    )


def snapshot_name(content: bytes | str) -> str | None:
    """Return what `peerSnapshotFile` says, if the text is a topology that names one that would be read."""
    try:
        document = read_json(content).value
    except NotJson:
        return None
    if not isinstance(document, dict) or not _uses_ledger(document):
        return None
    name = document.get("peerSnapshotFile")
    return name if isinstance(name, str) and name else None


def _check_public_roots(roots: object, circumstances: Circumstances) -> Iterator[Finding]:
    path = ("publicRoots",)
    if not isinstance(roots, list):
        yield wrong_type(path, roots, "an array of groups")
        return
    for number, root in enumerate(roots):
        if not isinstance(root, dict):
            yield wrong_type((*path, number), root, "a group")
            continue
        yield from check_keys(root, PUBLIC_KEYS, (*path, number), circumstances)
        yield from check_boolean(root, "advertise", (*path, number))
        if "accessPoints" in root:
            yield from check_list(root["accessPoints"], (*path, number, "accessPoints"), circumstances)


def _check_bootstrap(document: Mapping[str, Any], circumstances: Circumstances) -> Iterator[Finding]:
    path = ("bootstrapPeers",)
    peers = document.get("bootstrapPeers")
    if peers is None:
        return
    if not isinstance(peers, list):
        yield wrong_type(path, peers, "an array of access points, or null")
        return
    yield from check_points(peers, path, circumstances)
    if circumstances.genesis:
        if peers and not _nobody(document, circumstances):
            yield find(Code.BOOTSTRAP_DROPPED, path, "bootstrapPeers are listed")
    elif not peers and not any(_is_trustable(group) for group in _items(document, "localRoots")):
        yield find(Code.NO_TRUSTABLE_PEER, path, "bootstrapPeers is empty, and nobody else is trustable")


def _check_ledger(document: Mapping[str, Any], circumstances: Circumstances) -> Iterator[Finding]:
    path = ("useLedgerAfterSlot",)
    if "useLedgerAfterSlot" in document:
        slot = document["useLedgerAfterSlot"]
        number = read_number(slot)
        if number is None:
            yield wrong_type(path, slot, "a number")
        elif number != number // 1:
            yield find(Code.SLOT_WITH_FRACTION, path, f"useLedgerAfterSlot is {show(slot)}")
        elif number >= SLOTS_END:
            yield find(Code.SLOT_OUT_OF_RANGE, path, f"useLedgerAfterSlot is {show(slot)}")
    if circumstances.genesis:
        if not _uses_ledger(document):
            yield find(Code.GENESIS_WITHOUT_LEDGER, path, "ledger peers are not in use")
        elif document.get("peerSnapshotFile") is None:
            yield find(Code.GENESIS_WITHOUT_SNAPSHOT, (), "there is no peerSnapshotFile")


def _check_snapshot_file(
    document: Mapping[str, Any], circumstances: Circumstances, snapshot: SnapshotFile | None
) -> Iterator[Finding]:
    path = ("peerSnapshotFile",)
    name = document.get("peerSnapshotFile")
    if name is None:
        return
    if not isinstance(name, str) or not name:
        yield wrong_type(path, name, "the name of a file")
    elif not _uses_ledger(document):
        yield find(Code.SNAPSHOT_NEVER_READ, path, f"{show(name)} is named, and useLedgerAfterSlot says never")
    else:
        if not isabs(name) and not (known := circumstances.knows(RELATIVE_SNAPSHOTS)):
            severity = severity_by_version(known=known)
            yield find(Code.SNAPSHOT_RELATIVE, path, f"{show(name)} is a relative path", severity)
        if snapshot is not None:
            after = read_number(document.get("useLedgerAfterSlot"))
            yield from check_snapshot(snapshot, circumstances, after or 0)


def _check_sources(document: Mapping[str, Any], circumstances: Circumstances) -> Iterator[Finding]:
    """Look whether the node would begin anything by itself, once what it drops is gone."""
    if not _nobody(document, circumstances):
        return
    if circumstances.genesis and document.get("bootstrapPeers"):
        yield find(Code.NOBODY_LEFT, ("bootstrapPeers",), "bootstrapPeers are the only peers of this file")
    else:
        yield find(Code.NOBODY_TO_DIAL, (), "the file names no peer, nor where to get peers from")


def _nobody(document: Mapping[str, Any], circumstances: Circumstances) -> bool:
    groups = (*_items(document, "localRoots"), *_items(document, "publicRoots"))
    if any(isinstance(group, dict) and group.get("accessPoints") for group in groups):
        return False
    if document.get("bootstrapPeers") and not circumstances.genesis:
        return False
    return not _uses_ledger(document) or not (
        document.get("peerSnapshotFile") or read_number(document.get("useLedgerAfterSlot")) == 0
    )


def _uses_ledger(document: Mapping[str, Any]) -> bool:
    slot = read_number(document.get("useLedgerAfterSlot"))
    return slot is not None and slot >= 0


def _is_trustable(group: object) -> bool:
    return (
        isinstance(group, dict) and group.get("trustable") is True and bool(read_points(group.get("accessPoints"), ()))
    )


def _items(document: Mapping[str, Any], key: str) -> tuple[object, ...]:
    value = document.get(key)
    return tuple(value) if isinstance(value, list) else ()
