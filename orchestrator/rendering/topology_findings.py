"""Findings of the check of topologies, and what is known of the node that is to read a file. Values, and how they are shown.

What each code means is in `topology_rules.py`; where it is looked for, in `topology_check.py` and its neighbours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from orchestrator.rendering.releases import is_at_least
from orchestrator.rendering.topology_rules import RULES, Code, Severity
from orchestrator.rendering.values import AccessPoint
from orchestrator.spec.findings import Path, render_path

OLDEST_SUPPORTED = (10, 5)
"""The oldest release that is still about; without a version, what differs between it and the newest is only noted."""

SUPPORTED = "every node from 10.5 on"

DEFAULT_KNOWN_PEERS = 150
"""TargetNumberOfKnownPeers of a node whose configuration does not say."""

LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known about the node that is to read the file; None: not known, so only what holds for any is an error."""

    node_version: str | None = None
    consensus_mode: str | None = None
    magic: int | None = None
    known_peers: int = DEFAULT_KNOWN_PEERS
    itself: frozenset[AccessPoint] = frozenset()
    """Where the node itself can be reached."""

    @property
    def genesis(self) -> bool:
        """Whether the node is known to sync in GenesisMode."""
        return self.consensus_mode == "GenesisMode"

    def knows(self, since: tuple[int, ...]) -> bool | None:
        """Tell whether the node knows what came with `since`; None if that depends on its version."""
        if self.node_version is not None:
            return is_at_least(self.node_version, since)
        return True if since <= OLDEST_SUPPORTED else None


@dataclass(frozen=True, slots=True)
class Finding:
    """One trap in one place."""

    code: Code
    path: Path
    found: str
    """The first half of the sentence: what is there."""
    severity: Severity
    line: int | None = None

    @property
    def sentence(self) -> str:
        """Return what is there and what the node makes of it."""
        return f"{self.found}; {RULES[self.code].effect}"

    @property
    def place(self) -> str:
        """Return the place as people write it; empty for the file as a whole."""
        return render_path(self.path)


def severity_by_version(*, known: bool | None) -> Severity:
    """Return how bad it is that a node does not know something: only noted if that depends on its version."""
    return Severity.NOTE if known is None else Severity.ERROR


def find(code: Code, path: Path, found: str, severity: Severity | None = None) -> Finding:
    """Make a finding, as severe as its rule says unless told otherwise."""
    return Finding(code, path, found, severity or RULES[code].severity)


def show(value: object) -> str:
    """Return a value on one short line of plain characters, whatever it is."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str() if len(value) > LONGEST_SHOWN:
            return json.dumps(value[:LONGEST_SHOWN] + "...")
        case _:
            text = json.dumps(value)
            return text if len(text) <= 2 * LONGEST_SHOWN else f"a number of {len(text)} digits"
