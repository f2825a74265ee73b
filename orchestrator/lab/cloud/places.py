"""Which regions, zones, subnets and images the lab's cloud has, by ids that never change.

An id depends on the region's (and zone's) name alone, so that a committed fleet file can name it on every machine.
Nothing here knows an address: ranges differ from lab to lab.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

LAB_REGIONS = ("eu-central-1", "us-east-1", "ap-southeast-1", "sa-east-1")
"""The regions of the committed lab fleet; a lab may be started with others."""

ZONES_PER_REGION = 3

HOSTED_ZONE = "Z0" + sha256(b"genesis-fleet lab hosted zone").hexdigest()[:18].upper()
"""Id of the hosted zone for all names of a lab's fleets."""

# Most regions count a, b, c; the real names matter, because the API refuses any other.
_ZONE_LETTERS = {"ap-northeast-1": "acd", "ca-central-1": "abd", "us-west-1": "ab", "cn-north-1": "ab"}


@dataclass(frozen=True, slots=True)
class Zone:
    """One availability zone and the only subnet that the lab has in it."""

    name: str
    subnet_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """What exists in one region before anybody asks for anything."""

    region: str
    vpc_id: str
    image_id: str
    zones: tuple[Zone, ...]


def plan_place(region: str) -> Place:
    """Describe the lab's part of one region; the same answer in every lab."""
    names = [region + letter for letter in _ZONE_LETTERS.get(region, "abc")[:ZONES_PER_REGION]]
    return Place(
        region=region,
        vpc_id=_stable_id("vpc", region),
        image_id=_stable_id("ami", region),
        zones=tuple(Zone(name, _stable_id("subnet", name)) for name in names),
    )


def _stable_id(kind: str, name: str) -> str:
    """Make an id of AWS's shape (17 hexadecimal digits, the first one 0) from a name."""
    return f"{kind}-0{sha256(f'genesis-fleet lab {kind} {name}'.encode()).hexdigest()[:16]}"
