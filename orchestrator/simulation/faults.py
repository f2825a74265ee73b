"""What goes wrong in a simulated world, how long things take there, and how releases fail. Values; the world obeys them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from orchestrator.fleet.observation import Verdict


class ReleaseFault(StrEnum):
    """In which way a release is bad once it runs. All of them download, verify and unpack well."""

    NEVER_STARTS = "exits at each start"
    NEVER_LISTENS = "starts and never listens"
    HANGS = "accepts and never answers"
    WRONG_MAGIC = "answers for another network"
    FORKS = "builds on a chain of its own after a while"
    GOES_STALE = "stands still after a while"
    REPLAYS_LONG = "finds its chain unclean at each start, and replays long"


RESTART_AFTER = timedelta(seconds=30)
"""systemd starts a node anew so long after it has exited …"""

MOST_STARTS = 10
"""… and leaves it down after so many starts."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long things take in this world."""

    launch: timedelta = timedelta(seconds=2)
    boot: timedelta = timedelta(seconds=40)
    furnish: timedelta = timedelta(seconds=5)
    run: timedelta = timedelta(seconds=8)
    stage: timedelta = timedelta(seconds=30)
    stop: timedelta = timedelta(seconds=20)
    slow_stop: timedelta = timedelta(minutes=10)
    replay: timedelta = timedelta(seconds=60)
    """After a clean stop."""
    unclean_replay: timedelta = timedelta(minutes=3)
    """After a machine died under its node."""
    long_replay: timedelta = timedelta(minutes=20)
    """Of a release that replays long."""
    well: timedelta = timedelta(minutes=2)
    """For so long a node of a release that forks, or goes stale, serves before it does."""
    unseen: timedelta = timedelta()
    """How long a new instance is missing from the cloud's lists."""
    regain: timedelta = timedelta(seconds=30)
    """In how long the usual connections of others come back to a relay, or leave one that is out of the names."""
    handshake: timedelta = timedelta(milliseconds=40)
    """How long a relay takes to answer one."""


@dataclass(slots=True)
class Faults:
    """What goes wrong. Names are relays, or single instances where they boot or answer; empty sets mean that all is well."""

    unreachable: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    """Relays that answer SSH, and cannot be inspected."""
    never_boots: set[str] = field(default_factory=set)
    stage_fails: set[str] = field(default_factory=set)
    no_capacity: set[str] = field(default_factory=set)
    """Subnets."""
    launches_refused: set[str] = field(default_factory=set)
    """Regions in which a launch is refused, and not for want of room."""
    silent_regions: set[str] = field(default_factory=set)
    """Regions whose part of the cloud does not answer."""
    cut_regions: set[str] = field(default_factory=set)
    """Regions that nobody outside reaches, and that reach nobody outside."""
    wrong_key: set[str] = field(default_factory=set)
    error_after_launch: set[str] = field(default_factory=set)
    """Relays whose next launch happens, but is answered by an error."""
    slow_to_stop: set[str] = field(default_factory=set)
    slow_to_answer: set[str] = field(default_factory=set)
    """Relays whose handshakes take many times as long as usual."""
    lost_during: set[tuple[str, str]] = field(default_factory=set)
    """(intent, relay): the next such work on it breaks off before anything was done."""
    ansible_never_runs: bool = False
    saturated: set[str] = field(default_factory=set)
    """Relays or partners at their hard limit: connecting works, and the handshake never comes."""
    hanging: set[str] = field(default_factory=set)
    """Relays or partners that accept and never answer, with room for many more."""
    tells_no_points: set[str] = field(default_factory=set)
    """Relays or partners that tell their tip, and hang up before they answer about points."""
    unreachable_by_ssh: set[str] = field(default_factory=set)
    """Relays whose host does not answer the controller, and whose node does everybody else."""
    deaf_to_reload: set[str] = field(default_factory=set)
    """Relays whose node does not take up a topology that it is told to reload."""
    other_network: set[str] = field(default_factory=set)
    """Relays or partners whose handshake names another magic."""
    told_by_probe: dict[str, Verdict] = field(default_factory=dict)
    """Relay or partner → what its probe says, whatever is true; NOT_ASKED for a probe that is missing."""
    old_lists: timedelta = timedelta()
    """The cloud lists what it listed up to this long ago."""
    zone_silent: bool = False
    """The zone of the names cannot be read."""
    zone_refuses: bool = False
    """The zone of the names cannot be changed."""
    slow_work: float = 1.0
    """Works take this many times as long."""
    bad_releases: dict[str, ReleaseFault] = field(default_factory=dict)
    """By the checksum of the archive."""
    unverifiable: set[str] = field(default_factory=set)
    """Checksums of archives that are not what they should be: staging fails everywhere."""
    mislabelled: set[str] = field(default_factory=set)
    """Checksums of archives whose node says that it is another version: staging fails everywhere."""
