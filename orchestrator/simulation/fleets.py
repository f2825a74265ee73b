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


IMAGES = ("ami-0123456789abcdef0", "ami-0123456789abcdef1")

TYPES = ("r6a.large", "r6a.xlarge")


@dataclass(frozen=True, slots=True)
class Policy:
    """How a change goes through the fleet; times in seconds."""

    canaries: int = 1
    canary_bake: int | None = 30
    bake: int | None = 10
    order: str = "spread"
    healthy_looks: int = 2
    progress_deadline: int = 300
    slowest_restart: int | None = 20
    on_failure: str = "halt"
    drain_time: int | None = None
    drain_deadline: int = 60

    def __str__(self) -> str:
        return (
            f"{self.canaries} canaries for {self.canary_bake} s, the others for {self.bake} s, {self.order}, "
            f"on failure {self.on_failure}, drain {self.drain_time} s"
        )


@dataclass(frozen=True, slots=True)
class FleetFile:
    """What an operator may edit, as far as schedules edit it."""

    counts: tuple[tuple[str, int], ...]
    """(region, relays)."""
    release: str = "10.5.1"
    max_unavailable: int | str = 1
    max_unavailable_per_region: int | str = 1
    soft_limit: int = 200
    look_every: int = 5
    replace_after: int = 1800
    partners: int = 2
    image: str = IMAGES[0]
    instance_type: str = TYPES[0]
    policy: Policy = Policy()
    names: bool = False
    """Whether a zone is kept for it."""

    def __str__(self) -> str:
        where = ", ".join(f"{region} {count}" for region, count in self.counts)
        return (
            f"{where}; release {self.release}, soft limit {self.soft_limit}; may be out: {self.max_unavailable}, "
            f"{self.max_unavailable_per_region} a region; {self.partners} partners; {self.image} on {self.instance_type}; "
            f"{self.policy}{'; in the names' if self.names else ''}"
        )


def random_fleet(random: Random) -> FleetFile:
    """Return a fleet of two to four regions with one to four relays each."""
    regions = sorted(random.sample(REGIONS, random.choice((2, 2, 3, 4))))
    return FleetFile(
        counts=tuple(
            (region, random.choice((1, 2, 2, 3, 4, 6) if len(regions) < 4 else (1, 2, 2))) for region in regions
        ),
        max_unavailable=random.choice((1, 1, 2, 3, "30%", "50%")),
        max_unavailable_per_region=random.choice((1, 1, 2, "50%")),
        look_every=random.choice((5, 10, 20)),
        replace_after=random.choice((300, 1800)),
        partners=random.choice((2, 2, 3)),
        policy=_random_policy(random),
        names=random.choice((False, True)),
    )


def _random_policy(random: Random) -> Policy:
    return Policy(
        canaries=random.choice((0, 1, 1, 1, 2)),
        canary_bake=random.choice((None, 20, 60, 150)),
        bake=random.choice((None, 10, 10, 40)),
        order=random.choice(("spread", "spread", "by-region")),
        healthy_looks=random.choice((1, 2, 3)),
        progress_deadline=random.choice((120, 300, 900)),
        slowest_restart=random.choice((None, 4, 20)),
        on_failure=random.choice(("halt", "halt", "rollback")),
        drain_time=random.choice((None, None, 10, 30)),
        drain_deadline=random.choice((30, 60)),
    )


def edit_fleet(file: FleetFile, random: Random) -> FleetFile:
    """Return the fleet file after one edit."""
    match random.choice(
        (
            "release",
            "release",
            "release",
            "bad release",
            "bad release",
            "back",
            "count",
            "count",
            "config",
            "budget",
            "region",
            "image",
            "instance type",
        )
    ):
        case "release":
            return replace(file, release=random.choice([r for r in GOOD_RELEASES if r != file.release]))
        case "bad release":
            return replace(file, release=random.choice([*BAD_RELEASES, *UNVERIFIABLE, *MISLABELLED]))
        case "back":
            return replace(file, release="10.5.1", soft_limit=200, image=IMAGES[0], instance_type=TYPES[0])
        case "image":
            return replace(file, image=IMAGES[file.image == IMAGES[0]])
        case "instance type":
            return replace(file, instance_type=TYPES[file.instance_type == TYPES[0]])
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
                max_unavailable=random.choice((1, 2, 3, "40%")),
                max_unavailable_per_region=random.choice((1, 2, "50%")),
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
    policy = file.policy
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
                    "image": file.image,
                    "instance_type": file.instance_type,
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
                "canaries": policy.canaries,
                "canary_bake": _seconds(policy.canary_bake),
                "bake": _seconds(policy.bake),
                "order": policy.order,
                "healthy_looks": policy.healthy_looks,
                "progress_deadline": _seconds(policy.progress_deadline),
                "slowest_restart": policy.slowest_restart,
                "on_failure": policy.on_failure,
                "drain_time": _seconds(policy.drain_time),
                "drain_deadline": _seconds(policy.drain_deadline),
            },
            "publish": {"provider": "route53", "zone": "ZSIMULATED", "name": f"relays.{FLEET}.example", "ttl": "5s"}
            if file.names
            else {},
            "controller": {"look_every": f"{file.look_every}s"},
            "ssh": {"allowed_from": ("192.0.2.0/24",)},
        }
    )


def _seconds(value: int | None) -> str | None:
    return f"{value}s" if value is not None else None


@lru_cache(maxsize=1)
def _network() -> NetworkFiles:
    genesis = {f"{era}-genesis.json": "{}" for era in ("byron", "shelley", "alonzo", "conway")}
    named = ", ".join(
        f'"{era.title()}GenesisFile": "{era}-genesis.json"' for era in ("byron", "shelley", "alonzo", "conway")
    )
    return NetworkFiles(
        config_json=f'{{{named}, "Protocol": "Cardano"}}', genesis=genesis, peer_snapshot=None, digest="e" * 64
    )
