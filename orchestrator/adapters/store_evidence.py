"""Evidence as one JSON document, and back. It is replaced whole at every look, and nothing but a look reads it.

A document that cannot be read is as good as none: the next looks find the same evidence again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.fleet.chain import ChainPoint, ShownPoint, parse_point
from orchestrator.fleet.record import NO_EVIDENCE, Evidence, Quarantine, Suspicion


def render_evidence(evidence: Evidence) -> str:
    """Return the document, the same for the same evidence."""
    return json.dumps(
        {
            "points": [_point(shown) for shown in evidence.points],
            "suspicions": {name: _suspicion(found) for name, found in evidence.suspicions.items()},
            "quarantines": {name: _quarantine(found) for name, found in evidence.quarantines.items()},
            "published": sorted(evidence.published),
            "releases": dict(evidence.releases),
            "withdrawn": {name: since.isoformat() for name, since in evidence.withdrawn.items()},
            "named": sorted(evidence.named),
        },
        sort_keys=True,
    )


def parse_evidence(text: str) -> Evidence:
    """Read a document; whatever is no such document yields no evidence."""
    try:
        document = json.loads(text)
        return Evidence(
            points=tuple(_read_point(item) for item in document["points"]),
            suspicions={name: _read_suspicion(name, item) for name, item in document["suspicions"].items()},
            quarantines={name: _read_quarantine(name, item) for name, item in document["quarantines"].items()},
            published=frozenset(document["published"]),
            releases={str(name): str(version) for name, version in document["releases"].items()},
            withdrawn={
                str(name): datetime.fromisoformat(since) for name, since in document.get("withdrawn", {}).items()
            },
            named=frozenset(document.get("named", ())),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return NO_EVIDENCE


def _point(shown: ShownPoint) -> dict[str, Any]:
    return {
        "point": str(shown.point),
        "block": shown.block,
        "at": shown.at.isoformat(),
        "shown_by": sorted(shown.shown_by),
    }


def _read_point(item: Mapping[str, Any]) -> ShownPoint:
    at = datetime.fromisoformat(item["at"])
    return ShownPoint(parse_point(item["point"]), int(item["block"]), at, frozenset(item["shown_by"]))


def _suspicion(found: Suspicion) -> dict[str, Any]:
    return {
        "common": str(found.common) if found.common is not None else None,
        "common_block": found.common_block,
        "parted_block": found.parted_block,
        "looks": found.looks,
        "newest_lacking": str(found.newest_lacking) if found.newest_lacking is not None else None,
        "since": found.since.isoformat(),
    }


def _read_suspicion(name: str, item: Mapping[str, Any]) -> Suspicion:
    common: ChainPoint | None = parse_point(item["common"]) if item["common"] is not None else None
    return Suspicion(
        name=name,
        common=common,
        common_block=int(item["common_block"]) if item["common_block"] is not None else None,
        parted_block=int(item["parted_block"]),
        looks=int(item["looks"]),
        newest_lacking=parse_point(item["newest_lacking"]) if item["newest_lacking"] is not None else None,
        since=datetime.fromisoformat(item["since"]),
    )


def _quarantine(found: Quarantine) -> dict[str, Any]:
    agreeing = found.agreeing_since.isoformat() if found.agreeing_since is not None else None
    return {"since": found.since.isoformat(), "evidence": found.evidence, "agreeing_since": agreeing}


def _read_quarantine(name: str, item: Mapping[str, Any]) -> Quarantine:
    agreeing = datetime.fromisoformat(item["agreeing_since"]) if item["agreeing_since"] is not None else None
    return Quarantine(name, datetime.fromisoformat(item["since"]), str(item["evidence"]), agreeing)
