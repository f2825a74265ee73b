"""Everything that a lab offers for download, good and bad, as one list; and writing it into the folder that is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.lab.releases.bad import KINDS, bad_version, know_as, render_bad_release
from orchestrator.lab.releases.tarball import Release, describe_release, render_release, save_release

VERSIONS = ("10.5.1", "10.6.2", "11.0.1", "11.1.3")
"""The good ones, on each side of what upgrades stumble over: legacy tracing and wire version 14 alone; new tracing, 14 and 15; the
new peer snapshot; no legacy tracing any more."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A release to download; `kind` is None for a good one."""

    release: Release
    kind: str | None = None


def build_offers(directory: Path) -> tuple[Offer, ...]:
    """Write everything anew and return it, the good ones first."""
    return tuple(_build(version, kind, directory) for version, kind in _list_all())


def find_offers(directory: Path) -> tuple[Offer, ...]:
    """Return everything as it lies there, where a running lab may be serving it; write only what is missing."""
    return tuple(
        _offer(version, kind, path.read_bytes()) if path.is_file() else _build(version, kind, directory)
        for version, kind in _list_all()
        for path in (directory / describe_release(version, b"").file_name,)
    )


def _list_all() -> tuple[tuple[str, str | None], ...]:
    return (*((version, None) for version in VERSIONS), *((bad_version(kind), kind) for kind in KINDS))


def _build(version: str, kind: str | None, directory: Path) -> Offer:
    content = render_release(version) if kind is None else render_bad_release(kind)
    save_release(version, content, directory)
    return _offer(version, kind, content)


def _offer(version: str, kind: str | None, content: bytes) -> Offer:
    release = describe_release(version, content)
    return Offer(release if kind is None else know_as(kind, release), kind)
