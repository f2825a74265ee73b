"""Decide what a release knows, from its number alone: which wire versions, which tracing, which topology keys.

The facts are those of the real releases: 10.5 dropped wire version 13, 10.6 added 15 and SRV names, 10.7 brought
`behindFirewall`, 11.1 removed the legacy tracing. The number itself comes from the release (`orchestrator.lab.releases`
writes it beside the program) and not from here.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A release of the node: three numbers, the third 0 when it is not written."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse_version(text: str) -> Version:
    """Read `10.5.1`; a fourth number is dropped. Raise ValueError for anything else."""
    parts = text.strip().split(".")
    if not 2 <= len(parts) <= 4 or not all(part.isdecimal() for part in parts):
        raise ValueError(f"not a release of the node: {text!r} (expected something like 10.5.1)")
    return Version(*[*map(int, parts), 0][:3])


def wire_versions(version: Version) -> tuple[int, ...]:
    """Return the node-to-node versions that this release offers."""
    if version < Version(10, 5, 0):
        return (13, 14)
    return (14,) if version < Version(10, 6, 0) else (14, 15)


def knows_srv_names(version: Version) -> bool:
    """Tell whether an access point may lack its port."""
    return version >= Version(10, 6, 0)


def knows_behind_firewall(version: Version) -> bool:
    """Tell whether `behindFirewall` of a local root group is read."""
    return version >= Version(10, 7, 0)


def knows_legacy_tracing(version: Version) -> bool:
    """Tell whether `hasPrometheus` and its kin still do anything."""
    return version < Version(11, 1, 0)


def knows_only_new_snapshots(version: Version) -> bool:
    """Tell whether the peer snapshot has to be of the format that names its network."""
    return version >= Version(10, 7, 0)


def tolerates_a_missing_snapshot(version: Version) -> bool:
    """Tell whether an unreadable snapshot is only told, in Praos mode."""
    return version >= Version(10, 6, 0)


def exit_code_of_sigterm(version: Version) -> int:
    """Return how a clean stop by SIGTERM ends; older releases ended as if killed by it."""
    return 0 if version >= Version(10, 5, 0) else 143


def version_text(version: Version, revision: str) -> str:
    """Render what `cardano-node --version` prints; the compiler is the one the real releases name."""
    return f"cardano-node {version} - linux-{platform.machine()} - ghc-9.6\ngit rev {revision}"
