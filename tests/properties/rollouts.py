"""Looks at a fleet in the middle of a rollout, with anything about it changed: what relays run, what was seen, what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import (
    HostFacts,
    HostView,
    InFlight,
    InstanceState,
    Sighting,
    UnitState,
    Unreachable,
    Verdict,
)
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import (
    Failure,
    Order,
    Restart,
    Rollout,
    RolloutRecord,
    RolloutState,
    Settling,
    Verb,
)
from orchestrator.planning.look import Look, Wanted
from tests.upgrades import (
    COUNTS,
    NAMES,
    NEW,
    OLD,
    STAGED,
    bundle_of,
    digest_of,
    rendered,
    running,
    serving_look,
    target_of,
    wants,
)

POLICIES: list[dict[str, object]] = [
    {},
    {"max_unavailable": 3, "max_unavailable_per_region": 2},
    {"canaries": 0, "bake": None, "drain_time": None, "healthy_looks": 1},
    {"canaries": 2, "on_failure": "rollback", "order": "by-region", "max_unavailable": "25%"},
]


@cache
def wants_by(release: str, policy: int) -> Wanted:
    """The fleet file with this release and one of the policies."""
    return wants(release, POLICIES[policy])


releases = st.sampled_from([OLD, OLD, NEW])
times = st.sampled_from([timedelta(seconds=seconds) for seconds in (0, 10, 130, 400, 700, 7200)])
verdicts = st.sampled_from(
    [Verdict.OK] * 8 + [Verdict.STALE_TIP, Verdict.REFUSED, Verdict.NOT_ASKED, Verdict.WRONG_MAGIC]
)
units = st.sampled_from([UnitState.ACTIVE] * 8 + [UnitState.FAILED, UnitState.ACTIVATING, UnitState.INACTIVE])
signals = st.sampled_from(["", "tip age", "handshake", "restarts", "inbound connections", "agreement"])


class BriefLook(Look):
    """A look that shows what is unusual about it, rather than all there is."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self.tell())

    def tell(self) -> str:
        kept = self.record.rollout
        lines = [f"wants {self.spec.release}, {self.spec.rollout}", f"current {kept.current}"]
        for instance in self.seen.cloud.instances:
            name, host = instance.relay, self.seen.hosts.get(instance.instance_id)
            facts = host if isinstance(host, HostFacts) else None
            runs = facts.release[:1] if facts else type(host).__name__
            unit = facts.unit if facts else ""
            wire = self.seen.sightings[name].verdict
            marks = [
                kept.settling.get(name),
                kept.restarts.get(name),
                kept.draining.get(name),
                self.seen.in_flight.get(name),
            ]
            lines.append(f"{name} {instance.state} {runs} {unit} {wire} {[mark for mark in marks if mark]}")
        lines += [f"failures {kept.failures}", f"orders {self.record.orders}", f"attempts {self.record.attempts}"]
        lines.append(f"bundles {list(self.record.bundles)}; published {sorted(self.record.evidence.published)}")
        return "\n".join(lines)


@st.composite
def rollouts(draw: st.DrawFn, wish: str, now: datetime) -> Rollout:
    """A rollout to one of the releases, whether it is the wish or one that is superseded, in any state."""
    to = draw(st.sampled_from([wish, wish, wish, wish, NEW, OLD]))
    order = draw(st.permutations(NAMES))
    cuts = sorted(draw(st.sets(st.integers(1, len(NAMES) - 1), max_size=4)))
    waves = tuple(tuple(sorted(order[a:b])) for a, b in zip([0, *cuts], [*cuts, len(NAMES)], strict=True))
    good = draw(st.sampled_from([OLD, OLD, OLD, NEW, None]))
    failed = draw(st.sets(st.sampled_from(NAMES), max_size=2))
    return Rollout(
        target=target_of(to),
        version=to,
        started_at=now - timedelta(hours=3),
        state=draw(st.sampled_from(RolloutState)),
        wish=dict.fromkeys(COUNTS, digest_of(to)),
        good=dict.fromkeys(COUNTS, digest_of(good)) if good else {},
        waves=draw(st.sampled_from([waves, waves, waves, ()])),
        canaries=draw(st.sampled_from([1, 1, 0])),
        failed=dict.fromkeys(sorted(failed), "as recorded"),
        vouched=frozenset(draw(st.sets(st.sampled_from(NAMES), max_size=1))),
    )


@st.composite
def settlings(draw: st.DrawFn, now: datetime) -> Settling:
    looks = draw(st.integers(0, 3))
    compared = draw(st.sampled_from([0, 5, 5]))
    unmeasured, worse = draw(signals), draw(signals)
    kinds = ("tip age", "handshake", "restarts", "inbound connections", "agreement")
    return Settling(
        digest=digest_of(draw(st.sampled_from([NEW, NEW, OLD]))),
        since=now - draw(times),
        looks=looks,
        compared=compared,
        measured={kind: compared for kind in kinds if kind != unmeasured},
        worse={kind: compared if kind == worse else 0 for kind in kinds if kind != unmeasured},
        settled=looks == 3 and draw(st.booleans()),
    )


@st.composite
def restarts(draw: st.DrawFn, now: datetime) -> Restart:
    at = now - draw(times)
    return Restart(
        digest=digest_of(draw(st.sampled_from([NEW, NEW, OLD]))),
        at=at,
        inbound=draw(st.sampled_from([None, 20])),
        served_at=draw(st.sampled_from([None, at, now])),
    )


