"""What an operator wants: the fleet file as frozen models.

The whole is here, with `policies.py`, and the JSON schema comes from it; what single values may be is in `fields.py`. Rules that
need several fields, other files or the place of an error in the text are in `rules.py`, `rules_regions.py` and `network.py`.
Durations are written as `90s`, `15m`, `2h`, `3d` in the file and are `timedelta` here. Sizes carry their unit in the name.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.spec.base import AccessPointSpec, Model
from orchestrator.spec.fields import (
    Architecture,
    Cidr,
    Count,
    Duration,
    Host,
    Image,
    InstanceType,
    Name,
    Port,
    Sha256,
    SshPublicKey,
    Subnet,
    Text,
    Url,
    UserName,
    Version,
)
from orchestrator.spec.policies import HealthSpec, PublishSpec, RolloutSpec, TrustSpec


class NetworkSpec(Model):
    """Which Cardano network the relays serve."""

    name: Name
    """mainnet, preprod, preview, or a name of your own."""
    magic: Annotated[int, Field(ge=0, le=4294967295)]
    """The network magic; for a known network's name it must be that network's."""
    folder: Text
    """Folder with config.json and the genesis files it names, relative to this file."""
    slot_zero: Annotated[int, Field(ge=0, le=2**40)] | None = None
    """Unix time of slot 0 counted in Shelley slots; needed only for a network with a Byron era that is not well known."""


class ArtifactSpec(Model):
    """One downloadable archive, pinned by its checksum."""

    url: Url
    """Where relays download it from; https, except in the lab."""
    sha256: Sha256
    """Checksum of the archive, 64 hexadecimal digits."""


class PortsSpec(Model):
    """Ports a relay listens on."""

    relay: Port = 3001
    """Node-to-node protocol, open to the world."""
    metrics: Port = 12798
    """Prometheus text, on the host's loopback only."""


class ConnectionsSpec(Model):
    """How many inbound connections a relay accepts (AcceptedConnectionsLimit)."""

    hard_limit: Annotated[int, Field(ge=1, le=60000)] = 1024
    """From here on the node stops accepting."""
    soft_limit: Annotated[int, Field(ge=1, le=60000)] = 768
    """From here on the node delays accepting; at most the hard limit."""
    delay_seconds: Annotated[int, Field(ge=0, le=600)] = 5
    """Longest delay between the two limits."""


class StaticHostSpec(Model):
    """A host that exists already; its key is pinned here, so the first contact is checked."""

    number: Annotated[int, Field(ge=1, le=99)]
    """Number of its relay within the region, kept for life: relay <fleet>-<region>-<number>."""
    retire: bool = False
    """True: stop the node and remove what is ours; afterwards the entry may be deleted."""
    address: Host
    """Where SSH and the relay port are reached."""
    host_key: SshPublicKey
    """The host's public SSH key (the line in its /etc/ssh/ssh_host_ed25519_key.pub)."""


class RegionSpec(Model):
    """One region of the fleet: how many relays, on what. A static region lists `hosts` instead of the cloud's fields."""

    count: Count | None = None
    """Wanted number of relays (aws); a static region has as many as it lists hosts."""
    image: Image | None = None
    """Debian 12 image to launch (aws)."""
    instance_type: InstanceType | None = None
    """Instance type (aws), e.g. r6a.large."""
    subnets: tuple[Subnet, ...] = ()
    """Subnets in different zones to spread the relays over (aws); they exist already."""
    disk_gib: Annotated[int, Field(ge=1, le=16384)] = 100
    """Size of the chain disk in GiB."""
    addresses: Literal["elastic", "ephemeral"] = "elastic"
    """Elastic addresses survive a relay's replacement; partners and consumers list them."""
    memory_gib: Annotated[int, Field(ge=1, le=1024)] = 16
    """Memory of one host in GiB; sizes the node's heap and MemoryMax."""
    cores: Annotated[int, Field(ge=1, le=256)] = 2
    """Cores of one host; sizes the node's capabilities (-N)."""
    architecture: Architecture = "x86_64"
    """Architecture of image and release."""
    hosts: tuple[StaticHostSpec, ...] = ()
    """Hosts that exist already (static)."""


class CloudSpec(Model):
    """Where hosts come from."""

    kind: Literal["aws", "static"]
    """aws launches instances; static uses the hosts that the regions list."""
    profile: Text | None = None
    """Named profile of the AWS configuration; absent: the default credential chain."""


class PartnerSpec(Model):
    """A relay of another organisation: peered with, probed, listed for consumers, not managed."""

    name: Name
    """Short name, shown in status."""
    address: Host
    """Its public address or DNS name."""
    port: Port = 3001
    """Its node-to-node port."""


class TopologySpec(Model):
    """How relays know each other and the outside."""

    neighbours: Annotated[int, Field(ge=1, le=20)] = 4
    """How many other relays of this fleet each relay names: more where connectivity needs it, fewer if there are not as many."""
    connectivity: Annotated[int, Field(ge=1, le=10)] = 3
    """The mesh stays in one piece when any connectivity - 1 of its relays are gone, partners not counted."""
    partners_per_relay: Annotated[int, Field(ge=1, le=20)] = 3
    """How many partners each relay names."""
    public_roots: tuple[AccessPointSpec, ...] = ()
    """Further sources of blocks, dialled while ledger peers are not in use."""
    use_ledger_after_slot: Annotated[int, Field(ge=-1)] = -1
    """-1: never use ledger peers; 0: always; above: from that slot on."""
    peer_snapshot: Text | None = None
    """File in the network folder with big ledger peers, written beside the topology."""


