"""What each relay is to be by now, and who may not be taken for it yet, given how far a rollout is. Pure.

A relay whose turn has not come stays what it is; one that failed goes back to what the fleet had proven before. So topologies and
firewalls go on changing everywhere while a release has reached only some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.fleet.observation import Verdict
from orchestrator.fleet.rollout import Bundle, Rollout, RolloutState
from orchestrator.planning.budget import name_some
from orchestrator.planning.footing import Footing, lend_bundles, make_bundle
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health
from orchestrator.planning.preflight import UNHEALTHY, Finding, Level, can_go_back
from orchestrator.planning.settling import stays_down
from orchestrator.planning.silence import ANSWERS
from orchestrator.planning.waves import most_in_wave
from orchestrator.planning.wished import BACKWARD, Wished, is_settled, is_trusted, told_digest
from orchestrator.rendering.bundle import parse_bundle, render_bundle
from orchestrator.rendering.values import RenderedRelay

PRESENT = (*ANSWERS, Verdict.NOT_ASKED)
"""Verdicts of a partner that is not visibly out."""


PARTNER_OUT = "partner-out:"
"""What the confirmations are called that let a rollout go on without a partner."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the decisions here are made from."""

    wished: Wished
    waves: tuple[tuple[str, ...], ...]
    """Of wanted relays."""
    open_wave: int | None
    footings: Mapping[str, Footing]
    bundles: Mapping[str, Bundle]
    network_digest: str
    """Of the network folder that hosts are given now."""
    stopped: str | None
    """Why nobody further is updated."""
    passes: bool
    """Whether that may end by itself."""

    def was_told(self, name: str) -> bool:
        """Whether a relay was told to restart with the wish."""
        return told_digest(self.wished.record, name) == self.footings[name].wish


def keep_bundles(
    wished: Wished, footings: Mapping[str, Footing], rendered: Mapping[str, RenderedRelay], look: Look
) -> Mapping[str, Bundle]:
    """Return all that somebody runs, wishes for, or may go back to, by digest; who cannot be asked runs what it was told last."""
    made: dict[str, Bundle] = {}
    for name, footing in footings.items():
        if footing.wish not in made:
            document = render_bundle(rendered[name])
            made[footing.wish] = make_bundle(rendered[name], document, footing.region, look.spec)
    told = (told_digest(wished.record, name) for name in footings)
    needed = {*wished.rollout.good.values(), *(footing.runs for footing in footings.values()), *told}
    kept = {digest: bundle for digest, bundle in look.record.bundles.items() if digest in needed}
    proven = {region: digest for region, digest in wished.rollout.good.items() if digest in kept}
    lent = {bundle.digest: bundle for bundle in lend_bundles(proven, kept, look.spec).values()}
    return {**{digest: bundle for digest, bundle in lent.items() if digest in needed}, **kept, **made}


def why_stopped(wished: Wished, findings: Sequence[Finding], look: Look) -> str | None:
    """Return why nobody further is updated now; None while the waves alone decide."""
    rollout = wished.rollout
    match rollout.state:
        case RolloutState.PAUSED:
            return f"the rollout of {rollout.version} is paused: {rollout.because}"
        case RolloutState.HALTED:
            return (
                f"the rollout of {rollout.version} is halted: {rollout.because}; `rollout resume` or `rollout retry` "
                "tries again, another wish supersedes it"
            )
        case RolloutState.ROLLING_BACK | RolloutState.ROLLED_BACK:
            return f"{rollout.version} was taken back: {rollout.because}; wish for another release, or `rollout resume`"
        case RolloutState.COMPLETE:
            return None
        case RolloutState.RUNNING:
            pass
    if not rollout.waves:
        return None
    confirmed = look.record.confirmed_retirements - {""}
    cure = is_trusted(rollout)  # what was proven needs nobody to be measured by
    refused = [
        f
        for f in findings
        if f.level is Level.REFUSES and f.name not in confirmed and not (cure and f.name == UNHEALTHY)
    ]
    if refused:
        return "; ".join(finding.text for finding in refused)
    return None


