"""Small fleets for random schedules: a fleet file in a few numbers, and the edits that an operator makes to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

from orchestrator.planning.look import Wanted
from orchestrator.rendering.values import NetworkFiles, Templates
from orchestrator.simulation.faults import ReleaseFault
from orchestrator.spec.model import FleetSpec

FLEET = "demo"

REGIONS = ("ap-southeast-1", "eu-central-1", "sa-east-1", "us-east-1")

GOOD_RELEASES = {"10.5.1": "a" * 64, "10.6.0": "b" * 64, "10.6.1": "c" * 64}

BAD_RELEASES = {f"10.7.{number}": f"{number}" * 64 for number in range(len(ReleaseFault))}
"""One for each way to be bad, in the order of `ReleaseFault`."""

UNVERIFIABLE = {"10.8.0": "f" * 64}
"""Its archive is not what the fleet file says."""

MISLABELLED = {"10.8.1": "d" * 64}
"""Its node says that it is another version."""

PARTNERS = ("alpha", "beta", "gamma")


@dataclass(frozen=True, slots=True)
class FleetFile:
    """What an operator may edit, as far as schedules edit it."""

    counts: tuple[tuple[str, int], ...]
    """(region, relays)."""
    release: str = "10.5.1"
    max_unavailable: int = 1
    max_unavailable_per_region: int = 1
    soft_limit: int = 200
    look_every: int = 5
    replace_after: int = 1800
    partners: int = 2

    def __str__(self) -> str:
        where = ", ".join(f"{region} {count}" for region, count in self.counts)
        return (
            f"{where}; release {self.release}, soft limit {self.soft_limit}; may be out: {self.max_unavailable}, "
            f"{self.max_unavailable_per_region} a region; {self.partners} partners"
        )


def random_fleet(random: Random) -> FleetFile:
    """Return a fleet of two to four regions with one to four relays each."""
    regions = sorted(random.sample(REGIONS, random.choice((2, 2, 3, 4))))
    return FleetFile(
        counts=tuple((region, random.choice((1, 2, 2, 3, 4) if len(regions) < 4 else (1, 2, 2))) for region in regions),
        max_unavailable=random.choice((1, 1, 2, 3)),
        max_unavailable_per_region=random.choice((1, 1, 2)),
        look_every=random.choice((5, 10, 20)),
        replace_after=random.choice((300, 1800)),
        partners=random.choice((2, 2, 3)),
    )


def edit_fleet(file: FleetFile, random: Random) -> FleetFile:
    """Return the fleet file after one edit."""
    match random.choice(
        ("release", "release", "release", "bad release", "count", "count", "config", "budget", "region")
    ):
        case "release":
            return replace(file, release=random.choice([r for r in GOOD_RELEASES if r != file.release]))
        case "bad release":
            return replace(file, release=random.choice([*BAD_RELEASES, *UNVERIFIABLE, *MISLABELLED]))
        case "count":
            region, _ = random.choice(file.counts)
            return replace(
                file, counts=tuple((r, random.choice((1, 2, 3)) if r == region else n) for r, n in file.counts)
            )
        case "config":
            return replace(file, soft_limit=random.choice([n for n in (200, 250, 300) if n != file.soft_limit]))
        case "budget":
            return replace(
                file,
                max_unavailable=random.choice((1, 2, 3)),
                max_unavailable_per_region=random.choice((1, 2)),
            )
        case _:
            return _edit_regions(file, random)


def _edit_regions(file: FleetFile, random: Random) -> FleetFile:
    counts = dict(file.counts)
    absent = [region for region in REGIONS if region not in counts]
    if len(counts) > 2 or (len(counts) == 2 and not absent):
        del counts[random.choice(sorted(counts))]
    else:
        counts[random.choice(absent)] = random.choice((1, 2))
    return replace(file, counts=tuple(sorted(counts.items())))


def relays_of(file: FleetFile) -> list[str]:
    """Name the relays of a fleet file."""
    return [f"{FLEET}-{region}-{number:02d}" for region, count in file.counts for number in range(1, count + 1)]


def subnets_of(region: str) -> tuple[str, ...]:
    """Name a region's subnets; each is a zone of its own."""
    return tuple(f"subnet-{REGIONS.index(region):04x}{zone:04x}" for zone in range(2))


@lru_cache(maxsize=4096)
def make_wanted(file: FleetFile, templates: Templates) -> Wanted:
    """Return the whole of what this fleet file wants."""
    return Wanted(_make_spec(file), _network(), templates)


def _make_spec(file: FleetFile) -> FleetSpec:
    releases = GOOD_RELEASES | BAD_RELEASES | UNVERIFIABLE | MISLABELLED
    return FleetSpec.model_validate(
        {
            "fleet": FLEET,
            "network": {"name": "testing", "magic": 42, "folder": "network"},
            "releases": {
                version: {"x86_64": {"url": f"https://releases.example/{version}.tar.gz", "sha256": sha256}}
                for version, sha256 in releases.items()
            },
            "release": file.release,
            "cloud": {"kind": "aws"},
            "regions": {
                region: {
                    "count": count,
                    "image": "ami-0123456789abcdef0",
                    "instance_type": "r6a.large",
                    "subnets": subnets_of(region),
                }
                for region, count in file.counts
            },
            "partners": tuple(
                {"name": name, "address": f"192.0.2.{number + 1}"}
                for number, name in enumerate(PARTNERS[: file.partners])
            ),
            "connections": {"soft_limit": file.soft_limit, "hard_limit": 400},
            "rollout": {
                "max_unavailable": file.max_unavailable,
                "max_unavailable_per_region": file.max_unavailable_per_region,
                "replace_after": f"{file.replace_after}s",
            },
            "controller": {"look_every": f"{file.look_every}s"},
            "ssh": {"allowed_from": ("192.0.2.0/24",)},
        }
    )


@lru_cache(maxsize=1)
def _network() -> NetworkFiles:
    genesis = {f"{era}-genesis.json": "{}" for era in ("byron", "shelley", "alonzo", "conway")}
    named = ", ".join(
        f'"{era.title()}GenesisFile": "{era}-genesis.json"' for era in ("byron", "shelley", "alonzo", "conway")
    )
    return NetworkFiles(
        config_json=f'{{{named}, "Protocol": "Cardano"}}', genesis=genesis, peer_snapshot=None, digest="e" * 64
    )
