"""The firewall of one lab, as text for `nft -f`: two tables that bear the bridge's name. Loading it twice changes nothing.

In the host's own table: nothing is forwarded between the bridge and any other card, and machines reach this host only at
addresses of their own lab. In the bridge's table: ports in the set `isolated` are cut off. Addresses resolve on (ARP,
neighbour discovery) even then, so that a connection attempt times out, as over a real outage, instead of failing at once.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

HOST_TABLE = """\
add table inet {bridge}
add chain inet {bridge} input {{ type filter hook input priority -10; policy accept; }}
add chain inet {bridge} forward {{ type filter hook forward priority -10; policy accept; }}
flush chain inet {bridge} input
flush chain inet {bridge} forward
add rule inet {bridge} input iifname "{bridge}" ip saddr != {v4} drop
add rule inet {bridge} input iifname "{bridge}" ip daddr != {{ {v4}, 224.0.0.0/4 }} drop
add rule inet {bridge} input iifname "{bridge}" ip6 daddr != {{ {v6}, fe80::/10, ff00::/8 }} drop
add rule inet {bridge} forward iifname "{bridge}" oifname != "{bridge}" drop
add rule inet {bridge} forward oifname "{bridge}" iifname != "{bridge}" drop
"""

BRIDGE_TABLE = """\
add table bridge {bridge}
add set bridge {bridge} isolated {{ type ifname; }}
"""

BRIDGE_CHAIN = """\
add chain bridge {bridge} {hook} {{ type filter hook {hook} priority 0; policy accept; }}
flush chain bridge {bridge} {hook}
add rule bridge {bridge} {hook} ether type ip6 icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
"""


def render_firewall(bridge: str, v4: IPv4Network, v6: IPv6Network) -> str:
    """Return the commands that bring both tables to their wanted state and keep who is isolated."""
    text = HOST_TABLE.format(bridge=bridge, v4=v4, v6=v6) + BRIDGE_TABLE.format(bridge=bridge)
    for hook, cards in (("input", ["iifname"]), ("output", ["oifname"]), ("forward", ["iifname", "oifname"])):
        text += BRIDGE_CHAIN.format(bridge=bridge, hook=hook)
        for card in cards:
            text += f"add rule bridge {bridge} {hook} ether type {{ ip, ip6 }} {card} @isolated drop\n"
    return text
