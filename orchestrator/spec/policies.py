"""Policies of the fleet file: how much may be out, who counts as serving, who is believed, who is published.

What follows from a policy is decided in `planning`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.spec.base import AccessPointSpec, Model
from orchestrator.spec.fields import Duration, Host, HostedZone, Port, Share, count_share


class RolloutSpec(Model):
    """How restarts and replacements go through the fleet, and how much may be out at once, for whatever reason."""

    max_unavailable: Share = 1
    """Relays that may be out at the same time in the whole fleet: a number, or a share such as 20%, rounded down, at least one."""
    max_unavailable_per_region: Share = 1
    """The same within one region; the last serving relay of a region that has others is never taken."""
    canaries: Annotated[int, Field(ge=0, le=10)] = 1
    """Relays that are updated before all others, each in another region, so at most as many as there are regions; 0: none."""
    canary_bake: Duration | None = timedelta(minutes=10)
    """How long canaries must serve, and be no worse than the others, before the others follow, from the first healthy look on; null: not at all."""
    bake: Duration | None = timedelta(minutes=2)
    """The same for each wave after them; null: not at all."""
    order: Literal["spread", "by-region"] = "spread"
    """spread: each wave takes some of every region; by-region: one region after another, the smallest first."""
    wave_share: Share | None = None
    """How many relays of one region go in one wave at most: a number, or a share, rounded down, at least one; null: a third. More than
    a third is at the operator's risk: what a wave breaks, it breaks on all of them, and who is near has nowhere near to turn to."""
    healthy_looks: Annotated[int, Field(ge=1, le=100)] = 3
    """Looks in a row in which an updated relay must serve before it counts as back."""
    progress_deadline: Duration = timedelta(minutes=15)
    """An updated relay that shows no progress for this long has failed; one that replays and gets on is waited for."""
    slowest_restart: Annotated[int, Field(ge=2, le=1000)] | None = 20
    """A relay that took this many times as long as relays took before until it served again has failed; null: never."""
    on_failure: Literal["halt", "rollback"] = "halt"
    """halt: the failed relay goes back, those updated before it stay; rollback: they all go back, under the same budget."""
    drain_time: Duration | None = timedelta(minutes=1)
    """How long a relay is out of the names, at least, before its node is stopped; null: it is stopped at once."""
    drain_connections: Annotated[int, Field(ge=0, le=60000)] = 5
    """A draining relay waits until no more than so many others are connected to it, besides the relays that name it …"""
    drain_deadline: Duration = timedelta(minutes=5)
    """… or until it has been draining for this long."""
    replace_after: Duration = timedelta(minutes=30)
    """A relay unreachable for longer than this, while others answer, counts as dead."""
    retry_after: Duration = timedelta(minutes=1)
    """Pause after the first failed attempt at something; doubles with each further one, up to 16 times."""
    boot_deadline: Duration = timedelta(minutes=10)
    """An instance that never answered within this time after its launch counts as dead."""

    def most_out(self, relays: int) -> int:
        """Return how many of so many relays of the fleet may be out at once."""
        return count_share(self.max_unavailable, relays)

    def most_out_of_region(self, relays: int) -> int:
        """Return how many of so many relays of one region may be out at once."""
        return count_share(self.max_unavailable_per_region, relays)


class HealthSpec(Model):
    """When a relay counts as serving."""

    max_tip_age: Duration = timedelta(minutes=5)
    """A tip older than this is stale; with 20 s between blocks, five minutes without one is 3 in 10 million."""
    probe_timeout: Duration = timedelta(seconds=10)
    """How long one step of a probe may take; the node's own limit in the handshake is 10 s."""
    slow_after: Duration = timedelta(seconds=2)
    """A relay whose answers take longer than this serves, and is named as slow."""


class TrustSpec(Model):
    """When a relay counts as being on the right chain. Trust needs partners: a fleet cannot vouch for itself."""

    fork_depth: Annotated[int, Field(ge=1, le=50)] = 5
    """A tip more than this many blocks past the newest point in common with the others is a fork; less is a slot battle."""
    fork_looks: Annotated[int, Field(ge=1, le=100)] = 3
    """Looks in a row, each with a new block of the others, until a fork counts as proven."""
    return_after: Duration = timedelta(minutes=5)
    """A quarantined relay comes back after having agreed with the others for this long."""


class ResolverSpec(Model):
    """A resolver to ask what consumers would be told."""

    address: Host
    """Its address."""
    port: Port = 53
    """Its port."""


class PublishSpec(Model):
    """Under which names consumers find this fleet, and how few relays may be left to find."""

    provider: Literal["none", "route53"] = "none"
    """route53: the records are kept in a hosted zone; none: `genesis-fleet names` prints what to enter elsewhere."""
    zone: HostedZone | None = None
    """Id of the hosted zone (route53); it exists already, and records of others in it are never touched."""
    name: Host | None = None
    """Name of the fleet, such as relays.example.org; its regions and relays have names below it."""
    ttl: Duration = timedelta(seconds=60)
    """How long an answer may be remembered; a relay that leaves is waited for at least as long."""
    resolver: ResolverSpec | None = None
    """Whom to ask what consumers are told; absent: this machine's own resolver."""
    names: tuple[AccessPointSpec, ...] = ()
    """DNS names of the fleet as a whole, given to consumers; without any: `name`, and without that the relays' addresses."""
    floor_percent: Annotated[int, Field(ge=0, le=100)] = 50
    """Lack of evidence never takes the published set below this share of the wanted relays."""
