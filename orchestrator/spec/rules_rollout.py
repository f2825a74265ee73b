"""Rules about rollouts: limits that could never be reached, and times that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.spec.fields import count_share, render_duration
from orchestrator.spec.findings import Finding, show
from orchestrator.spec.model import CloudSpec, ControllerSpec, RegionSpec, StaticHostSpec
from orchestrator.spec.policies import RolloutSpec
from orchestrator.spec.rules import Rule
from orchestrator.spec.section import Section


def region_budget_is_within_fleet_budget(fleet: Section) -> Iterator[Finding]:
    """More in every single region than in the whole fleet can never happen, so one of the two is a mistake."""
    rollout = _rollout(fleet)
    of_region, of_fleet = rollout.share("max_unavailable_per_region"), rollout.share("max_unavailable")
    if of_region is None or of_fleet is None:
        return
    if isinstance(of_region, int) and isinstance(of_fleet, int):
        least, most = of_region, of_fleet
    elif relays := _relays_by_region(fleet):
        least, most = min(count_share(of_region, count) for count in relays), count_share(of_fleet, sum(relays))
    else:
        return  # how many a share comes to is not known
    if least > most:
        found, limit = _come_to(of_region, least, "in the smallest region"), _come_to(of_fleet, most, "in all")
        text = f"found {found}, expected at most max_unavailable, which is {limit}"
        yield rollout.finding(text, "max_unavailable_per_region")


def canaries_are_some_of_the_relays(fleet: Section) -> Iterator[Finding]:
    """More canaries than relays can never be; with as many, nobody is left to compare them with, which is a wish."""
    rollout = _rollout(fleet)
    canaries, relays = rollout.number("canaries"), sum(_relays_by_region(fleet))
    if canaries is not None and relays and canaries > relays:
        text = f"found {canaries}, expected at most {relays}, which is the number of relays"
        yield rollout.finding(text, "canaries")


def draining_ends_after_its_least_time(fleet: Section) -> Iterator[Finding]:
    """A deadline that comes before the least time would cut every drain short."""
    rollout = _rollout(fleet)
    least, deadline = rollout.duration("drain_time"), rollout.duration("drain_deadline")
    if least is None or deadline is None or least <= deadline:
        return
    if rollout.has("drain_time"):
        text = f"found {render_duration(least)}, expected at most drain_deadline, which is {render_duration(deadline)}"
        yield rollout.finding(text, "drain_time")
    else:
        text = f"found {render_duration(deadline)}, expected at least drain_time, which is {render_duration(least)}"
        yield rollout.finding(text, "drain_deadline")


def progress_can_be_seen_before_its_deadline(fleet: Section) -> Iterator[Finding]:
    """Progress shows between two looks: a deadline within one pause would fail every relay."""
    rollout, controller = _rollout(fleet), fleet.section("controller", ControllerSpec)
    deadline, pause = rollout.duration("progress_deadline"), controller.duration("look_every")
    if deadline is None or pause is None or deadline > pause:
        return
    place, key = (rollout, "progress_deadline") if rollout.has("progress_deadline") else (controller, "look_every")
    text = (
        f"found a progress_deadline of {render_duration(deadline)} and controller.look_every of"
        f" {render_duration(pause)}, expected a deadline that is longer than the pause between two looks"
    )
    yield place.finding(text, key)


def _rollout(fleet: Section) -> Section:
    return fleet.section("rollout", RolloutSpec)


def _come_to(share: int | str, relays: int, where: str) -> str:
    """Say a number, or a share and what it comes to."""
    return str(share) if isinstance(share, int) else f"{show(share)} ({relays} {where})"


def _relays_by_region(fleet: Section) -> tuple[int, ...]:
    """Return how many relays each region wants, of those that want any; nothing if any part of that is not valid."""
    kind = fleet.section("cloud", CloudSpec).text("kind")
    if kind is None or not fleet.is_whole("regions"):
        return ()
    regions = tuple(fleet.sections("regions", RegionSpec))
    counts = (region.number("count") or 0 if kind == "aws" else _count_hosts(region) for region in regions)
    return tuple(count for count in counts if count)


def _count_hosts(region: Section) -> int:
    return sum(1 for host in region.sections("hosts", StaticHostSpec) if not host.flag("retire"))


RULES: tuple[Rule, ...] = (
    region_budget_is_within_fleet_budget,
    canaries_are_some_of_the_relays,
    draining_ends_after_its_least_time,
    progress_can_be_seen_before_its_deadline,
)
