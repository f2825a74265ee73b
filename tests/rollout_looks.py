"""A fleet in the middle of a rollout, made by hand: six relays in two regions; each test names only what matters to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.fleet.observation import CloudView, HostFacts, InFlight, Observation, Sighting, UnitState
from orchestrator.fleet.record import NO_EVIDENCE, Attempt, FleetRecord
from orchestrator.fleet.rollout import (
    NO_ROLLOUT,
    Bundle,
    Order,
    Restart,
    Rollout,
    RolloutRecord,
    RolloutState,
    Settling,
    Verb,
)
from orchestrator.planning.comparison import Signals
from orchestrator.planning.course import Situation
from orchestrator.planning.footing import Footing
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.planning.trust import Judgement, Stand
from orchestrator.planning.wish import take_up_wish
from orchestrator.planning.wished import Wished
from orchestrator.rendering.bundle import render_bundle
from orchestrator.rendering.values import RenderedRelay
from tests.rendering_builders import rendered
from tests.scenarios.builders import fleet_spec, wanted

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

EU1, EU2, EU3 = (f"demo-eu-{number:02d}" for number in (1, 2, 3))
US1, US2, US3 = (f"demo-us-{number:02d}" for number in (1, 2, 3))
EVERYBODY = (EU1, EU2, EU3, US1, US2, US3)
FLEET = {"eu": 3, "us": 3}

OLD, NEW = "old-digest", "new-digest"
WAVES = ((EU3,), (EU1, US1), (EU2, US2), (US3,))
"""A canary and three waves."""

NETWORK = "d1" * 32
"""Digest of the network folder with which bundles are made here."""

CALM = Judgement({}, {}, None, (), None, NO_EVIDENCE)
"""Nobody is known to be on another chain."""

SOUND = Signals(tip_age_seconds=10, handshake_seconds=0.1, restarts=0, inbound=20, stand=Stand.AGREES)


def make_facts(**changes: object) -> HostFacts:
    """A host on which nothing is missing."""
    facts = HostFacts(
        token=1,
        working="",
        host_key="ssh-ed25519 own",
        one_time_key_wiped=True,
        prepared="baseline",
        staged=frozenset(),
        release="a" * 64,
        files={},
        unit=UnitState.ACTIVE,
        unit_enabled=True,
        running_restart_digest="",
        running_reload_digest="",
        clean_marker=True,
        restarts=0,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


FACTS = make_facts()


def footing(
    name: str,
    runs: str = OLD,
    *,
    wish: str = NEW,
    health: Health = Health.HEALTHY,
    phase: Phase | None = None,
    facts: HostFacts | None = FACTS,
    signals: Signals = SOUND,
    reason: str = "as seen",
) -> Footing:
    """A relay that serves, on what was wanted before unless told otherwise."""
    usual = {Health.HEALTHY: Phase.SERVING, Health.UNHEALTHY: Phase.SYNCING, Health.UNKNOWN: Phase.UNKNOWN}
    region = name.removeprefix("demo-").rpartition("-")[0]
    view = RelayView(name, region, phase or usual[health], health, reason)
    return Footing(name, region, wish, runs, view, facts, signals)


def silent(name: str) -> Footing:
    """A relay that could not be asked."""
    return footing(name, "", health=Health.UNKNOWN, facts=None)


def fleet(*footings: Footing, others: str = OLD) -> dict[str, Footing]:
    """These relays, and all others as they serve on the given digest."""
    return {name: footing(name, others) for name in EVERYBODY} | {f.name: f for f in footings}


def make_look(
    record: RolloutRecord = NO_ROLLOUT,
    *,
    counts: dict[str, int] = FLEET,
    policy: Mapping[str, object] | None = None,
    after: timedelta = timedelta(),
    orders: Iterable[Order] = (),
    attempts: Iterable[Attempt] = (),
    bundles: Iterable[Bundle] = (),
    in_flight: Iterable[str] = (),
    sightings: Mapping[str, Sighting] | None = None,
    confirmed: Iterable[str] = (),
    published: Iterable[str] = (),
) -> Look:
    """A look at nothing but what was asked for."""
    spec = fleet_spec(counts, release="10.6.0", rollout=dict(policy or {}))
    work = {name: InFlight("deploy", NOW, disturbs=True) for name in in_flight}
    kept = FleetRecord(
        "store",
        "demo",
        42,
        rollout=record,
        orders=tuple(orders),
        attempts={(a.relay, a.intent): a for a in attempts},
        bundles={bundle.digest: bundle for bundle in bundles},
        confirmed_retirements=frozenset(confirmed),
        evidence=replace(NO_EVIDENCE, published=frozenset(published)),
    )
    return Look(wanted(spec), Observation(CloudView(), {}, sightings or {}, work), kept, NOW + after)


def make_rollout(state: RolloutState = RolloutState.RUNNING, **changes: object) -> Rollout:
    """From OLD to NEW, with a canary."""
    rollout = Rollout(
        target="target",
        version="10.6.0",
        started_at=NOW,
        state=state,
        wish=dict.fromkeys(FLEET, NEW),
        good=dict.fromkeys(FLEET, OLD),
        waves=WAVES,
        canaries=1,
    )
    return replace(rollout, **changes)  # type: ignore[arg-type]


def wished(state: RolloutState = RolloutState.RUNNING, record: RolloutRecord = NO_ROLLOUT, **changes: object) -> Wished:
    """The same as it is handed on within a look."""
    return Wished(make_rollout(state, **changes), record)


def settled(*names: str, digest: str = NEW) -> dict[str, Settling]:
    """Relays that have served out their bake."""
    return {name: Settling(digest, NOW, looks=3, settled=True) for name in names}


def told(*names: str, digest: str = NEW, at: datetime = NOW) -> dict[str, Restart]:
    """Relays that were told to restart."""
    return {name: Restart(digest, at) for name in names}


def order(number: int, verb: Verb, relay: str = "") -> Order:
    """What ops asked for."""
    return Order(number, verb, "ops", "because", NOW, relay)


def make_bundle(digest: str, version: str = "10.5.1", made_of: RenderedRelay | None = None) -> Bundle:
    """What is kept of a digest."""
    return Bundle(digest, version, "", "", render_bundle(made_of or rendered()))


def situation(
    footings: Mapping[str, Footing] | None = None,
    state: RolloutState = RolloutState.RUNNING,
    *,
    open_wave: int | None = 0,
    record: RolloutRecord | None = None,
    stopped: str | None = None,
    passes: bool = False,
    bundles: Iterable[str] = (OLD, NEW),
    network: str = NETWORK,
    **changes: object,
) -> Situation:
    """A rollout whose wave 0 (the canary) is open; who is in an earlier wave has settled."""
    footings = footings or fleet()
    before = [name for wave in WAVES[: open_wave if open_wave is not None else None] for name in wave]
    record = record or RolloutRecord(settling=settled(*before), restarts=told(*before))
    made = wished(state, record, **changes)
    waves = tuple(tuple(name for name in wave if name in footings) for wave in made.rollout.waves)
    kept = {digest: make_bundle(digest) for digest in bundles}
    return Situation(made, waves, open_wave, footings, kept, network, stopped, passes)


def take_up(
    record: RolloutRecord = NO_ROLLOUT,
    footings: Mapping[str, Footing] | None = None,
    *,
    bundles: Iterable[str] = (OLD, NEW),
    **look: Any,
) -> Wished:
    """What becomes of the rollout at a look at these relays."""
    made = make_look(record, bundles=map(make_bundle, bundles), **look)
    return take_up_wish(footings or fleet(), {}, record, made)


TARGET = take_up().rollout.target


def under_way(
    state: RolloutState = RolloutState.RUNNING, *, record: RolloutRecord = NO_ROLLOUT, **changes: object
) -> RolloutRecord:
    """The rollout to what `fleet()` wishes for."""
    return replace(record, current=make_rollout(state, target=TARGET, **changes))


def before(state: RolloutState, **changes: object) -> RolloutRecord:
    """The rollout of an earlier wish, to OLD unless told otherwise."""
    usual: dict[str, object] = {
        "target": "earlier",
        "version": "10.5.1",
        "wish": dict.fromkeys(("eu", "us"), OLD),
        "good": {},
    }
    return RolloutRecord(make_rollout(state, **{**usual, **changes}))


def told_of(found: Wished) -> list[str]:
    """What the history is told."""
    return [event.what for event in found.events]
