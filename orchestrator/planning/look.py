"""One look: everything a decision may depend on, in one value that is passed down unchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.fleet.observation import HostFacts, HostView, Instance, InstanceState, Observation, Volume
from orchestrator.fleet.record import FleetRecord, LaunchIntent
from orchestrator.fleet.relay import Relay, wanted_relays
from orchestrator.planning.vantage import find_dark_regions
from orchestrator.rendering.values import NetworkFiles, Templates
from orchestrator.spec.model import FleetSpec


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted, whole: the fleet file, the network's files, the templates.

    What every look asks of it anew is found once; its hash, too: what follows from it alone is remembered by it.
    """

    spec: FleetSpec
    network: NetworkFiles
    templates: Templates
    relays: tuple[Relay, ...] = field(init=False, repr=False, compare=False)
    """The slots that the fleet file asks for, by region and index."""
    versions: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """Checksum of an archive → release, of all known releases."""
    fingerprint: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "relays", wanted_relays(self.spec))
        object.__setattr__(self, "versions", self.spec.list_versions())
        # Frozen models with dictionaries in them have no hash of their own; equal ones have the same text.
        object.__setattr__(self, "fingerprint", hash((self.spec.model_dump_json(), self.network.digest)))

    def __hash__(self) -> int:
        return self.fingerprint


GONE = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many instances are there, how many were asked, and how many of those answered."""

    present: int = 0
    asked: int = 0
    answering: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.present + other.present, self.asked + other.asked, self.answering + other.answering)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.present - other.present, self.asked - other.asked, self.answering - other.answering)


@dataclass(frozen=True, slots=True)
class Lookups:
    """What is asked of a look once a relay, found beforehand: a plan's time grows with the fleet, not with its square."""

    intents: Mapping[str, tuple[LaunchIntent, ...]]
    """By relay, oldest first."""
    volumes: Mapping[str, Volume]
    """By the instance they are attached to."""
    addressed: frozenset[str]
    """Instances that an elastic address points to."""
    listed: frozenset[str]
    """Instance ids that the cloud lists."""
    launch_tokens: frozenset[str]
    """Tokens with which listed instances were launched."""
    answers: Mapping[str, Tally]
    """By region."""
    address_owners: frozenset[str]
    """Relays with an elastic address of their own."""
    dark_regions: frozenset[str]
    """Regions that relays elsewhere have lost as well."""
    without_address: Mapping[str, int]
    """By region: instances, not gone, whose relay has no elastic address yet."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is wanted, seen, recorded, and when."""

    wanted: Wanted
    seen: Observation
    record: FleetRecord
    now: datetime
    spec: FleetSpec = field(init=False, repr=False, compare=False)
    """The fleet file."""
    by: Lookups = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", self.wanted.spec)
        object.__setattr__(self, "by", find_lookups(self.seen, self.record))


def tally(instances: Iterable[Instance], hosts: Mapping[str, HostView]) -> Tally:
    """Count those that are not gone."""
    ids = [instance.instance_id for instance in instances if instance.state not in GONE]
    asked = [hosts[instance_id] for instance_id in ids if instance_id in hosts]
    return Tally(len(ids), len(asked), sum(1 for host in asked if isinstance(host, HostFacts)))


def find_lookups(seen: Observation, record: FleetRecord) -> Lookups:
    """Walk every list once."""
    cloud = seen.cloud
    intents: dict[str, list[LaunchIntent]] = {}
    for intent in sorted(record.intents, key=lambda i: (i.generation, i.attempt)):
        intents.setdefault(intent.relay, []).append(intent)
    regions: dict[str, list[Instance]] = {}
    for instance in cloud.instances:
        regions.setdefault(instance.region, []).append(instance)
    owners = frozenset(address.relay for address in cloud.addresses)
    return Lookups(
        intents={relay: tuple(own) for relay, own in intents.items()},
        # The first that is listed counts, as for whoever walks the list.
        volumes={volume.attached_to: volume for volume in reversed(cloud.volumes) if volume.attached_to is not None},
        addressed=frozenset(a.attached_to for a in cloud.addresses if a.attached_to is not None),
        listed=frozenset(instance.instance_id for instance in cloud.instances),
        launch_tokens=frozenset(instance.launch_token for instance in cloud.instances),
        address_owners=owners,
        without_address=Counter(i.region for i in cloud.instances if i.state not in GONE and i.relay not in owners),
        dark_regions=find_dark_regions(seen),
        answers={region: tally(own, seen.hosts) for region, own in regions.items()},
    )
