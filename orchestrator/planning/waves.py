"""In which order a change goes through the fleet: canaries, then waves. Pure.

Chosen once, when a rollout starts, and kept: relays that come and go meanwhile change nobody's turn. At most a third of a
region (or what the policy says instead), but at least one relay, goes in one wave, and neighbours in the mesh go in different
waves where that can be had without going back on a choice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from orchestrator.fleet.relay import Relay
from orchestrator.fleet.rollout import Rollout
from orchestrator.planning.findings import count
from orchestrator.planning.rollout_view import Wave
from orchestrator.spec.fields import count_share
from orchestrator.spec.policies import RolloutSpec

SHARE_OF_A_REGION = 3
"""One in this many relays of a region goes in one wave, if the policy does not say how many."""

Links = Mapping[str, Collection[str]]
"""Relay → those that it names, or that name it."""


def plan_waves(
    relays: Sequence[Relay], whole: Mapping[str, int], links: Links, first: Collection[str], policy: RolloutSpec
) -> tuple[tuple[str, ...], ...]:
    """Return the canaries, if the policy wants any, and the waves after them; the same for any order of the relays.

    `whole` is region → relays that it wants in all, `first` those that are on a release that failed or are down anyway:
    they go before others of their region.
    """
    regions: dict[str, list[str]] = {}
    for relay in sorted(relays, key=lambda relay: (relay.name not in first, relay.name)):
        regions.setdefault(relay.region, []).append(relay.name)
    canaries = _pick_canaries(regions, whole, first, policy.canaries)
    left = {region: [name for name in names if name not in canaries] for region, names in sorted(regions.items())}
    waves = [canaries] if canaries else []
    if policy.order == "by-region":
        for region in sorted(left, key=lambda region: (whole[region], region)):
            waves += _spread({region: left[region]}, whole, links, first, policy)
    else:
        waves += _spread(left, whole, links, first, policy)
    return tuple(waves)


def link_mesh(neighbours: Mapping[str, Sequence[str]]) -> Links:
    """Return who names, or is named by, whom."""
    links: dict[str, set[str]] = {}
    for name, others in neighbours.items():
        for other in others:
            links.setdefault(name, set()).add(other)
            links.setdefault(other, set()).add(name)
    return links


def describe_waves(
    rollout: Rollout, links: Links, regions: Mapping[str, str], first: Collection[str], policy: RolloutSpec
) -> tuple[Wave, ...]:
    """Return the kept waves with a title, and why they are as they are.

    `regions` is relay → region; `first` are those that are down, or run what failed, whatever is wished for.
    """
    described = []
    for index, names in enumerate(rollout.waves):
        canary = rollout.canaries > 0 and index == 0
        title = "canary" if canary else f"wave {index + 1 - rollout.canaries}"
        described.append(
            Wave(title, names, _why_canary(names, first) if canary else _why(names, links, regions, policy))
        )
    return tuple(described)


def _why_canary(names: Sequence[str], first: Collection[str]) -> str:
    if any(name in first for name in names):
        return "goes first: it is down anyway, or runs what failed"
    return "goes first: of its region most others can stand in"


def _why(names: Sequence[str], links: Links, regions: Mapping[str, str], policy: RolloutSpec) -> str:
    touched = sorted({regions[name] for name in names if name in regions})
    where = touched[0] if len(touched) == 1 else f"{len(touched)} regions"
    pairs = sum(1 for name in names for other in links.get(name, ()) if other in names) // 2
    apart = f"{count(pairs, 'pair')} of neighbours could not be kept apart" if pairs else "no two are neighbours"
    return f"at most {_in_words(policy)} of {'' if len(touched) == 1 else 'each of '}{where}; {apart}"


def _in_words(policy: RolloutSpec) -> str:
    match policy.wave_share:
        case None:
            return "a third"
        case int(number):
            return count(number, "relay")
        case share:
            return share


def _pick_canaries(
    regions: Mapping[str, Sequence[str]], whole: Mapping[str, int], first: Collection[str], wanted: int
) -> tuple[str, ...]:
    """Take one relay of each of the first regions: those on a failed release, then of the largest regions the last."""
    order = sorted(regions, key=lambda region: (regions[region][0] not in first, -whole[region], region))
    chosen = [regions[region][0] if regions[region][0] in first else regions[region][-1] for region in order[:wanted]]
    return tuple(sorted(chosen))


def most_in_wave(relays: int, policy: RolloutSpec) -> int:
    """Return how many of so many relays of a region may go in one wave."""
    if policy.wave_share is None:
        return max(1, relays // SHARE_OF_A_REGION)
    return count_share(policy.wave_share, relays)


def _spread(
    left: Mapping[str, list[str]], whole: Mapping[str, int], links: Links, first: Collection[str], policy: RolloutSpec
) -> list[tuple[str, ...]]:
    waiting = {region: list(names) for region, names in left.items()}
    waves: list[tuple[str, ...]] = []
    while any(waiting.values()):
        chosen: list[str] = []
        for region, names in waiting.items():
            chosen += _take(names, most_in_wave(whole[region], policy), frozenset(chosen), links, first)
        waves.append(tuple(sorted(chosen)))
    return waves


def _take(names: list[str], most: int, chosen: frozenset[str], links: Links, first: Collection[str]) -> list[str]:
    """Take so many of a region: those that are to go first, and of them whoever is no neighbour of a chosen one."""
    taken: list[str] = []
    for _ in range(min(most, len(names))):
        others = chosen | set(taken)
        due = [name for name in names if name in first] or names
        apart = next((name for name in due if not others.intersection(links.get(name, ()))), due[0])
        names.remove(apart)
        taken.append(apart)
    return taken