class SshSpec(Model):
    """How the controller reaches the hosts."""

    user: UserName = "admin"
    """Login with passwordless sudo; `admin` on Debian's cloud images."""
    private_key: Text = "~/.ssh/id_ed25519"
    """The controller's key, relative to this file or absolute; its public half lies beside it with `.pub`."""
    port: Port = 22
    """SSH port of the hosts."""
    allowed_from: tuple[Cidr, ...] = ()
    """Networks from which SSH is allowed; required for aws, and never the whole world."""


class ControllerSpec(Model):
    """Pace and memory of the controller."""

    store: Text | None = None
    """SQLAlchemy URL; absent: SQLite in `state/store.db` beside this file."""
    lease: Duration = timedelta(seconds=60)
    """How long the lease lasts without renewal; another controller waits as long after a crash."""
    look_every: Duration = timedelta(seconds=5)
    """How often to look while something is under way; after a slow look, at least a quarter of this passes before the next."""
    look_at_rest: Duration = timedelta(seconds=30)
    """How often `run` looks while nothing is under way; what operators ask is taken up at once."""
    forks: Annotated[int, Field(ge=1, le=200)] = 25
    """Hosts that Ansible works on side by side."""


class HardeningSpec(Model):
    """Settings of the unit that are not the same everywhere."""

    memory_deny_write_execute: bool = False
    """Untested with the Haskell runtime, hence off unless asked for."""


class FleetSpec(Model):
    """One fleet of one organisation."""

    fleet: Name
    """Name of the fleet; part of every relay's name and of every cloud tag."""
    lab: Name | None = None
    """Set only for a fleet that lives in a lab on this machine: the name of that lab."""
    network: NetworkSpec
    """The Cardano network."""
    releases: dict[Version, dict[Architecture, ArtifactSpec]]
    """Known node releases: version → architecture → archive."""
    release: Version
    """The wanted release; one of the above."""
    cloud: CloudSpec
    """Where the hosts of this fleet come from."""
    regions: dict[Name, RegionSpec]
    """The regions, by name; on aws these are AWS region names."""
    ports: PortsSpec = PortsSpec()
    """Ports of a relay."""
    connections: ConnectionsSpec = ConnectionsSpec()
    """Connection limits of a relay."""
    chain_source: Literal["genesis", "snapshot", "mithril"] = "genesis"
    """Where a new relay's chain comes from."""
    partners: tuple[PartnerSpec, ...] = ()
    """Relays of other organisations."""
    topology: TopologySpec = TopologySpec()
    """How relays know each other."""
    rollout: RolloutSpec = RolloutSpec()
    """How changes go through the fleet, and the disruption budget."""
    health: HealthSpec = HealthSpec()
    """When a relay serves."""
    trust: TrustSpec = TrustSpec()
    """When a relay is believed."""
    publish: PublishSpec = PublishSpec()
    """Where consumers find the fleet."""
    ssh: SshSpec = SshSpec()
    """Access to the hosts."""
    hardening: HardeningSpec = HardeningSpec()
    """Unit settings."""
    controller: ControllerSpec = ControllerSpec()
    """The controller itself."""

    def list_versions(self) -> dict[str, str]:
        """Return sha256 of an archive → version, of all known releases."""
        return {build.sha256: version for version, builds in self.releases.items() for build in builds.values()}

    def list_published_names(self) -> tuple[AccessPointSpec, ...]:
        """Return the names that consumers are given, with the port: those that the file lists, else the fleet's own."""
        if self.publish.names or self.publish.name is None:
            return self.publish.names
        return (AccessPointSpec(address=self.publish.name, port=self.ports.relay),)

    def relay_numbers(self, region: str) -> tuple[int, ...]:
        """Return the numbers of the relays a region wants: 1 to its count, or those of its hosts that stay."""
        wanted = self.regions[region]
        if self.cloud.kind == "static":
            return tuple(sorted(host.number for host in wanted.hosts if not host.retire))
        return tuple(range(1, (wanted.count or 0) + 1))

    def relay_count(self, region: str) -> int:
        """Return how many relays a region wants."""
        wanted = self.regions[region]
        return len(self.relay_numbers(region)) if self.cloud.kind == "static" else wanted.count or 0

    def most_out(self) -> int:
        """Return how many relays of the fleet may be out at once."""
        return self.rollout.most_out(sum(self.relay_count(region) for region in self.regions))

    def most_out_in(self, region: str) -> int:
        """Return how many relays of a region may be out at once; of one that is no longer in the file, as of one relay."""
        return self.rollout.most_out_of_region(self.relay_count(region) if region in self.regions else 1)


def allowed_networks(spec: FleetSpec) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks that may reach SSH, parsed."""
    return tuple(ip_network(cidr) for cidr in spec.ssh.allowed_from)
