"""The inspect module's answer → HostFacts. One that does not make sense is no answer, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.adapters.metrics import parse_metrics
from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import FileState, HostFacts, UnitState, Unreadable


def parse_facts(raw: Mapping[str, Any]) -> HostFacts | Unreadable:
    """Read the inspect module's answer."""
    try:
        metrics, missing = parse_node_metrics(str(raw["metrics"]), str(raw["metrics_missing"]))
        metrics = add_logged_replay(metrics, raw["replay_logged"])
        peers, logged, ago = raw["peers"], raw["reload_logged"], raw["reloaded_seconds_ago"]
        return HostFacts(
            token=int(raw["token"]),
            working=str(raw["working"]),
            host_key=str(raw["host_key"]),
            one_time_key_wiped=bool(raw["one_time_key_wiped"]),
            prepared=str(raw["prepared"]),
            staged=frozenset(map(str, raw["staged"])),
            release=str(raw["release"]),
            files={str(path): FileState(**state) for path, state in raw["files"].items()},
            unit=UnitState(raw["unit"]),
            unit_enabled=bool(raw["unit_enabled"]),
            running_restart_digest=str(raw["running_restart_digest"]),
            running_reload_digest=str(raw["running_reload_digest"]),
            clean_marker=bool(raw["clean_marker"]),
            unclean_start=bool(raw["unclean_start"]),
            firewall_pending=bool(raw["firewall_pending"]),
            # What the node said to a reload instead of taking it up is worth showing, unless the unit is in trouble.
            detail=str(raw["detail"] or raw["reload_answer"]),
            store_id=str(raw["store_id"]),
            metrics=metrics,
            metrics_missing=missing,
            peers=None if peers is None else frozenset(map(str, peers)),
            reload_logged=None if logged is None else bool(logged),
            reloaded_seconds_ago=None if ago is None else float(ago),
            restarts=None if raw["restarts"] is None else int(raw["restarts"]),
            started_seconds_ago=None if raw["started_seconds_ago"] is None else float(raw["started_seconds_ago"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        return Unreadable(f"answered an inspection with something else: {type(problem).__name__} {problem}")


def parse_node_metrics(text: str, missing: str) -> tuple[NodeMetrics | None, str]:
    """Return the metrics, or None and why; lines of which none is known are no metrics."""
    if missing:
        return None, missing
    metrics = parse_metrics(text)
    if metrics == replace(NodeMetrics("unknown"), dialect=metrics.dialect):
        return None, "the node's metrics have no name that is known here"
    return metrics, ""


def add_logged_replay(metrics: NodeMetrics | None, logged: float | None) -> NodeMetrics | None:
    """Take how far a replay is from the node's log where its metrics do not tell: the legacy dialect has no name for it."""
    if metrics is None or logged is None or metrics.replay_percent is not None:
        return metrics
    return replace(metrics, replay_percent=float(logged))
