"""What an operator should know before a rollout begins: of the step between releases, and of the fleet. Pure. Start here.

A finding refuses the rollout (its name, if it has one, is the confirmation that allows it), warns, or says that a thing that
often goes wrong is fine here. The traps of a step are in `release_step.py`. What the fleet file says on its own is checked when
it is read (`spec/rules*.py`: the release is listed, with an archive and a checksum for every architecture), and whether files
can be rendered for a release when they are (`rendering/`). Neither is looked at again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

from orchestrator.planning.findings import Finding as Finding  # noqa: PLC0414 - what this module returns
from orchestrator.planning.findings import Level as Level  # noqa: PLC0414
from orchestrator.planning.findings import count, sort_by_weight
from orchestrator.planning.look import Wanted
from orchestrator.planning.release_facts import release_numbers, why_no_way_back
from orchestrator.planning.release_step import CHECKS, Step
from orchestrator.rendering.values import NetworkFiles
from orchestrator.spec.model import FleetSpec

UNHEALTHY = "unhealthy-fleet"

MOST_OUT_PART = 3
"""With more than one relay in three out, the others are no measure for a canary, and have no room for its load."""


# Every look asks until the first relay is updated, which may wait for a confirmation or a partner.
@lru_cache(maxsize=64)
def check_wish(wanted: Wanted, running: tuple[str, ...]) -> tuple[Finding, ...]:
    """Judge the step from the releases that relays run, each as often as relays run it, to what is wanted; see below."""
    return check_release_step(wanted.spec, wanted.network, running)


def check_release_step(spec: FleetSpec, network: NetworkFiles, running: Iterable[str]) -> tuple[Finding, ...]:
    """Judge the step from the releases that relays run (of who is not known, none) to what is wanted.

    Refusals come first, then warnings. If all run what is wanted, or nobody is known to run anything, there is nothing to find.
    """
    counts = Counter(running)
    others = sorted(counts.keys() - {spec.release}, key=lambda version: (release_numbers(version), version))
    if not others:
        return ()
    step = Step(spec, network, {version: counts[version] for version in others}, json.loads(network.config_json))
    return sort_by_weight(finding for check in CHECKS for finding in check(step))


def check_fleet(
    healthy: int, out: Collection[str], most_out: int, partners_out: Collection[str]
) -> tuple[Finding, ...]:
    """Judge whether the fleet is healthy enough to begin. Not for a new fleet, of which nothing serves yet.

    `out` are relays that do not serve, for whatever reason, and `most_out` is how many may; `partners_out` are visibly out.
    """
    return sort_by_weight((_check_relays(healthy, out, most_out), *_check_partners(partners_out)))


def can_go_back(old: str, new: str) -> str | None:
    """Return why a relay that has run `new` cannot run `old` on the same database again; None if nothing is known against it.

    Public sources are silent about most steps; what they say, and do not say, is written at `why_no_way_back`.
    """
    return why_no_way_back(old, new)


def _check_relays(healthy: int, out: Collection[str], most_out: int) -> Finding:
    relays = healthy + len(out)
    serve = f"{healthy} of {relays} relays serve{'s' if healthy == 1 else ''}"
    if not out:
        return Finding(Level.FINE, "", f"{serve}, and {most_out} may be out at once")
    names = f"out: {', '.join(sorted(out))}"
    if healthy == 0 or (len(out) > most_out and len(out) * MOST_OUT_PART > relays):
        text = (
            f"{serve} ({names}): with that few there is nothing to measure an updated relay by. Mend them first, or give "
            f"`--confirm {UNHEALTHY}` if the new release is the cure"
        )
        return Finding(Level.REFUSES, UNHEALTHY, text)
    if len(out) >= most_out:
        text = f"{serve}, and at most {most_out} may be out ({names}): those that are out go first, all others wait for them"
        return Finding(Level.WARNS, "", text)
    return Finding(Level.FINE, "", f"{serve} ({names}), and {most_out} may be out at once")


def _check_partners(out: Collection[str]) -> Iterator[Finding]:
    if not out:
        return
    text = (
        f"{count(len(out), 'partner')} visibly out ({', '.join(sorted(out))}): the rollout waits until consumers can turn to "
        "them again"
    )
    yield Finding(Level.WARNS, "", text)
