"""What the oracle holds of rollouts: who may be made what, when. Shares no code with the planner, and sees the world alone.

What a node is made with (its *make*: release, settings, image, instance type) is read from its host. From the fleet file come how many
canaries there are, how long they and the others bake, in which order regions go, and how long a relay drains. From that alone
follows, whenever a relay is deployed with another make than it had:

1. *Canaries.* A make is proven once every wanted relay that it was given to has served with it for `canary_bake` without a break, in
   looks that could tell. Until then at most `canaries` relays have it (without canaries: of those taken out of service for it, one wave's
   worth, a third of each region (or its `wave_share`) and at least one; by region: of the largest). What the first relays of a fleet are made with needs no proof.
2. *Waves.* Of the relays that were taken out of service for a make, at most a third of their region (or its `wave_share`), but at least one, have not
   served with it for `bake` without a break; by region, they are all of one region. A make that the whole fleet has served with
   before is free of that, and so are the way back to something else than the wish, and a relay that is down anyway.
3. *Failures.* Once a relay has visibly failed for what its release does (below), nobody further is given that make, whatever the way,
   until an operator says `resume` or `retry`. The failed relay itself may be started again with it.
4. *Orders.* After `pause` or `halt` no relay that serves is made what the fleet file asks for, until `resume`, `retry`, or another wish.
5. *Partners.* While a partner that was asked does not answer, no relay that serves is given a make that most of the fleet has not served with.
6. *Drain.* A relay that serves is stopped only when it has not been published for `drain_time`.

A failure is visible when looks have inspected the relay's host for long enough since it began: see `failures.py`. Rules are judged by what there
was at the look by which an effect was decided, with the exceptions of `oracle.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchestrator.fleet.observation import InstanceState
from orchestrator.fleet.rollout import Verb
from orchestrator.simulation.failures import VisibleFailures
from orchestrator.simulation.glance import Glance
from orchestrator.simulation.machines import SimulatedHost
from orchestrator.simulation.rules import Make, Rules
from orchestrator.simulation.world import World


@dataclass(slots=True)
class WaveRules:
    """Keeps what it needs to judge, and tells of breaches."""

    world: World
    tell: Callable[[str], None]
    given: dict[str, Make] = field(default_factory=dict)
    """Relay → what its host was last deployed with."""
    taken: dict[str, tuple[Make, timedelta]] = field(default_factory=dict)
    """Relay → what it was taken out of service for and has not baked yet, and for how long it has to."""
    served_since: dict[str, tuple[Make, datetime]] = field(default_factory=dict)
    first: set[Make] = field(default_factory=set)
    """What relays were made with when nobody was made otherwise."""
    proven: set[Make] = field(default_factory=set)
    whole: set[Make] = field(default_factory=set)
    """What every wanted relay has served with at the same time."""
    known: set[Make] = field(default_factory=set)
    """What most wanted relays have served with at the same time."""
    failures: VisibleFailures = field(init=False)
    first_taken: dict[Make, set[str]] = field(default_factory=dict)
    """Who was taken out of service for a make since it was wished for, or since an operator let it go on."""
    born_bare: set[tuple[str, Make]] = field(default_factory=set)
    """What relays started with that were new when the fleet had never been whole with anything else, or opened a region: nobody's canaries."""
    stopped_at: datetime | None = None
    """When an operator said that nobody further is to be updated."""
    left_names_at: dict[str, datetime] = field(default_factory=dict)
    published: frozenset[str] = frozenset()
    largest: dict[str, int] = field(default_factory=dict)
    """Region → most relays that it was ever to have."""
    alike: bool = True
    """Whether all regions are to have the same image and instance type."""

    def __post_init__(self) -> None:
        self.failures = VisibleFailures(self.world)

    # --- what it is told ---------------------------------------------------------------------------------------------

    def note_rules(self, before: Rules, rules: Rules) -> None:
        """Another fleet file is in force; another wish ends what an operator had stopped."""
        if before.wish != rules.wish:
            self.stopped_at = None
            self.first_taken = {}
        # Who comes back after its host is gone is new, whatever it was in an earlier life.
        for relay in rules.wanted.keys() - before.wanted.keys() - self._current_hosts().keys():
            self.given.pop(relay, None)
        self.alike = all(made.image for made in rules.wish)
        for region in set(rules.wanted.values()):
            self.largest[region] = max(self.largest.get(region, 0), list(rules.wanted.values()).count(region))

    def note_order(self, verb: Verb) -> None:
        """Keep what an operator asked for."""
        if verb in (Verb.PAUSE, Verb.HALT):
            self.stopped_at = self.stopped_at or self.world.clock.now()
        if verb in (Verb.RESUME, Verb.RETRY):
            self.stopped_at = None
            self.first_taken = {}
            self.failures.forget()

    def note_published(self, names: frozenset[str]) -> None:
        """Keep since when relays are out of the names."""
        now = self.world.clock.now()
        for relay in self.published - names:
            self.left_names_at[relay] = now
        self.published = names

    def note_look(self, glance: Glance) -> None:
        """Keep who serves with what since when, and who can be seen to have failed."""
        now, rules = self.world.clock.now(), glance.rules
        current = self._current_hosts()
        answers = glance.serving | glance.told_to_serve
        for relay, host in current.items():
            made = self.running_make(host)
            if relay in answers:
                if self.served_since.get(relay, (None, now))[0] != made:
                    self.served_since[relay] = (made, now)
            elif relay in glance.inspected:
                self.served_since.pop(relay, None)
            if relay in glance.inspected:
                self.failures.note_look(host, made, rules)
        for relay, (made, bake) in list(self.taken.items()):
            if relay not in rules.wanted or self.given.get(relay) != made or self._has_baked(relay, made, bake):
                del self.taken[relay]
        self._note_proofs(rules)

    def _note_proofs(self, rules: Rules) -> None:
        given: dict[Make, list[str]] = {}
        for relay, made in self.given.items():
            if relay in rules.wanted:
                given.setdefault(made, []).append(relay)
        for made, relays in given.items():
            if all(self._has_baked(relay, made, rules.canary_bake) for relay in relays):
                self.proven.add(made)
            if made in self.first and any(self._has_baked(relay, made, timedelta()) for relay in relays):
                self.proven.add(made)
            serving = sum(self._has_baked(relay, made, timedelta()) for relay in relays)
            if serving == len(rules.wanted):
                self.whole.add(made)
            if 2 * serving > len(rules.wanted):
                self.known.add(made)

    def _has_baked(self, relay: str, made: Make, bake: timedelta) -> bool:
        served = self.served_since.get(relay)
        return served is not None and served[0] == made and self.world.clock.now() - served[1] >= bake

    # --- judgements --------------------------------------------------------------------------------------------------

    def judge_deploy(self, host: SimulatedHost, glance: Glance | None, decided: datetime, *, serves: bool) -> None:
        """Judge one relay that is about to start with what lies on its disk; `serves`: it is taken out of service for that."""
        relay, made = host.instance.relay, self.make_on_disk(host)
        before = self.given.get(relay)
        if before is None and self.whole <= self.failures.failed.keys():
            self.born_bare.add((relay, made))
        if glance is not None and relay in glance.rules.wanted:
            self._judge_failed(relay, made, before, decided, glance.rules)
            if before != made and (serves or glance.rules.canaries):
                self._judge_canaries(relay, made, glance.rules)
            if serves and self.running_make(host) != made:
                self._judge_orders(relay, made, decided, glance.rules)
                self._judge_partners(relay, made, glance)
                self._judge_waves(relay, made, glance.rules)
                self.taken[relay] = made, self._bake_of(relay, made, glance.rules)
                self.first_taken.setdefault(made, set()).add(relay)
        self.given[relay] = made

    def _judge_canaries(self, relay: str, made: Make, rules: Rules) -> None:
        counted = self.given if rules.canaries else {name: has for name, (has, _) in self.taken.items()}
        # What is on the disk of a stopped instance tries nothing.
        living = {
            host.instance.relay
            for host in self.world.hosts.values()
            if host.gone_at is None and host.files and host.instance.state is InstanceState.RUNNING
        }
        others = sorted(
            name
            for name, has in counted.items()
            if has == made and name in living & rules.wanted.keys() - {relay} and (name, made) not in self.born_bare
        )
        otherwise = [name for name, has in self._list_alive(rules).items() if has != made]
        if not otherwise or made in self.first:
            self.first.add(made)
            return
        most = rules.canaries or self._wave_worth(rules)
        if self._opens_region(relay, made, rules):
            self.born_bare.add((relay, made))
        elif made not in self.proven and len(others) >= most:
            self.tell(
                f"{relay} is given {self._name(made, rules)} though {len(others)} of {most} that may have it "
                f"({', '.join(others)}) have not served out their {rules.canary_bake.total_seconds():.0f} s"
            )

    def _opens_region(self, relay: str, made: Make, rules: Rules) -> bool:
        """Whether a region is new and known files go there: it has no image and type of its own that it could stay with."""
        region = rules.wanted[relay]
        here = {has for name, has in self.given.items() if rules.wanted.get(name) == region}
        known = {(other.release, other.settings) for other in self.first | self.proven}
        return here <= {made} and (made.release, made.settings) in known

    def _is_canary(self, relay: str, made: Make, rules: Rules) -> bool:
        """Whether a relay is among the first for a make since it was wished for, or since an operator let it go on."""
        return len(self.first_taken.get(made, set()) - {relay}) < rules.canaries

    def _bake_of(self, relay: str, made: Make, rules: Rules) -> timedelta:
        if made not in self.proven:
            return rules.canary_bake if rules.canaries else rules.bake
        # Whether it is one of a new wish's canaries, or goes with the first wave after those, cannot be seen.
        return min(rules.canary_bake, rules.bake) if self._is_canary(relay, made, rules) else rules.bake

    def _wave_worth(self, rules: Rules) -> int:
        shares = [self._share(region, rules) for region in set(rules.wanted.values())]
        return max(shares) if rules.by_region else sum(shares)

    def _share(self, region: str, rules: Rules) -> int:
        return rules.most_in_wave(self.largest.get(region, 0))

    def _judge_waves(self, relay: str, made: Make, rules: Rules) -> None:
        if made in self.whole or made not in rules.wish:
            return
        region = rules.wanted[relay]
        unbaked = sorted(
            name for name, (has, _) in self.taken.items() if has == made and name != relay and name in rules.wanted
        )
        here = [name for name in unbaked if rules.wanted[name] == region]
        if len(here) >= self._share(region, rules):
            self.tell(
                f"{relay} is taken for {self._name(made, rules)} though {', '.join(here)} of its region have not baked"
            )
        elsewhere = [name for name in unbaked if rules.wanted[name] != region]
        if rules.by_region and elsewhere and not self._is_canary(relay, made, rules):
            self.tell(
                f"{relay} is taken for {self._name(made, rules)} though {', '.join(elsewhere)} of another region have not baked"
            )

    def _judge_failed(self, relay: str, made: Make, before: Make | None, decided: datetime, rules: Rules) -> None:
        since, failed_on = self.failures.failed.get(made, (decided, ""))
        if set(self.given.values()) <= {made}:
            return  # nobody was ever given anything else: there is nothing to be kept from it
        if failed_on and since < decided and before != made:
            self.tell(f"{relay} is given {self._name(made, rules)}, which has failed on {failed_on}")

    def _judge_orders(self, relay: str, made: Make, decided: datetime, rules: Rules) -> None:
        if made in rules.wish and self.stopped_at is not None and self.stopped_at < decided:
            self.tell(f"{relay} is taken for {self._name(made, rules)} though an operator has stopped that")

    def _judge_partners(self, relay: str, made: Make, glance: Glance) -> None:
        awaited = {name for name in glance.partners_out if f"partner-out:{name}" not in glance.rules.confirmed}
        if awaited and made not in self.known | self.first:
            out = ", ".join(sorted(awaited))
            self.tell(f"{relay} is taken for {self._name(made, glance.rules)} though partners do not answer ({out})")

    def judge_drain(self, relay: str, rules: Rules) -> None:
        """Judge one relay that serves and is about to be stopped."""
        if rules.drain_time is None:
            return
        if relay in self.published:
            self.tell(f"{relay} is stopped while consumers find it")
            return
        since = self.left_names_at.get(relay)
        out_for = self.world.clock.now() - since if since is not None else rules.drain_time
        if out_for < rules.drain_time:
            self.tell(
                f"{relay} is stopped {out_for.total_seconds():.0f} s after it left the names, "
                f"not {rules.drain_time.total_seconds():.0f} s"
            )

    # --- the world ---------------------------------------------------------------------------------------------------

    def _current_hosts(self) -> Mapping[str, SimulatedHost]:
        """Return the host of each relay whose node was started last."""
        current: dict[str, SimulatedHost] = {}
        for host in self.world.hosts.values():
            if host.gone_at is None and host.node_started is not None:
                current[host.instance.relay] = host
        return current

    def _list_alive(self, rules: Rules) -> Mapping[str, Make]:
        """Return what every wanted relay whose node runs was started with."""
        current = self._current_hosts().items()
        alive = {relay: host for relay, host in current if relay in rules.wanted}
        return {
            relay: self.running_make(host)
            for relay, host in alive.items()
            if host.instance.state is InstanceState.RUNNING
        }

    def running_make(self, host: SimulatedHost) -> Make:
        """Return what a node was started with."""
        return Make(host.running_release, host.running_settings, *self._kind(host))

    def make_on_disk(self, host: SimulatedHost) -> Make:
        """Return what a node would start with."""
        return Make(host.release, host.settings, *self._kind(host))

    def _kind(self, host: SimulatedHost) -> tuple[str, str]:
        return (host.instance.image, host.instance.instance_type) if self.alike else ("", "")

    @staticmethod
    def _name(made: Make, rules: Rules) -> str:
        return f"{rules.versions.get(made.release, made.release[:8])} with soft limit {made.settings}"
