"""Judges what controllers do to a simulated world. Shares no code with the planner, and sees neither plan nor record.

It is told of each effect just before it happens, of what the wire said in each look, of the fleet file that is in force,
and of who takes the lease. From the world it takes who serves. What it finds wrong is a breach, in one sentence.

What it does not hold against a controller, because nobody could have known better:

1. A relay that went out after the look by which an effect was decided, unless a controller's own hand took it out.
2. A relay whose probe said in that look that it serves, although it did not. It counts as serving.
3. The disturbance of a relay whose probe said in that look that it does not serve, although it did. It counts as out. A probe
   that is missing says nothing, and excuses nothing.
4. The disturbance of a relay that was on a chain or network of its own, until it has been seen to agree for as
   long as the fleet file asks, and is found by consumers again. It counts as out already, and rightly so.

For others, who is on the right chain is no question here: a relay on a branch serves. How a change goes through the
fleet is judged in `wave_rules.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.fleet.observation import HostFacts, HostView, InstanceState, Sighting, Verdict
from orchestrator.fleet.rollout import Verb
from orchestrator.simulation.chain import SLOTS_A_BLOCK
from orchestrator.simulation.glance import Glance
from orchestrator.simulation.machines import Effect, SimulatedHost
from orchestrator.simulation.rules import Rules
from orchestrator.simulation.wave_rules import WaveRules
from orchestrator.simulation.world import World


@dataclass(slots=True)
class Oracle:
    """Keeps what it needs to judge, and what it found."""

    world: World
    rules: Rules
    decided: datetime | None = None
    """When the work under way was started: its controller knew what it had seen by then."""
    by: Glance | None = None
    """The look by which it was decided; None while no work is under way."""
    acting: int = 0
    """Fencing token of the controller whose call this is."""
    highest: int = 0
    """Highest token that anybody took the lease with."""
    breaches: list[str] = field(default_factory=list)
    fewest: int | None = None
    """Fewest wanted relays that served in any look since the fleet was whole for the first time."""
    latest: Glance | None = None
    """The last look that anybody took."""
    taken: set[str] = field(default_factory=set)
    """Relays that a controller took out, and that have not served since."""
    tokens: dict[str, int] = field(default_factory=dict)
    """Highest token that worked on each host."""
    missed: dict[str, datetime] = field(default_factory=dict)
    """Since when each host has not answered, in looks in a row."""
    published: frozenset[str] = frozenset()
    apart: dict[str, datetime | None] = field(default_factory=dict)
    """Since when those that were on a chain or network of their own agree again; None if they do not."""
    inspected: frozenset[str] = frozenset()
    """Relays whose host told of itself just now."""
    waves: WaveRules = field(init=False)

    def __post_init__(self) -> None:
        self.waves = WaveRules(self.world, self._breach)
        self.waves.note_rules(self.rules, self.rules)

    # --- what it is told ---------------------------------------------------------------------------------------------

    def note_rules(self, rules: Rules) -> None:
        """Another fleet file is in force."""
        self.waves.note_rules(self.rules, rules)
        self.rules = rules

    def note_order(self, verb: Verb) -> None:
        """Keep what an operator asks for."""
        self.waves.note_order(verb)

    def note_hosts(self, views: Mapping[str, HostView]) -> None:
        """Keep which hosts told of themselves in the look that is under way."""
        told = [self.world.hosts[key] for key, view in views.items() if isinstance(view, HostFacts)]
        self.inspected = frozenset(host.instance.relay for host in told)

    def note_look(self, sightings: Mapping[str, Sighting]) -> None:
        """Keep what there is at the moment of a look."""
        now, serving = self.world.clock.now(), self.who_serves()
        self.taken -= serving
        told = frozenset(name for name, seen in sightings.items() if seen.verdict is Verdict.OK)
        self._note_missed(now)
        missing = frozenset(name for name, seen in sightings.items() if seen.verdict is Verdict.NOT_ASKED)
        apart, inspected = self._note_apart(told, now), self.inspected
        out = frozenset(name for name in self.rules.partners if not _is_there(sightings.get(name)))
        glance = Glance(self.rules, serving, told, missing, dict(self.missed), apart, inspected, out)
        self.latest, self.inspected = glance, frozenset()
        self.waves.note_look(glance)
        there = len(serving & self.rules.wanted.keys())
        if self.fewest is not None or there == len(self.rules.wanted):
            self.fewest = min(there, self.fewest if self.fewest is not None else there)

    def _note_missed(self, now: datetime) -> None:
        for key, host in self.world.hosts.items():
            if self.world.is_up(host):
                self.missed.pop(key, None)
            elif host.instance.state is InstanceState.RUNNING:
                self.missed.setdefault(key, now)

    def _note_apart(self, told: frozenset[str], now: datetime) -> frozenset[str]:
        """Name the relays that may be in quarantine, by what the world did to them."""
        world = self.world
        strays = {host.instance.relay for host in world.hosts.values() if world.is_of_other_network(host)}
        strays |= world.chain.branches.keys()
        for relay in self.rules.wanted:
            if relay in strays:
                self.apart[relay] = None
            elif relay in self.apart:
                since = self.apart[relay]
                if since is None or relay not in told:
                    self.apart[relay] = now if relay in told else None
                elif now - since > self.rules.return_after and relay in self.published:
                    del self.apart[relay]
        return frozenset(self.apart)

    def note_lease(self, token: int) -> None:
        """Keep who may act from now on."""
        self.acting = token
        self.highest = max(self.highest, token)

    def note_published(self, names: frozenset[str]) -> None:
        """Nothing is newly published that the wire did not show to serve."""
        glance = self._glance()
        wrong = sorted(names - self.published - glance.told_to_serve) if glance is not None else []
        if wrong:
            self._breach(f"newly published without serving: {', '.join(wrong)}")
        self.published = names
        self.waves.note_published(names)

    def witness(self, effect: Effect, host: SimulatedHost) -> None:
        """Judge one effect, just before it happens."""
        match effect:
            case Effect.WORK:
                self._judge_token(host)
            case Effect.START:
                self._judge_release(host)
            case Effect.DEPLOY:
                self._judge_deploy(host)
            case Effect.STOP:
                self._judge_stop(host)
            case Effect.TERMINATE:
                self._judge_lease(host)
                self._judge_end(host)
            case Effect.LAUNCH:
                self._judge_lease(host)

    # --- the world ---------------------------------------------------------------------------------------------------

    def who_serves(self) -> frozenset[str]:
        """Name the relays that answer with a fresh tip on this network."""
        return frozenset(host.instance.relay for host in self.world.hosts.values() if self.serves(host))

    def serves(self, host: SimulatedHost) -> bool:
        """Whether consumers can sync from this host, or could if it were less busy."""
        world, relay = self.world, host.instance.relay
        if host.gone_at is not None or host.instance.address is None or not world.serves(host):
            return False
        if host.instance.address not in world.addresses and any(
            of == relay and attached is not None for _, of, attached in world.addresses.values()
        ):
            return False  # an older generation: consumers find the relay's own address, and another host behind it
        if relay in world.faults.hanging or world.is_of_other_network(host):
            return False
        stalled = world.chain.stalled_at.get(relay)
        if stalled is None:
            return True
        tip = min(stalled, int(world.clock.now().timestamp())) // SLOTS_A_BLOCK * SLOTS_A_BLOCK
        return world.clock.now().timestamp() - tip <= self.rules.max_tip_age.total_seconds()

    # --- judgements --------------------------------------------------------------------------------------------------

    def _judge_deploy(self, host: SimulatedHost) -> None:
        glance = self._glance()
        serves = self.serves(host) and glance is not None and host.instance.relay in _blamable(glance)
        self.waves.judge_deploy(host, glance, self.decided or self.world.clock.now(), serves=serves)

    def _judge_stop(self, host: SimulatedHost) -> None:
        """Budget, draining, and last relay of a region, whenever a node that serves is told to stop."""
        instance, glance = host.instance, self._glance()
        others = frozenset(
            other.instance.relay for other in self.world.hosts.values() if other is not host and self.serves(other)
        )
        self.taken -= others | ({instance.relay} if self.serves(host) else frozenset())
        if not self.serves(host) or instance.relay in others:
            return
        if glance is not None and instance.relay in _blamable(glance):
            self.waves.judge_drain(instance.relay, glance.rules)
            self._judge_budget(host, others, glance)
            self._judge_region(host, others, glance)
            self.taken.add(instance.relay)  # else it is as if it had gone out by itself, just now

    def _judge_budget(self, host: SimulatedHost, others: frozenset[str], glance: Glance) -> None:
        """Who is out that the controller could know of, by exceptions 1 and 2, and this relay."""
        rules, relay = glance.rules, host.instance.relay
        knowable = (rules.wanted.keys() - glance.serving) | self.taken
        out = (rules.wanted.keys() & knowable) - others - (glance.told_to_serve - glance.serving)
        out |= self._leaving(rules) | {relay}
        here = {name for name in out if _region_of(name) == _region_of(relay)}
        if len(out) > rules.most_out:
            self._breach(
                f"{relay} is taken out though {len(out) - 1} of {rules.most_out} are out ({_names(out - {relay})})"
            )
        most_here = rules.most_out_in.get(host.instance.region, 1)
        if len(here) > most_here:
            self._breach(
                f"{relay} is taken out though {len(here) - 1} of {most_here} of its region are out "
                f"({_names(here - {relay})})"
            )

    def _judge_region(self, host: SimulatedHost, others: frozenset[str], glance: Glance) -> None:
        """A region goes dark only if that was confirmed; one of a single relay also while all others serve."""
        region, relay, rules = host.instance.region, host.instance.relay, glance.rules
        stays = region in rules.wanted.values()
        if list(rules.wanted.values()).count(region) == 1 and relay in rules.wanted:
            out = rules.wanted.keys() - {relay} - others - (glance.told_to_serve - glance.serving)
            stays = bool(out & ((rules.wanted.keys() - glance.serving) | self.taken)) or len(rules.wanted) == 1
        lies = glance.told_to_serve - glance.serving
        known = (glance.told_to_serve - (self.taken - lies)) | others
        if stays and f"dark-region:{region}" not in glance.rules.confirmed:
            here = {name for name in known - {relay} if _region_of(name) == _region_of(relay)}
            if not here:
                self._breach(f"{relay} is taken out, the last that serves in {region}")

    def _judge_token(self, host: SimulatedHost) -> None:
        key = host.instance.instance_id
        if host.token < self.tokens.get(key, 0):
            self._breach(f"{key} was worked on with token {host.token} after {self.tokens[key]}")
        self.tokens[key] = max(host.token, self.tokens.get(key, 0))

    def _judge_lease(self, host: SimulatedHost) -> None:
        if self.acting < self.highest:
            self._breach(
                f"the cloud was changed for {host.instance.relay} with token {self.acting}, after {self.highest} took the lease"
            )

    def _judge_release(self, host: SimulatedHost) -> None:
        if host.release not in host.staged or host.release not in self.rules.verified:
            self._breach(f"{host.instance.relay} starts release {host.release[:8]}…, which was never verified there")

    def _judge_end(self, host: SimulatedHost) -> None:
        """Nothing ends that was not stopped, unless it is dead or never was deployed."""
        if host.instance.state is not InstanceState.RUNNING or not host.files:
            return
        if host.node_started is None or self.world.exits(host):
            return
        glance, decided = self._glance(), self.decided or self.world.clock.now()
        since = glance.missed.get(host.instance.instance_id) if glance is not None else None
        if since is not None and glance is not None and decided - since >= glance.rules.replace_after:
            return
        self._breach(f"{host.instance.instance_id} of {host.instance.relay} is ended while its node runs")

    def _leaving(self, rules: Rules) -> set[str]:
        """Name relays that nobody wants any more and whose node is on its way down by a controller's hand."""
        return {
            host.instance.relay
            for host in self.world.hosts.values()
            if host.node_stops_at is not None
            and self.world.clock.now() < host.node_stops_at
            and host.gone_at is None
            and host.instance.relay not in rules.wanted
            and host.instance.relay in self.taken
        }

    def _glance(self) -> Glance | None:
        """Return what was there at the last look by which this effect was decided."""
        return self.by or self.latest

    def _breach(self, text: str) -> None:
        self.breaches.append(text)


def _blamable(glance: Glance) -> frozenset[str]:
    """Name the relays whose disturbance is held against a controller: not those of exceptions 3 and 4."""
    return (glance.told_to_serve | glance.not_told) - glance.apart


def _is_there(sighting: Sighting | None) -> bool:
    return sighting is None or sighting.verdict in (Verdict.OK, Verdict.STALE_TIP, Verdict.NOT_ASKED)


def _region_of(relay: str) -> str:
    return relay.rpartition("-")[0]


def _names(relays: Collection[str]) -> str:
    return ", ".join(sorted(relays))
