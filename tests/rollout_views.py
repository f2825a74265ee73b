"""Rollouts as a plan shows them, made by hand: each test names only what matters to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from orchestrator.execution.cycle import Round
from orchestrator.fleet.rollout import Order, Rollout, RolloutRecord, RolloutState, Verb
from orchestrator.planning.rollout_view import Progress, RelayProgress, RolloutView, Wave

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

REGIONS = ("ap-southeast-1", "eu-central-1", "sa-east-1", "us-east-1")
RELAYS = tuple(f"demo-{region}-{number:02d}" for number in range(1, 6) for region in REGIONS)

WAVES = (
    Wave("canary", RELAYS[:1], "the region that serves fewest consumers"),
    Wave("wave 1", RELAYS[1:5], "one of each region, no two that name each other"),
    Wave("wave 2", RELAYS[5:10], "a third of each region at most"),
    Wave("wave 3", RELAYS[10:15], "a third of each region at most"),
    Wave("wave 4", RELAYS[15:], "what is left"),
)

CANARY, BAKES, RESTARTS, NEXT, WAITS = RELAYS[:5]

WAITING = RelayProgress(Progress.WAITS, "waits for wave 1 to end")

UNDER_WAY = {
    CANARY: RelayProgress(Progress.DONE, "serves since 12:03 UTC"),
    BAKES: RelayProgress(Progress.BAKES, "bakes for 3 of 10 min; no worse than 14 others in 5 of 5 signals"),
    RESTARTS: RelayProgress(Progress.RESTARTS, "replayed 40 %, 2 min after it stopped"),
    NEXT: RelayProgress(Progress.NEXT, f"2 of 2 relays that may be out are out ({BAKES}, {RESTARTS})"),
}


def rollout_view(
    relays: Mapping[str, RelayProgress] | None = None, state: str = RolloutState.RUNNING, **changes: object
) -> RolloutView:
    """A rollout of twenty relays whose first wave after the canary is under way."""
    known = {**dict.fromkeys(RELAYS, WAITING), **(UNDER_WAY if relays is None else relays)}
    view = RolloutView("11.0.1", state, "", WAVES, known, 1, timedelta(minutes=42), 2)
    return replace(view, **changes)  # type: ignore[arg-type]


def complete_view() -> RolloutView:
    """The same at its end."""
    done = dict.fromkeys(RELAYS, RelayProgress(Progress.DONE, "serves"))
    return rollout_view(done, RolloutState.COMPLETE, open_wave=None, left=timedelta(), out_at_most=0)


def rollout_record(state: RolloutState = RolloutState.RUNNING, **changes: object) -> RolloutRecord:
    """What the store keeps of one."""
    waves = tuple(wave.relays for wave in WAVES)
    current = Rollout(
        "d" * 64, "11.0.1", AT, state, wish={"europe": "d" * 64}, good={"europe": "e" * 64}, waves=waves, canaries=1
    )
    return RolloutRecord(replace(current, **changes))  # type: ignore[arg-type]


def make_order(number: int, verb: Verb = Verb.PAUSE, relay: str = "") -> Order:
    """An order of anna's."""
    return Order(number, verb, "anna", "partners upgrade now", AT + timedelta(minutes=number), relay)


def over_view(**changes: object) -> RolloutView:
    """One that is complete, as the look after that shows it: without waves and relays."""
    return replace(complete_view(), waves=(), relays={}, **changes)  # type: ignore[arg-type]


def with_rollout(found: Round, view: RolloutView | None) -> Round:
    """The same look with this rollout in its plan."""
    return replace(found, plan=replace(found.plan, rollout=view))
