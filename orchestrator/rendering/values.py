"""Values of rendering: the files of one relay, what a change of each asks for, and the digest of them all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from orchestrator.spec.network import NetworkFiles as NetworkFiles  # noqa: PLC0414 - lives with the folder it is read from


class ChangeClass(IntEnum):
    """What a change asks for, from the least to the most disturbing; comparable."""

    NONE = 0
    RELOAD = 1
    RESTART = 2
    REPLACE = 3


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One file as it must lie on a relay."""

    path: str
    """Absolute path on the host."""
    content: str
    owner: str
    group: str
    mode: str
    """Four octal digits."""
    change: ChangeClass
    validate: str = ""
    """Name of the check the host applies before the file takes effect: `nft`, `sshd`, `json`, `systemd`, or empty."""

    @property
    def sha256(self) -> str:
        """Checksum of the content, as the host computes it."""
        return digest_of_text(self.content)


@lru_cache(maxsize=32_768)  # every look compares every file with what lies on its host
def digest_of_text(content: str) -> str:
    """Return the SHA-256 of a text, as a host computes it of the file."""
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class WantedRelease:
    """The release a relay must run."""

    version: str
    architecture: str
    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RenderedRelay:
    """All that one relay must be: files, release, digests."""

    relay: str
    files: tuple[RenderedFile, ...]
    release: WantedRelease
    restart_digest: str
    """Over every restart-class file and the release."""
    reload_digest: str
    """Over every reload-class file."""
    digest: str
    """Over everything."""
    network_digest: str = ""
    """The network folder whose genesis files config.json names."""

    def __hash__(self) -> int:
        # What follows from a relay is remembered by it, and asked for in every look: not by the texts of all its files.
        return hash((self.relay, self.digest))


@dataclass(frozen=True, slots=True)
class Templates:
    """Template texts by name, e.g. `cardano-node.service.j2`."""

    texts: tuple[tuple[str, str], ...]

    def text(self, name: str) -> str:
        """Return the template of that name. Raises KeyError if it does not exist."""
        return dict(self.texts)[name]


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """Address and port in a topology."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class RelayNeighbours:
    """Whom one relay names: others of its fleet, and partners."""

    own: tuple[AccessPoint, ...]
    partners: tuple[AccessPoint, ...]
    itself: tuple[str, ...] = ()
    """The relay's own addresses, as far as they are known; naming one of them is refused."""
