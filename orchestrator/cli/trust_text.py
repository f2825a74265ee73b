"""Quarantines and the sides of a split in words, and as JSON. Pure; who is right is judged in planning, or by an operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.cli.naming import abbreviate_names
from orchestrator.planning.plan import Plan, Side


def quarantine_lines(plan: Plan) -> Iterator[str]:
    """Yield a line for each relay in quarantine: since when, on what evidence, and whether it agrees again."""
    for name, found in sorted(plan.evidence.quarantines.items()):
        line = f"in quarantine since {found.since:%Y-%m-%d %H:%M} UTC: {name}: {found.evidence}"
        if found.agreeing_since is not None:
            line += f"; agrees again since {found.agreeing_since:%H:%M:%S} UTC"
        yield line


def quarantines_json(plan: Plan) -> dict[str, Any]:
    """Return the same for `--json`."""
    return {
        name: {
            "since": found.since.isoformat(),
            "evidence": found.evidence,
            "agrees_again": found.agreeing_since is not None,
            "agreeing_since": found.agreeing_since.isoformat() if found.agreeing_since is not None else None,
        }
        for name, found in sorted(plan.evidence.quarantines.items())
    }


def side_lines(plan: Plan) -> Iterator[str]:
    """Yield who is on each side of a split, and in full the point that one would pin for it; nothing while there is none."""
    if not plan.sides:
        return
    yield f"relays and partners are on {len(plan.sides)} chains; if it must be ruled, `trust pin` takes a point of the right one:"
    for number, side in enumerate(plan.sides, start=1):
        yield f"  side {number}: {_describe(side, plan)}"
        if side.point is not None:
            yield f"    its own point: {side.point}"
        else:
            yield "    no point of its own is known yet: look again after its next block"


def sides_json(plan: Plan) -> list[dict[str, Any]]:
    """Return the same for `--json`."""
    return [
        {
            "relays": list(side.relays),
            "partners": list(side.partners),
            "releases": list(side.releases),
            "point": str(side.point) if side.point is not None else None,
        }
        for side in plan.sides
    ]


def _describe(side: Side, plan: Plan) -> str:
    """Return `2 relays on 10.6.0 (…), 5 relays on 10.5.1 (…), partners alpha`."""
    known = {**plan.evidence.releases, **{view.name: view.release for view in plan.relays if view.release is not None}}
    by_release: dict[str, list[str]] = {}
    for relay in side.relays:
        by_release.setdefault(known.get(relay, "an unknown release"), []).append(relay)
    parts = [
        f"{_count(len(relays), 'relay')} on {release} ({', '.join(abbreviate_names(relays))})"
        for release, relays in sorted(by_release.items())
    ]
    if side.partners:
        parts.append(f"{_count(len(side.partners), 'partner')} ({', '.join(side.partners)})")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
