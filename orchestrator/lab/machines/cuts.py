"""Regions cut off from the rest of the lab: rules of the lab's own bridge table, beside those for single machines.

The machines of a cut region reach one another and nobody else: no other region, no partner, not the controller on this host.
What is cut is given anew each time, as a whole, and replaces what was cut before in one step. Addresses resolve on even then,
as with single machines (see `firewall`): a connection attempt times out, as over a real outage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from orchestrator.lab.machines.commands import run_command
from orchestrator.lab.machines.network import LabNetwork, observe_ports

# After the chains of `firewall`, which go first: a machine may be isolated within a cut region.
CHAIN = """\
add chain bridge {bridge} cut_{hook} {{ type filter hook {hook} priority 1; policy accept; }}
flush chain bridge {bridge} cut_{hook}
add rule bridge {bridge} cut_{hook} ether type ip6 icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
"""


def cut_regions(network: LabNetwork, regions: Mapping[str, Collection[str]]) -> None:
    """Cut off each of these regions, given as the names of its machines, and no other."""
    owners = observe_ports(network)
    cables = [
        tuple(sorted(port for port, owner in owners.items() if owner in names)) for _, names in sorted(regions.items())
    ]
    run_command("nft", "-f", "-", stdin=render_cuts(network.bridge, [ports for ports in cables if ports]))


def render_cuts(bridge: str, groups: Collection[tuple[str, ...]]) -> str:
    """Return the commands that cut off each group of ports, and nothing else."""
    text = "".join(CHAIN.format(bridge=bridge, hook=hook) for hook in ("input", "output", "forward"))
    for ports in groups:
        inside = "{ " + ", ".join(f'"{port}"' for port in ports) + " }"
        for hook, match in _matches(inside):
            text += f"add rule bridge {bridge} cut_{hook} ether type {{ ip, ip6 }} {match} drop\n"
    return text


def _matches(inside: str) -> Iterator[tuple[str, str]]:
    yield "input", f"iifname {inside}"
    yield "output", f"oifname {inside}"
    yield "forward", f"iifname {inside} oifname != {inside}"
    yield "forward", f"iifname != {inside} oifname {inside}"