orders = st.builds(
    Order,
    number=st.just(1),
    verb=st.sampled_from(Verb),
    user=st.just("ops"),
    reason=st.just("because"),
    at=st.just(serving_look().now),
    relay=st.sampled_from(NAMES),
)


def some(draw: st.DrawFn, made: st.SearchStrategy[Any], most: int = 5) -> dict[str, Any]:
    """A few relays, each with something."""
    return {name: draw(made) for name in sorted(draw(st.sets(st.sampled_from(NAMES), max_size=most)))}


@st.composite
def records(draw: st.DrawFn, wish: str, now: datetime) -> RolloutRecord:
    failed = draw(st.sampled_from([None, None, NEW]))
    return RolloutRecord(
        current=draw(st.one_of(rollouts(wish, now), rollouts(wish, now), st.none())),
        settling=some(draw, settlings(now)),
        restarts=some(draw, restarts(now)),
        draining=some(draw, times.map(lambda since: now - since), 2),
        failures={digest_of(failed): Failure(digest_of(failed), failed, NAMES[0], "as recorded", now)}
        if failed
        else {},
        durations=draw(st.sampled_from([(), (30.0, 40.0, 50.0)])),
    )


@st.composite
def looks(draw: st.DrawFn, states: Sequence[RolloutState] = ()) -> Look:
    """Any look at a fleet of which some relays run the new release.

    With `states` it is on its way from OLD to NEW, in one of these, and both are kept.
    """
    base = serving_look()
    wish = NEW if states else draw(st.sampled_from([NEW, NEW, NEW, OLD]))
    now = base.now + timedelta(hours=draw(st.sampled_from([0, 9])))
    hosts: dict[str, HostView] = {}
    sightings = dict(base.seen.sightings)
    instances, in_flight = [], {}
    troubled = draw(st.sets(st.sampled_from(NAMES), max_size=draw(st.sampled_from([0, 2, 2, 4]))))
    staged = draw(st.sampled_from([STAGED, STAGED, STAGED - {"b" * 64}]))
    for instance in base.seen.cloud.instances:
        name, facts, state = instance.relay, base.seen.hosts[instance.instance_id], InstanceState.RUNNING
        assert isinstance(facts, HostFacts)
        runs = draw(releases)
        facts = replace(running(facts, rendered(runs)[name]), staged=staged, restarts=0)
        facts = replace(facts, metrics=NodeMetrics("new", inbound=draw(st.sampled_from([0, 20]))))
        hosts[instance.instance_id] = facts
        if name in troubled:
            unit = draw(units)
            facts = replace(facts, unit=unit, restarts=draw(st.sampled_from([None, 0, 4])))
            if unit is not UnitState.ACTIVE:
                facts = replace(facts, running_restart_digest="", running_reload_digest="")
            hosts[instance.instance_id] = draw(st.sampled_from([facts, facts, facts, Unreachable("no answer")]))
            sightings[name] = (
                replace(sightings[name], verdict=draw(verdicts)) if draw(st.booleans()) else Sighting(draw(verdicts))
            )
            state = draw(st.sampled_from([InstanceState.RUNNING] * 6 + [InstanceState.STOPPED]))
            if draw(st.integers(0, 3)) == 0:
                in_flight[name] = InFlight("deploy", now - timedelta(seconds=5), disturbs=True)
                del hosts[instance.instance_id]
        instances.append(replace(instance, state=state))
    partner = draw(st.sampled_from([Verdict.OK] * 5 + [Verdict.REFUSED]))
    sightings["alpha"] = replace(sightings["alpha"], verdict=partner)
    kept = draw(records(wish, now))
    if states:
        current = replace(
            draw(rollouts(wish, now)), target=target_of(NEW), version=NEW, good=dict.fromkeys(COUNTS, digest_of(OLD))
        )
        state = draw(st.sampled_from(states))
        failed = {} if state in (RolloutState.RUNNING, RolloutState.COMPLETE) else current.failed
        kept = replace(kept, current=replace(current, state=state, failed=failed))
    attempt = draw(
        st.sampled_from(
            [None] * 5 + [Attempt(NAMES[0], "stage", 4, now, "404"), Attempt(NAMES[1], "deploy", 4, now, "no")]
        )
    )
    bundles = (OLD, NEW) if states else draw(st.sampled_from([(OLD, NEW), (OLD, NEW), (OLD,), ()]))
    published = frozenset(draw(st.sampled_from([NAMES, NAMES, NAMES[2:]])))
    record = replace(
        base.record,
        rollout=kept,
        orders=tuple(draw(st.lists(orders, max_size=1))),
        attempts={(attempt.relay, attempt.intent): attempt} if attempt is not None else {},
        bundles={digest_of(release): bundle_of(release) for release in bundles},
        evidence=replace(base.record.evidence, published=published - kept.draining.keys()),
    )
    seen = replace(
        base.seen,
        cloud=replace(base.seen.cloud, instances=tuple(instances)),
        hosts=hosts,
        sightings=sightings,
        in_flight=in_flight,
    )
    return BriefLook(wants_by(wish, draw(st.integers(0, len(POLICIES) - 1))), seen, record, now)
