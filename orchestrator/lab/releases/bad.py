"""Bad releases of the lab: ordinary tarballs of the same sources that do something wrong, each kind under a version of its own.

The number says the kind: the patch is 901 for the first of KINDS, 902 for the second, and so on, in the line of the good release
that they are to be upgraded from or to (`10.6.901`, or `10.5.901` to be bad in the legacy dialect). Two kinds are bad before they
run: one is served with another checksum than it is known by, one holds a node that says it is another version. The
others carry a flaw (`node.flaws`) that the node itself acts on. No fleet file names them unless asked to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from orchestrator.lab.node.flaws import (
    ExitsAtStart,
    Flaw,
    Forks,
    GoesStale,
    Hangs,
    NeverListens,
    OtherNetwork,
    ReplaysAlways,
)
from orchestrator.lab.node.version import parse_version
from orchestrator.lab.releases.tarball import Release, render_release, save_release

LINE = "10.6.2"
"""The good release whose line the bad ones are in if nobody asks for another: that of the new dialect next to the oldest."""

FIRST_PATCH = 901

WRONG_CHECKSUM = "wrong-checksum"
OTHER_VERSION = "other-version"

SAYS_INSTEAD = "10.5.4"
"""What the node says that is not what its release is called. No good release of the lab has this number."""


@dataclass(frozen=True, slots=True)
class BadKind:
    """One way to be bad, in a line for operators."""

    text: str
    flaw: Flaw | None = None


KINDS: Mapping[str, BadKind] = MappingProxyType(
    {
        WRONG_CHECKSUM: BadKind("the archive served is not the one whose checksum is known"),
        "exits": BadKind("ends with an error at each start", ExitsAtStart()),
        "never-listens": BadKind("starts, shows metrics, and never opens its port", NeverListens()),
        "hangs": BadKind("accepts connections, and never answers the handshake", Hangs()),
        "wrong-magic": BadKind("answers the handshake for another network", OtherNetwork()),
        OTHER_VERSION: BadKind(f"holds a node that says it is {SAYS_INSTEAD}"),
        "forks": BadKind("serves for 5 seconds, then makes another chain", Forks()),
        "goes-stale": BadKind("serves for 10 seconds, then takes in no block any more", GoesStale()),
        "long-replay": BadKind("finds its database unclean at each start, and replays for 40 seconds", ReplaysAlways()),
    }
)


def bad_version(kind: str, line: str = LINE) -> str:
    """Return the version that a bad release goes by; raise KeyError for what is no kind."""
    if kind not in KINDS:
        raise KeyError(kind)
    return str(replace(parse_version(line), patch=FIRST_PATCH + list(KINDS).index(kind)))


def render_bad_release(kind: str, line: str = LINE, flaw: Flaw | None = None) -> bytes:
    """Return the tarball; `flaw` stands in for the kind's own, to have another number of seconds."""
    says = SAYS_INSTEAD if kind == OTHER_VERSION else bad_version(kind, line)
    return render_release(says, flaw or KINDS[kind].flaw)


def build_bad_release(kind: str, directory: Path, line: str = LINE, flaw: Flaw | None = None) -> Release:
    """Write the tarball into a directory that is served, and return what a fleet file needs to name it."""
    content = render_bad_release(kind, line, flaw)
    return know_as(kind, save_release(bad_version(kind, line), content, directory))


def build_bad_releases(directory: Path, line: str = LINE) -> Mapping[str, Release]:
    """Write all of them, and return them by kind."""
    return {kind: build_bad_release(kind, directory, line) for kind in KINDS}


def know_as(kind: str, served: Release) -> Release:
    """Return what a fleet file is to say of a bad release that is served so: the truth, but for one kind."""
    if kind != WRONG_CHECKSUM:
        return served
    return replace(served, sha256=hashlib.sha256(f"not {served.sha256}".encode()).hexdigest())
