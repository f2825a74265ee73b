"""What is told beside a relay's phase: why it hangs, how far it replays, what is slow, what disagrees, what it did not reload.

Pure. Notes explain; phases and actions are decided without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from orchestrator.fleet.observation import HostFacts, Sighting, Verdict
from orchestrator.planning.look import Look
from orchestrator.planning.node_notes import HangingCause, describe_replay, list_disagreements, tell_hanging_apart
from orchestrator.planning.plan import Phase, RelayView
from orchestrator.planning.reload_notes import why_reload_not_taken
from orchestrator.rendering.values import RenderedRelay

SILENT = (Verdict.HANDSHAKE_TIMEOUT, Verdict.CONNECT_TIMEOUT)
"""What a saturated node looks like: connecting works as long as its queue has room, and then it does not."""


def add_notes(view: RelayView, rendered: RenderedRelay, reachable: Mapping[str, str], look: Look) -> RelayView:
    """Return the view with its reason made exact by the node's own figures, and with notes."""
    facts = look.seen.hosts.get(view.instance.instance_id) if view.instance is not None else None
    sighting = look.seen.sightings.get(view.name)
    if not isinstance(facts, HostFacts) or sighting is None:
        return view
    if view.phase is Phase.SYNCING:
        view = replace(view, reason=_explain_syncing(view.reason, facts, sighting, look))
    notes = tuple(note for note in _list_notes(facts, sighting, rendered, reachable, look) if note not in view.reason)
    return replace(view, notes=notes) if notes else view


def _explain_syncing(reason: str, facts: HostFacts, sighting: Sighting, look: Look) -> str:
    """Say why a relay does not serve yet, as far as its metrics tell."""
    limits = look.spec.connections
    if sighting.verdict in SILENT:
        hanging = tell_hanging_apart(
            facts.metrics,
            look.now,
            hard_limit=limits.hard_limit,
            soft_limit=limits.soft_limit,
            missing=facts.metrics_missing,
        )
        if sighting.verdict is Verdict.CONNECT_TIMEOUT and hanging.cause is HangingCause.HANGS:
            return reason  # who hangs lets connect: something else keeps connections away
        return reason if hanging.cause is HangingCause.UNKNOWN else hanging.text
    return describe_replay(facts.metrics, look.now) or reason


def _list_notes(
    facts: HostFacts, sighting: Sighting, rendered: RenderedRelay, reachable: Mapping[str, str], look: Look
) -> Iterator[str]:
    if facts.unclean_start and sighting.verdict is not Verdict.OK:
        yield "its chain was not closed cleanly before this start, so it is checked from its beginning"
    slowest = max(sighting.handshake_seconds or 0.0, sighting.round_trip_seconds or 0.0)
    if slowest > look.spec.health.slow_after.total_seconds():
        yield f"answers slowly: {slowest:.1f} s"
    yield from list_disagreements(
        facts.metrics,
        sighting,
        look.now,
        missing=facts.metrics_missing,
        hard_limit=look.spec.connections.hard_limit,
        soft_limit=look.spec.connections.soft_limit,
    )
    if (untaken := why_reload_not_taken(facts, rendered, reachable)) is not None:
        yield untaken