def why_partners_awaited(wished: Wished, look: Look) -> str | None:
    """Return which partners are out, whom a rollout waits for; None if there are none, or it needs none."""
    rollout = wished.rollout
    if rollout.state is not RolloutState.RUNNING or not rollout.waves or is_trusted(rollout):
        return None
    out = list_partners_awaited(look)
    if not out:
        return None
    allow = " ".join(f"--confirm {PARTNER_OUT}{name}" for name in out)
    return f"partners are out: {', '.join(out)}; `{allow}` goes on without"


def list_partners_awaited(look: Look) -> list[str]:
    """Name the partners that are visibly out, so that consumers cannot turn to them, but for those an operator goes on without."""
    sightings, confirmed = look.seen.sightings, look.record.confirmed_retirements
    out = sorted(p.name for p in look.spec.partners if p.name in sightings and sightings[p.name].verdict not in PRESENT)
    return [name for name in out if f"{PARTNER_OUT}{name}" not in confirmed]


def list_allowed(now: Situation, look: Look) -> frozenset[str]:
    """Name the relays that are to be what is wished by now."""
    rollout, footings = now.wished.rollout, now.footings
    if rollout.state in BACKWARD:
        return frozenset()
    if rollout.state is RolloutState.COMPLETE:
        return frozenset(footings)
    if not rollout.waves:
        return frozenset(name for name in footings if _why_not_begin(name, now) is None)
    # Whoever was told already goes on, whatever the state: it is out for it, or runs it by now.
    # But not on what has failed by now, if it had only been stopped for it.
    failed = now.wished.record.failures
    told = {n for n, f in footings.items() if f.arrived or (now.was_told(n) and not f.healthy and f.wish not in failed)}
    told |= {n for n, f in footings.items() if _starts_proven(f, rollout)}
    if now.stopped is not None:
        return frozenset(told - rollout.failed.keys())
    place = {name: index for index, wave in enumerate(now.waves) for name in wave}
    proven = now.open_wave is None or now.open_wave >= rollout.canaries
    turn = {name for name in place if now.open_wave is None or place[name] <= now.open_wave}
    turn -= _list_crowded(now, look)
    # It costs nothing to update who is new, or down anyway; but only once the canaries have shown that it works.
    free = {n for n, f in footings.items() if n not in place or _costs_nothing(f, now, look)} if proven else set()
    doomed = {name for name in turn | free if _why_not_begin(name, now) is not None}
    return frozenset((told | (turn | free) - doomed) - rollout.failed.keys())


def _why_not_begin(name: str, now: Situation) -> str | None:
    """Return how the wish has failed that a relay with nothing to run would start with: it would only fail on it, too."""
    footing, failure = now.footings[name], now.wished.record.failures.get(now.footings[name].wish)
    if footing.runs or failure is None or failure.staging or footing.region in now.wished.rollout.good:
        return None
    return f"{failure.version} failed before, on {failure.relay}: {failure.because}; `rollout retry {name}` tries it all the same"


def _costs_nothing(footing: Footing, now: Situation, look: Look) -> bool:
    """Whether a relay is down anyway; one in quarantine may be there for what it runs, or not, but nobody follows it."""
    quarantined = footing.name in look.record.evidence.quarantines and footing.view.health is Health.UNHEALTHY
    return quarantined or stays_down(footing, now.wished.record, look)


def _list_crowded(now: Situation, look: Look) -> frozenset[str]:
    """Name those that would go beside too many others of their region, however the waves came to be so since they were planned."""
    settling, footings = now.wished.record.settling, now.footings
    waved = [name for wave in now.waves for name in wave]
    begun = {n for n in waved if now.was_told(n) and (footings[n].arrived or not footings[n].healthy)}
    under_way = Counter(footings[name].region for name in begun if not is_settled(name, settling))
    crowded = set()
    for name in waved:
        region = footings[name].region
        if name in begun or not footings[name].healthy or is_settled(name, settling):
            continue
        if under_way[region] >= most_in_wave(look.spec.relay_count(region), look.spec.rollout):
            crowded.add(name)
        under_way[region] += 1
    return frozenset(crowded)


def _starts_proven(footing: Footing, rollout: Rollout) -> bool:
    """Whether a relay has nothing to run yet, and is to start with what was proven: nobody's turn is to be waited for."""
    return not footing.runs and rollout.good.get(footing.region) == footing.wish


