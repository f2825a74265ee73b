"""What consumers saw, for people and as JSON. Counting is in `orchestrator.lab.consumers.outcome`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from orchestrator.cli.tables import Column
from orchestrator.lab.consumers.outcome import Bootstrapped, CutShort, Failed, Outcome, Summary, count_usage, summarize


def summary_lines(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return the few lines that everybody reads: how many, and the worst that happened to them."""
    summary = summarize(outcomes)
    ended = f"{summary.bootstrapped} bootstrapped, {summary.failed} failed"
    if summary.cut_short:
        ended += f", {summary.cut_short} sent home on the way"
    lost = f"connections lost on the way: {summary.reconnects}, addresses unusable: {summary.unusable}"
    stalls = f"stall: slowest {seconds(summary.slowest_stall)}, median {seconds(summary.median_stall)}"
    times = f"time to bootstrap: median {seconds(summary.median_time)}"
    return f"{ended}; {lost}; blocks: {summary.blocks}", f"{stalls}; {times}"


def failure_line(outcome: Failed) -> str:
    """Return what became of one that failed."""
    return f"consumer {outcome.seen.number} failed after {seconds(outcome.seen.took)}: {outcome.reason}"


def usage_columns(outcomes: Collection[Outcome], names: Mapping[str, str]) -> tuple[Column, ...]:
    """Return what each relay was used for: by name, as far as the address is known."""
    rows = sorted((names.get(address, "?"), address, usage) for address, usage in count_usage(outcomes).items())
    return (
        Column("relay", [name for name, _, _ in rows]),
        Column("address", [address for _, address, _ in rows]),
        Column("visits", [str(usage.visits) for _, _, usage in rows]),
        Column("blocks", [str(usage.blocks) for _, _, usage in rows]),
        Column("unusable", [str(usage.unusable) if usage.unusable else "" for _, _, usage in rows]),
    )


def consumers_json(outcomes: Sequence[Outcome], names: Mapping[str, str]) -> dict[str, Any]:
    """Return everything: the summary, each relay, each consumer."""
    return {
        **_summary_json(summarize(outcomes)),
        "relays": {
            address: {
                "name": names.get(address),
                "visits": usage.visits,
                "blocks": usage.blocks,
                "unusable": usage.unusable,
            }
            for address, usage in count_usage(outcomes).items()
        },
        "consumers": [_outcome_json(outcome) for outcome in outcomes],
    }


def seconds(duration: timedelta | None) -> str:
    """Write a duration as people read stalls."""
    return "–" if duration is None else f"{duration.total_seconds():.1f} s"


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "bootstrapped": summary.bootstrapped,
        "failed": summary.failed,
        "cut_short": summary.cut_short,
        "blocks": summary.blocks,
        "reconnects": summary.reconnects,
        "unusable": summary.unusable,
        "slowest_stall_seconds": _number(summary.slowest_stall),
        "median_stall_seconds": _number(summary.median_stall),
        "median_bootstrap_seconds": _number(summary.median_time),
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    seen = outcome.seen
    return {
        "number": seen.number,
        "outcome": _word_of(outcome),
        "reason": outcome.reason if isinstance(outcome, Failed) else None,
        "seconds": _number(seen.took),
        "blocks": seen.blocks,
        "stall_seconds": _number(seen.stall.duration),
        "stall_began_seconds": _number(seen.stall.began),
        "reconnects": seen.reconnects,
        "lookups": seen.lookups,
        "visits": [
            {
                "address": visit.address,
                "began_seconds": _number(visit.began),
                "headers": visit.headers,
                "blocks": visit.blocks,
                "problem": visit.problem,
            }
            for visit in seen.visits
        ],
    }


def _word_of(outcome: Outcome) -> str:
    match outcome:
        case Bootstrapped():
            return "bootstrapped"
        case Failed():
            return "failed"
        case CutShort():
            return "cut short"


def _number(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 3)
