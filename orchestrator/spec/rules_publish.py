"""Rules about publishing: what a provider needs, and that a relay stays out of the names for long enough."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from orchestrator.spec.fields import render_duration
from orchestrator.spec.findings import Finding, show
from orchestrator.spec.policies import PublishSpec, RolloutSpec
from orchestrator.spec.rules import Rule
from orchestrator.spec.section import Section


def route53_has_zone_and_name(fleet: Section) -> Iterator[Finding]:
    """Whoever keeps records needs to know where, and under which name."""
    publish = fleet.section("publish", PublishSpec)
    if publish.text("provider") != "route53":
        return
    for key, example in (("zone", "Z0123456789ABCDEFGHIJ"), ("name", "relays.example.org")):
        if publish.is_whole(key) and publish.text(key) is None:
            yield publish.finding(
                f'found no {key} beside provider "route53", expected one such as {example}', "provider"
            )


def published_name_is_a_name(fleet: Section) -> Iterator[Finding]:
    """An address can have no names below it."""
    publish = fleet.section("publish", PublishSpec)
    name = publish.text("name")
    if name is None:
        return
    try:
        ip_address(name)
    except ValueError:
        if "." not in name:
            yield publish.finding(f"found {show(name)}, expected a DNS name such as relays.example.org", "name")
    else:
        yield publish.finding(f"found {show(name)}, expected a DNS name such as relays.example.org", "name")


def draining_outlives_the_answers(fleet: Section) -> Iterator[Finding]:
    """A relay that stops before answers about it are forgotten is still dialled."""
    publish, rollout = fleet.section("publish", PublishSpec), fleet.section("rollout", RolloutSpec)
    if publish.text("provider") != "route53":
        return
    ttl, least = publish.duration("ttl"), rollout.duration("drain_time")
    if ttl is None or least is None or least >= ttl:
        return
    place, key = (publish, "ttl") if publish.has("ttl") else (rollout, "drain_time")
    text = (
        f"found publish.ttl of {render_duration(ttl)} and rollout.drain_time of {render_duration(least)},"
        " expected a drain_time of at least the ttl: until then consumers may still come"
    )
    yield place.finding(text, key)


RULES: tuple[Rule, ...] = (
    route53_has_zone_and_name,
    published_name_is_a_name,
    draining_outlives_the_answers,
)