def pick_aim(footing: Footing, now: Situation, allowed: frozenset[str]) -> str:
    """Return the digest a relay is to have now: the wish, what it runs, or what was proven; empty if only the wish is known."""
    if footing.name in allowed:
        return footing.wish
    rollout = now.wished.rollout
    gives_up = footing.runs in now.wished.record.failures and not footing.healthy
    back = rollout.state in BACKWARD or footing.name in rollout.failed or gives_up
    if footing.runs in now.bundles and not back:
        return footing.runs
    if footing.runs and footing.healthy and not back:
        return ""  # it serves on something that cannot be made again: better once to the wish than to what was proven before
    good = rollout.good.get(footing.region, "")
    return good if good in now.bundles and _is_possible(now.bundles[good], footing, now.network_digest) else ""


def _is_possible(bundle: Bundle, footing: Footing, network_digest: str) -> bool:
    """Whether a host can be made so: an older network folder is not kept, and must lie on the host already."""
    kept = parse_bundle(bundle.document).network_digest
    return kept == network_digest or (footing.facts is not None and kept in footing.facts.staged)


def list_gates(now: Situation, aims: Mapping[str, str], allowed: frozenset[str]) -> Mapping[str, str]:
    """Say of everybody who is not what is wished why it may not be taken for it now."""
    gates: dict[str, str] = {}
    for name, footing in now.footings.items():
        if aims[name] == footing.wish and (footing.arrived or _starts_proven(footing, now.wished.rollout)):
            continue
        if goes_back(footing, aims[name]):
            if (stuck := _why_no_way_back(footing, aims[name], now)) is not None:
                gates[name] = stuck
        elif now.stopped is not None and not (now.was_told(name) and name in allowed):
            gates[name] = now.stopped
        elif name not in allowed:
            gates[name] = _why_waits(name, now)
    return gates


def goes_back(footing: Footing, aim: str) -> bool:
    """Whether a relay is to leave what it runs for something else than the wish."""
    return bool(footing.runs) and aim not in ("", footing.wish, footing.runs)


def is_moving(now: Situation) -> bool:
    """Whether time alone may open the next wave: somebody is on its way to settle, or a partner is waited for."""
    if now.wished.rollout.state is not RolloutState.RUNNING:
        return False
    if now.stopped is not None:
        return now.passes
    settling = now.wished.record.settling
    return any(
        name in settling or (now.was_told(name) and now.footings[name].facts is not None)
        for wave in now.waves
        for name in wave
        if not is_settled(name, now.wished.record.settling)
    )


def list_withheld(now: Situation, look: Look) -> frozenset[str]:
    """Name the relays that were updated and have not served in enough looks since: not published yet.

    Who has settled once is as good as any other: if it falls out later, trust and floor decide. Nobody comes in while work that
    takes it out is under way either, though its node may answer before and after.
    """
    settling, published = now.wished.record.settling, look.record.evidence.published
    busy = {name for name, work in look.seen.in_flight.items() if work.disturbs and name not in published}
    return frozenset(busy) | frozenset(
        name
        for wave in now.waves
        for name in wave
        if now.was_told(name) and now.footings[name].arrived and not is_settled(name, now.wished.record.settling)
        if name not in settling or settling[name].looks < look.spec.rollout.healthy_looks
    )


def _why_no_way_back(footing: Footing, aim: str, now: Situation) -> str | None:
    """Return why the database of a relay cannot be opened by what it would go back to."""
    ran = (
        now.wished.rollout.version
        if footing.arrived
        else now.bundles[footing.runs].version
        if footing.runs in now.bundles
        else ""
    )
    return can_go_back(now.bundles[aim].version, ran) if ran else None


def _why_waits(name: str, now: Situation) -> str:
    rollout = now.wished.rollout
    if (doomed := _why_not_begin(name, now)) is not None:
        return doomed
    if now.open_wave is None or name in rollout.failed:
        return f"it failed on {rollout.version}, and nothing is known that it could go back to"
    if name in now.waves[now.open_wave]:
        region = now.footings[name].region
        return f"as many of {region} as may go together are on their way"
    title = "the canary" if rollout.canaries and now.open_wave == 0 else f"wave {now.open_wave + 1 - rollout.canaries}"
    waiting = [other for other in now.waves[now.open_wave] if not is_settled(other, now.wished.record.settling)]
    return f"its turn comes after {title} ({name_some(waiting)})"
