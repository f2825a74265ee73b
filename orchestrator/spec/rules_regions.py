"""Rules about the regions of a fleet and their hosts: what each kind of cloud needs, and what must be there only once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.spec.aws_regions import aws_regions
from orchestrator.spec.base import AccessPointSpec
from orchestrator.spec.expectations import expected_at, suggest
from orchestrator.spec.findings import Finding, render_path, show
from orchestrator.spec.model import CloudSpec, PartnerSpec, RegionSpec, StaticHostSpec, TopologySpec
from orchestrator.spec.rules import Rule, canonical_address
from orchestrator.spec.section import Section, find_repeated

NEEDED = {"aws": ("count", "image", "instance_type", "subnets"), "static": ("hosts",)}
FOREIGN = {
    "aws": {"hosts": "static"},
    "static": dict.fromkeys(("count", "image", "instance_type", "subnets", "disk_gib", "addresses"), "aws"),
}


def regions_exist(fleet: Section) -> Iterator[Finding]:
    """On aws, regions have the names that AWS gave them."""
    if _cloud(fleet) != "aws":
        return
    for name in fleet.keys("regions"):
        if fleet.has_valid_key("regions", name) and name not in aws_regions():
            nearest = suggest(name, aws_regions())
            text = f"found the region {show(name)}, expected one that AWS has, such as eu-central-1{nearest}"
            yield fleet.key_finding(text, "regions", name)


def regions_say_what_their_cloud_needs(fleet: Section) -> Iterator[Finding]:
    """A region says all that its cloud needs, and nothing that only the other cloud understands."""
    cloud = _cloud(fleet)
    if cloud not in NEEDED:
        return
    for region in fleet.sections("regions", RegionSpec):
        for key in NEEDED[cloud]:
            if region.is_whole(key) and not region.is_filled(key):
                yield region.finding(f"found nothing, {expected_at((*region.path, key))}: cloud.kind is {cloud}", key)
        for key, other in FOREIGN[cloud].items():
            if region.has(key):
                text = f"found a key that is for {other} only, expected none of it: cloud.kind is {cloud}"
                yield region.key_finding(text, key)


def cloud_keys_match_its_kind(fleet: Section) -> Iterator[Finding]:
    """A profile is a name in the configuration of AWS."""
    cloud = fleet.section("cloud", CloudSpec)
    if cloud.text("kind") == "static" and cloud.has("profile"):
        text = "found a key that is for aws only, expected none of it: cloud.kind is static"
        yield cloud.key_finding(text, "profile")


def release_runs_on_every_architecture(fleet: Section) -> Iterator[Finding]:
    """The wanted release has an archive for each architecture that a region has."""
    release = fleet.text("release")
    if release is None or release not in fleet.keys("releases"):
        return
    archives = fleet.section("releases").keys(release)
    for region in fleet.sections("regions", RegionSpec):
        architecture = region.text("architecture")
        if architecture is not None and architecture not in archives:
            known = " or ".join(archives) or "none yet"
            text = f"found {architecture}, expected one that release {release} has an archive for ({known})"
            yield region.finding(text, "architecture")


def fleet_has_relays(fleet: Section) -> Iterator[Finding]:
    """A fleet of no relay at all is a mistake, never a wish; destroying one is another command."""
    cloud = _cloud(fleet)
    if cloud not in NEEDED or not fleet.is_whole("regions") or not fleet.has("regions"):
        return
    regions = tuple(fleet.sections("regions", RegionSpec))
    key = "count" if cloud == "aws" else "hosts"
    if all(region.number(key) == 0 if cloud == "aws" else not region.is_filled(key) for region in regions):
        yield fleet.finding("found 0 relays in all regions together, expected at least 1", "regions")


def subnets_are_named_once(fleet: Section) -> Iterator[Finding]:
    """A subnet lies in one zone of one region; twice would count as two zones to spread over."""
    named = [item for region in fleet.sections("regions", RegionSpec) for item in region.texts("subnets")]
    subnets = {path: subnet for subnet, path in named}
    for path, first in find_repeated(named):
        text = f"found {show(subnets[path])} again ({render_path(first)} is it), expected each subnet once"
        yield fleet.finding(text, *path)


def hosts_are_named_once(fleet: Section) -> Iterator[Finding]:
    """Two entries for one host would be two relays on it; two hosts with one key cannot be told apart."""
    hosts = tuple(_hosts(fleet))
    addresses = ((canonical_address(text), host.path) for host in hosts if (text := host.text("address")))
    for path, first in find_repeated(addresses):
        address = fleet.at(path, StaticHostSpec).text("address")
        text = f"found {show(address)} again ({render_path(first)} has it), expected each host once"
        yield fleet.finding(text, *path, "address")
    for region in fleet.sections("regions", RegionSpec):
        numbers = ((host.number("number"), host.path) for host in region.sections("hosts", StaticHostSpec))
        for path, first in find_repeated((number, place) for number, place in numbers if number is not None):
            text = f"found the number of {render_path(first)} again, expected each host of a region to have its own"
            yield fleet.finding(text, *path, "number")
    # Without the comment at its end: two lines with the same key are the same key.
    keys = ((text.split()[1], host.path) for host in hosts if (text := host.text("host_key")))
    for path, first in find_repeated(keys):
        text = f"found the host key of {render_path(first)} again, expected each host to have a key of its own"
        yield fleet.finding(text, *path, "host_key")


def outside_is_not_inside(fleet: Section) -> Iterator[Finding]:
    """A relay of our own is no partner and no source from outside."""
    own = {canonical_address(host.text("address") or "") for host in _hosts(fleet)}
    topology = fleet.section("topology", TopologySpec)
    outside = (*fleet.sections("partners", PartnerSpec), *topology.sections("public_roots", AccessPointSpec))
    for point in outside:
        address = point.text("address")
        if address is not None and canonical_address(address) in own:
            text = f"found {show(address)}, a host of this fleet, expected a relay outside of it"
            yield point.finding(text, "address")


def partners_are_not_called_like_relays(fleet: Section) -> Iterator[Finding]:
    """What is seen of a partner would overwrite what is seen of a relay of that name; numbers not in use yet count too."""
    own = fleet.text("fleet")
    regions = [re.escape(region) for region in fleet.keys("regions")]
    if own is None or not regions:
        return
    relay = re.compile(rf"{re.escape(own)}-({'|'.join(regions)})-([0-9]{{2,}})")
    for partner in fleet.sections("partners", PartnerSpec):
        name = partner.text("name")
        found = relay.fullmatch(name) if name is not None else None
        if found is not None:
            text = f"found {show(name)}, the name of relay {int(found[2])} of {render_path(('regions', found[1]))}"
            yield partner.finding(f"{text}, expected a name that no relay of this fleet can have", "name")


def _cloud(fleet: Section) -> str:
    return fleet.section("cloud", CloudSpec).text("kind") or ""


def _hosts(fleet: Section) -> Iterator[Section]:
    for region in fleet.sections("regions", RegionSpec):
        yield from region.sections("hosts", StaticHostSpec)


RULES: tuple[Rule, ...] = (
    regions_exist,
    regions_say_what_their_cloud_needs,
    cloud_keys_match_its_kind,
    release_runs_on_every_architecture,
    fleet_has_relays,
    subnets_are_named_once,
    hosts_are_named_once,
    outside_is_not_inside,
    partners_are_not_called_like_relays,
)
