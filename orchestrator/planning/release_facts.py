"""What changed between node releases, as far as an upgrade must know it. Facts, each with its source; no decisions.

What rendering must know to write files is in `rendering/releases.py`, and is not repeated here. A pre-release counts as the
release it leads to. Where public sources are silent the answer is None, and it is for the caller to say so.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.rendering.releases import is_at_least

Line = tuple[int, ...]
"""The first release of a line, such as (10, 5): it and all that follow until the next line."""

NODE_TO_NODE: tuple[tuple[Line, frozenset[int]], ...] = (
    # 8.9.1 brought version 13; which older ones it still spoke is left out, since nobody here would be left to speak them.
    ((8, 9), frozenset({13})),
    # ouroboros-network #4986 introduced 14 so as to see who was ready for the hard fork that 10.1 can cross.
    ((10, 1), frozenset({13, 14})),
    # ouroboros-network #5057 and #5068 dropped 13, which could not cross that fork.
    ((10, 5), frozenset({14})),
    # 15 came with SRV names. 16 (Peras, 11.1) is experimental and off, so nobody relies on it.
    ((10, 6), frozenset({14, 15})),
)
"""Line → versions of the node-to-node protocol that it speaks. Of releases before the first line nothing is said here."""

NEWEST_KNOWN: Line = (11, 1)
"""The newest line whose release notes were read for this file (11.1.3, of September 2026)."""

LEDGER_STATES: tuple[Line, ...] = (
    (9, 0),  # cardano-node #5908: snapshots of 8.12 are invalid, "Replaying ledger from genesis"
    (10, 1),  # mithril #2069: ledger state has to be computed anew
    (10, 4),  # UTxO-HD, another format: mithril #2487 and the migration guide of ouroboros-consensus
    (10, 6),  # mithril #2790, for 10.6.2
    (10, 7),  # mithril #2894, for 10.7.1; not at 11.0 (#3257) nor at 11.1 (#3346)
)
"""Lines that cannot use the ledger state of the line before, nor that one theirs (mithril #947): they replay the chain."""

UTXO_HD: Line = (10, 4)
"""From here on a ledger snapshot is a folder; before, it was one file. The only way back that a guide describes is a converter."""

LSM_KNOWN: Line = (10, 7)
"""From here on there is the ledger backend V2LSM."""

V1_LEDGER_REMOVED: Line = (11, 1)
"""From here on the ledger backend V1LMDB stops the node: "Malformed LedgerDB Backend: V1LMDB" (cardano-wallet #5409)."""

PROTOCOL_VERSION_11: Line = (11, 0)
"""The first line that follows a chain past the hard fork to protocol version 11 (release notes of 11.0.1)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A release that is known to be worse than its neighbours."""

    release: Line
    """This release, or this line."""
    text: str
    """What is wrong with it, and what to take instead."""
    network: str = ""
    """Where it matters; everywhere if empty."""
    backend: str = ""
    """With which ledger backend; with any if empty."""


FAULTS: tuple[Fault, ...] = (
    # Release notes of 11.1.0 and, for the memory, of 11.1.3.
    Fault((11, 1, 0), "is a pre-release that its makers do not recommend for mainnet; take 11.1.3 or later", "mainnet"),
    # Release notes of 11.1.3.
    Fault((11, 1, 2), "reads the IPv4 addresses in the ledger in the wrong byte order; take 11.1.3 or later"),
    # mithril #2790, the warning at its head.
    Fault((10, 6, 0), "was withheld from Mithril's networks until it was patched; take 10.6.2 or later", "mainnet"),
    # Known issues in the release notes of 11.0.1, mended in the release after it.
    Fault((10, 7), "cannot read blocks of more than 4096 items with V2LSM; take 11.1.3 or V2InMemory", backend="V2LSM"),
    Fault((11, 0), "cannot read blocks of more than 4096 items with V2LSM; take 11.1.3 or V2InMemory", backend="V2LSM"),
)


def release_numbers(version: str) -> Line:
    """Return what a release is compared by: its numbers, a pre-release as the release it leads to."""
    return tuple(int(number) for number in version.partition("-")[0].split("."))


def is_back(running: str, wanted: str) -> bool:
    """Tell whether a step leads to an older release."""
    return release_numbers(wanted) < release_numbers(running)


def list_wire_versions(version: str) -> frozenset[int] | None:
    """Return the node-to-node versions of a release; None before the first line. The newest line is taken to go on."""
    known = [spoken for line, spoken in NODE_TO_NODE if is_at_least(version, line)]
    return known[-1] if known else None


def is_newer_than_known(version: str) -> bool:
    """Tell whether a release is of a line that nothing here was read about."""
    return release_numbers(version)[: len(NEWEST_KNOWN)] > NEWEST_KNOWN


def list_lines_lost(running: Collection[str], wanted: str) -> tuple[str, ...]:
    """Return, in words, the lines that a running release can speak with and the wanted one cannot: others may run them."""
    spoken = list_wire_versions(wanted)
    if spoken is None:
        return ()
    met = frozenset[int]().union(*(list_wire_versions(version) or () for version in running))
    ends = [f"to before {_name(line)}" for line, _ in NODE_TO_NODE[1:]] + ["on"]
    return tuple(
        f"from {_name(line)} {end}"
        for (line, versions), end in zip(NODE_TO_NODE, ends, strict=True)
        if versions & met and not versions & spoken
    )


def why_replays(running: str, wanted: str) -> str | None:
    """Return why the wanted release cannot start from the ledger state that the running one left; None if it can.

    It then replays the whole chain, by itself. Sources are silent about 10.5.
    """
    crossed = _find_crossed(running, wanted, LEDGER_STATES)
    if crossed is None:
        return None
    return f"{_name(crossed)} changed what is kept of the ledger, and neither side of it reads the other's"


def why_no_way_back(old: str, new: str) -> str | None:
    """Return why a database that `new` has used cannot be opened by `old` again; None if nothing is known against it.

    Known is one such place, 10.4. Elsewhere the node drops a ledger snapshot that it cannot read and replays the chain
    (cardano-node #4142, #5908), so the way back is slow and open. Sources do not say what a node before 10.4 makes of a
    snapshot that is a folder. Hard forks are no matter of the database: see `PROTOCOL_VERSION_11`.
    """
    if is_at_least(new, UTXO_HD) and not is_at_least(old, UTXO_HD):
        return (
            f"{new} keeps ledger snapshots as folders, and before 10.4 they were files: {old} needs them deleted, and then "
            "replays the chain, or converted with snapshot-converter"
        )
    return None


def list_faults(version: str, network: str, backend: str) -> tuple[str, ...]:
    """Return what is known to be wrong with a release on such a network with such a ledger backend."""
    return tuple(
        fault.text
        for fault in FAULTS
        if release_numbers(version)[: len(fault.release)] == fault.release
        and fault.network in ("", network)
        and fault.backend in ("", backend)
    )


def crosses(running: str, wanted: str, line: Line) -> bool:
    """Tell whether a line begins between two releases, in whichever direction the step goes."""
    return is_at_least(running, line) != is_at_least(wanted, line)


def _find_crossed(running: str, wanted: str, lines: tuple[Line, ...]) -> Line | None:
    """Return the newest line that begins between two releases."""
    return next((line for line in reversed(lines) if crosses(running, wanted, line)), None)


def _name(line: Line) -> str:
    return ".".join(map(str, line))
