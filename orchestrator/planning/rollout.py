"""How far a wish has come through the fleet, what each relay is to be now, and who may be taken for it. Pure.

Start with `steer_rollout`. A relay has *settled* when it runs what is wanted and has served, no worse than the others, for as long
as its wave bakes. The first wave in which somebody has not settled is open; whoever is in a later one stays what it is. What fails
goes back to what the fleet had proven before, and the rollout halts. How many are out at once is the budget's word alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.fleet.rollout import (
    Bundle,
    Restart,
    Rollout,
    RolloutEvent,
    RolloutRecord,
    RolloutState,
)
from orchestrator.planning.assess import Slot
from orchestrator.planning.baking import judge_bakes, note_failures
from orchestrator.planning.course import (
    Situation,
    goes_back,
    is_moving,
    keep_bundles,
    list_allowed,
    list_gates,
    list_partners_awaited,
    list_withheld,
    pick_aim,
    why_partners_awaited,
    why_stopped,
)
from orchestrator.planning.footing import Footing, find_footings
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Kind, RelayView
from orchestrator.planning.preflight import Finding, check_fleet, check_wish
from orchestrator.planning.settling import follow_restarts, gets_on, rest_restarts
from orchestrator.planning.trust import Judgement
from orchestrator.planning.waves import Links
from orchestrator.planning.wish import take_up_wish
from orchestrator.planning.wished import Wished, find_open_wave, is_settled, list_wanted_waves
from orchestrator.rendering.bundle import apply_bundle
from orchestrator.rendering.values import RenderedRelay


@dataclass(frozen=True, slots=True)
class Course:
    """What one look decides about the rollout."""

    rollout: Rollout
    record: RolloutRecord
    """To be kept, but for what this plan itself adds: who is told to restart, who drains."""
    events: tuple[RolloutEvent, ...]
    bundles: Mapping[str, Bundle]
    footings: Mapping[str, Footing]
    waves: tuple[tuple[str, ...], ...]
    """Of wanted relays."""
    open_wave: int | None
    aims: Mapping[str, str]
    """Relay → digest it is to have now."""
    rendered: Mapping[str, RenderedRelay]
    """Relay → all that it is to be now: the wish, or what it was before."""
    kinds: Mapping[str, Kind]
    """Relay → what its instance is to be."""
    gates: Mapping[str, str]
    """Relay → why it may not be taken yet, for those that are not what is wished."""
    barred: Mapping[str, str]
    """Those of them that would be taken for the wish, or cannot go back; the others may be made again what they are to stay."""
    moving: bool
    """Whether time alone may open the next wave."""
    withheld: frozenset[str]
    """Updated relays that are not published again yet."""
    going_back: frozenset[str]
    """Relays that are to leave what failed, or what an operator has given up."""
    recovering: frozenset[str]
    """Relays that were told to be what they are to be, and get on: no operator is needed for them."""
    findings: tuple[Finding, ...]
    order: Mapping[str, int]
    """Relay → place of its wave, for whoever has to choose; those that failed come first."""

    @property
    def runs(self) -> bool:
        """Whether it goes on by itself."""
        return self.rollout.state is RolloutState.RUNNING

    @property
    def stages_wish(self) -> bool:
        """Whether hosts are to have what is wished at hand, also those whose turn has not come."""
        return self.rollout.state in (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.COMPLETE)


def steer_rollout(
    look: Look,
    slots: Sequence[Slot],
    views: Mapping[str, RelayView],
    rendered: Mapping[str, RenderedRelay],
    links: Links,
    judged: Judgement,
) -> Course:
    """Decide how far the present wish has come and what follows. `rendered` is what every relay would be once it is done."""
    footings = find_footings(slots, views, rendered, judged, look)
    wished = take_up_wish(footings, links, follow_restarts(footings, look), look)
    wished = note_failures(wished, footings, judged, look)
    waves = list_wanted_waves(wished.rollout, footings)
    wished = judge_bakes(wished, waves, footings, look)
    open_wave = find_open_wave(waves, wished.record.settling)
    wished = _tell_waves(wished, waves, open_wave, look)
    wished = _end(wished, waves, footings, look)
    findings = _check_before(wished.rollout, footings, judged, look)
    bundles = keep_bundles(wished, footings, rendered, look)
    network = look.wanted.network.digest
    stopped, awaited = why_stopped(wished, findings, look), why_partners_awaited(wished, look)
    now = Situation(wished, waves, open_wave, footings, bundles, network, stopped or awaited, passes=stopped is None)
    allowed = list_allowed(now, look)
    aims = {name: pick_aim(footing, now, allowed) for name, footing in footings.items()}
    gates = list_gates(now, aims, allowed)
    going_back = frozenset(name for name, footing in footings.items() if goes_back(footing, aims[name]))
    return Course(
        rollout=wished.rollout,
        record=replace(wished.record, current=wished.rollout),
        events=wished.events,
        bundles=bundles,
        footings=footings,
        waves=waves,
        open_wave=open_wave,
        aims={name: aim or footings[name].wish for name, aim in aims.items()},
        rendered={
            name: rendered[name]
            if aim in ("", footings[name].wish)
            else apply_bundle(rendered[name], bundles[aim].document)
            for name, aim in aims.items()
        },
        kinds={name: _kind(bundles[aim or footings[name].wish]) for name, aim in aims.items()},
        gates=gates,
        barred={n: why for n, why in gates.items() if aims[n] in ("", footings[n].wish) or n in going_back},
        moving=is_moving(now),
        withheld=list_withheld(now, look),
        going_back=going_back,
        recovering=frozenset(
            name
            for name, told in wished.record.restarts.items()
            if told.served_at is None and told.digest == (aims[name] or footings[name].wish) and gets_on(told, look)
        ),
        findings=findings,
        order=_order(wished.rollout, waves),
    )


def _kind(bundle: Bundle) -> Kind:
    return Kind(bundle.image, bundle.instance_type)


def note_restarts(course: Course, relays: Mapping[str, bool], look: Look) -> RolloutRecord:
    """Return the record with these relays as told to be something else; written before they are.

    `relays` is relay → whether its instance goes as well.
    """
    told = {
        name: Restart(course.aims[name], look.now, count_connected(name, course), replaced=replaced)
        for name, replaced in relays.items()
        if name in course.footings
    }
    return replace(course.record, restarts={**course.record.restarts, **told})


def count_connected(name: str, course: Course) -> int | None:
    """Return how many connections others had to a relay before it was taken out of the names; None if that is not known."""
    return course.record.connected.get(name, course.footings[name].signals.inbound)


def _order(rollout: Rollout, waves: Sequence[Sequence[str]]) -> Mapping[str, int]:
    place = {name: index for index, wave in enumerate(waves) for name in wave}
    return {**place, **dict.fromkeys(rollout.failed, -1)}


def _end(wished: Wished, waves: Sequence[Sequence[str]], footings: Mapping[str, Footing], look: Look) -> Wished:
    """Complete the rollout, or its way back, once every wanted relay is there and serves."""
    rollout, settling = wished.rollout, wished.record.settling
    if rollout.state is RolloutState.ROLLING_BACK:
        back = all(f.healthy and f.runs == rollout.good.get(f.region, f.runs) for f in footings.values())
        return wished.turn(RolloutState.ROLLED_BACK, rollout.because, "rolled back", look) if back else wished
    if rollout.state is not RolloutState.RUNNING:
        return wished
    careful = {name for wave in waves for name in wave}
    there = all(f.arrived and f.healthy and f.name not in look.seen.in_flight for f in footings.values())
    if not there or not all(is_settled(name, settling) for name in careful):
        return wished
    wished = replace(wished, record=rest_restarts(wished.record))
    if rollout.waves:
        return wished.turn(RolloutState.COMPLETE, "", "complete", look)
    return replace(wished, rollout=replace(rollout, state=RolloutState.COMPLETE, since=look.now))


def _tell_waves(wished: Wished, waves: Sequence[Sequence[str]], open_wave: int | None, look: Look) -> Wished:
    """Tell of waves that are done since the last look."""
    before = look.record.rollout
    if before.current is None or before.current.target != wished.rollout.target:
        return wished
    was_open = find_open_wave(waves, before.settling)
    for index in range(
        was_open if was_open is not None else len(waves), open_wave if open_wave is not None else len(waves)
    ):
        number = index + 1 - wished.rollout.canaries
        title = f"wave {number} of {len(waves) - wished.rollout.canaries}" if number else "canary"
        wished = wished.tell("wave done", f"{title}: {', '.join(waves[index])}", look)
    return wished


def _check_before(
    rollout: Rollout, footings: Mapping[str, Footing], judged: Judgement, look: Look
) -> tuple[Finding, ...]:
    """Return what an operator should know before the first relay is updated; afterwards it is too late to ask."""
    if not rollout.waves or rollout.state is RolloutState.COMPLETE:
        return ()
    if any(name in footings and footings[name].arrived for wave in rollout.waves for name in wave):
        return ()
    running = {name: version for name, version in judged.evidence.releases.items() if name in footings}
    of_step = check_wish(look.wanted, tuple(sorted(running.values())))
    if not of_step:
        return ()
    out = [name for name, footing in footings.items() if not footing.healthy]
    return (*of_step, *check_fleet(len(footings) - len(out), out, look.spec.most_out(), list_partners_awaited(look)))
