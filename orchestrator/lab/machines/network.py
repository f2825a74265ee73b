"""A lab's network: one bridge, a namespace for each machine on it, and a firewall that lets nothing out.

Every name begins with the lab's prefix (`gf-` and five digits of the lab's hash), so that deleting a lab removes exactly
what it made. There is no address translation and no forwarding: machines reach one another and this host's end of the
bridge. Ranges come from 10.64.0.0/10's and upwards; which one is recorded by the caller. Who gets which address is
decided elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.commands import run_command, try_command
from orchestrator.lab.machines.firewall import render_firewall

Address = IPv4Address | IPv6Address
Range = IPv4Network | IPv6Network

NAMESPACES = Path("/run/netns")

# The name that the first network card of an instance has on AWS's current hosts.
CARD = "ens5"

# Second octets of the ranges to choose from: 10.0 to 10.63 are the ones most often used at home and at work.
FIRST_OCTET, LAST_OCTET = 64, 255


@dataclass(frozen=True, slots=True)
class LabNetwork:
    """The addresses of one lab and the name of its bridge, which is also the prefix of all its other names."""

    lab: str
    bridge: str
    v4: IPv4Network
    v6: IPv6Network

    @property
    def gateway_v4(self) -> IPv4Address:
        """This host's end of the bridge, and the machines' way out to nowhere."""
        return self.v4[1]

    @property
    def gateway_v6(self) -> IPv6Address:
        """The same by IPv6."""
        return self.v6[1]

    def namespace(self, name: str) -> str:
        """Name the network namespace of `name`."""
        return f"{self.bridge}-{name}"

    def port(self, primary: IPv4Address) -> str:
        """Name the host's end of a machine's cable: unique, because the primary address is, and short enough."""
        return f"{self.bridge}{int(primary) - int(self.v4.network_address):04x}"


def pick_network(lab: str, taken: Iterable[Range]) -> LabNetwork:
    """Choose the ranges of a lab from its name: the same name gives the same answer while nothing is in the way."""
    taken = tuple(taken)
    digest = hashlib.sha256(lab.encode()).digest()
    octets = LAST_OCTET - FIRST_OCTET + 1
    for step in range(octets):
        octet = FIRST_OCTET + (digest[8] + step) % octets
        network = LabNetwork(
            lab=lab,
            bridge=name_bridge(lab),
            v4=IPv4Network((f"10.{octet}.0.0", 16)),
            v6=IPv6Network((bytes([0xFD, *digest[9:13], octet]) + bytes(10), 48)),
        )
        if not find_overlaps(network, taken):
            return network
    raise LabUnavailable(
        f"no range of 10.{FIRST_OCTET}.0.0 to 10.{LAST_OCTET}.255.255 is free for lab {lab}",
        next_step="Take down a lab that is not needed, or remove a route to all of 10.0.0.0/8 (see `ip route`).",
    )


def name_bridge(lab: str) -> str:
    """Name the bridge of a lab: 8 of the 15 characters that Linux allows, the rest is for its ports."""
    return f"gf-{hashlib.sha256(lab.encode()).hexdigest()[:5]}"


def find_overlaps(network: LabNetwork, taken: Iterable[Range]) -> tuple[Range, ...]:
    """Return those of the taken ranges that share an address with this network."""
    own: tuple[Range, ...] = (network.v4, network.v6)
    return tuple(other for other in taken for mine in own if _overlap(mine, other))


def _overlap(one: Range, other: Range) -> bool:
    return one.version == other.version and int(one[0]) <= int(other[-1]) and int(other[0]) <= int(one[-1])


def observe_taken_ranges(lab: str) -> tuple[Range, ...]:
    """Return every range that this host has a route to, other than by default and by this lab's own bridge."""
    own = name_bridge(lab)
    taken: set[Range] = set()
    for family in ("-4", "-6"):
        for route in json.loads(run_command("ip", "-j", family, "route", "show", "table", "all") or "[]"):
            if route["dst"] != "default" and route.get("dev") != own and route.get("type") != "multicast":
                taken.add(ip_network(route["dst"], strict=False))
    return tuple(sorted(taken, key=str))


def start_network(network: LabNetwork) -> None:
    """Bring up bridge, gateway addresses and firewall; take up what is there. Raises LabUnavailable on an overlap."""
    overlaps = find_overlaps(network, observe_taken_ranges(network.lab))
    if overlaps:
        raise LabUnavailable(
            f"lab {network.lab} uses {network.v4} and {network.v6}, but this host reaches "
            f"{', '.join(str(taken) for taken in overlaps)} elsewhere",
            next_step="Delete the lab's recorded state (`genesis-fleet lab down`): the next `lab up` picks another range.",
        )
    # The firewall first: not one packet of a machine leaves before it stands.
    run_command("nft", "-f", "-", stdin=render_firewall(network.bridge, network.v4, network.v6))
    if not _exists(network.bridge):
        run_command("ip", "link", "add", network.bridge, "type", "bridge")
    run_command(
        "ip", "-batch", "-",
        stdin=f"addr replace {network.gateway_v4}/{network.v4.prefixlen} dev {network.bridge}\n"
        f"addr replace {network.gateway_v6}/{network.v6.prefixlen} dev {network.bridge} nodad\n"
        f"link set {network.bridge} up\n",
    )  # fmt: skip


def connect(network: LabNetwork, name: str, addresses: Sequence[Address]) -> Path:
    """Give `name` a namespace on the bridge with these addresses, the first IPv4 one its primary; return its path."""
    primary = _check_addresses(network, name, addresses)
    namespace, port = network.namespace(name), network.port(primary)
    path = NAMESPACES / namespace
    if not path.exists():
        run_command("ip", "netns", "add", namespace)
    if not _exists(port):
        run_command("ip", "link", "add", port, "type", "veth", "peer", "name", CARD, "netns", namespace)
    run_command("ip", "link", "set", port, "alias", name, "master", network.bridge, "up")
    inside = ["link set lo up", *(_render_address(network, address) for address in addresses)]
    inside += [f"link set {CARD} up", f"route replace default via {network.gateway_v4}"]
    if any(address.version == 6 for address in addresses):
        inside += [f"route replace ::/0 via {network.gateway_v6}"]
    run_command("ip", "-n", namespace, "-batch", "-", stdin="\n".join(inside) + "\n")
    return path


def disconnect(network: LabNetwork, name: str) -> None:
    """Pull the cable of `name` and remove its namespace. Nothing happens if it has none."""
    heal(network, name)
    port = find_port(network, name)
    if port is not None:
        try_command("ip", "link", "delete", port)
    if (NAMESPACES / network.namespace(name)).exists():
        run_command("ip", "netns", "delete", network.namespace(name))


def add_address(network: LabNetwork, name: str, address: Address) -> None:
    """Give a connected namespace one more address, at once. Others see what it dials from there, as through a cloud's gateway."""
    _check_addresses(network, name, [network.v4[2], address])
    commands = [_render_address(network, address)]
    if address.version == 4:
        commands.append(f"route replace {network.v4} dev {CARD} scope link src {address}")
    run_command("ip", "-n", network.namespace(name), "-batch", "-", stdin="\n".join(commands) + "\n")
    # Whoever had the address before is still known by its card here, and would be for half a minute.
    try_command("ip", "neigh", "flush", "to", str(address), "dev", network.bridge)


def remove_address(network: LabNetwork, name: str, address: Address) -> None:
    """Take an address away again. Nothing happens if the namespace does not have it."""
    prefix = network.v4.prefixlen if address.version == 4 else network.v6.prefixlen
    outcome = try_command("ip", "-n", network.namespace(name), "addr", "del", f"{address}/{prefix}", "dev", CARD)
    absent = any(words in outcome.stderr for words in ("Cannot assign", "Address not found", "Cannot open"))
    if outcome.returncode != 0 and not absent:
        raise LabUnavailable(
            f"address {address} of {name} could not be removed: {outcome.stderr.strip()}",
            next_step=f"See `ip -n {network.namespace(name)} addr`, then repeat.",
        )
    if outcome.returncode == 0 and address.version == 4:  # the way out went with the address that it was dialled from
        run_command(
            "ip", "-n", network.namespace(name), "route", "replace", str(network.v4), "dev", CARD, "scope", "link"
        )


def isolate(network: LabNetwork, name: str) -> None:
    """Drop every packet to and from `name`, silently, as a broken route far away would; it notices nothing itself."""
    _change_isolated(network, name, "add")


def heal(network: LabNetwork, name: str) -> None:
    """Let packets of `name` through again. Nothing happens if they already go through."""
    if is_isolated(network, name):
        _change_isolated(network, name, "delete")


def is_isolated(network: LabNetwork, name: str) -> bool:
    """Say whether `name` is cut off."""
    return name in observe_isolated(network)


def _change_isolated(network: LabNetwork, name: str, change: str) -> None:
    port = find_port(network, name)
    if port is None:
        raise LabUnavailable(
            f"{name} has no cable in lab {network.lab}", next_step="See `genesis-fleet lab status` for what runs."
        )
    run_command("nft", change, "element", "bridge", network.bridge, "isolated", f'{{ "{port}" }}')


def find_port(network: LabNetwork, name: str) -> str | None:
    """Return the host's end of the cable of `name`: it bears the name as its alias."""
    return next((port for port, owner in observe_ports(network).items() if owner == name), None)


def observe_isolated(network: LabNetwork) -> frozenset[str]:
    """Return the names of all that are cut off, as the firewall itself has it."""
    listed = try_command("nft", "list", "set", "bridge", network.bridge, "isolated").stdout
    return frozenset(owner for port, owner in observe_ports(network).items() if f'"{port}"' in listed)


def observe_addresses(network: LabNetwork, pid: int) -> frozenset[Address]:
    """Return the lab addresses in the network namespace of a process, without starting a program for it."""
    try:
        tables = [Path(f"/proc/{pid}/net/{table}").read_text() for table in ("fib_trie", "if_inet6")]
    except OSError:  # it ended
        return frozenset()
    v4 = {address for address in parse_fib_trie(tables[0]) if address in network.v4}
    v6 = {address for address in parse_if_inet6(tables[1]) if address in network.v6}
    return frozenset((*v4, *v6))


def parse_fib_trie(text: str) -> frozenset[IPv4Address]:
    """Read the kernel's routing trie: an address of this host is a leaf whose next line says `/32 host LOCAL`."""
    lines = [line.split() for line in text.splitlines()]
    return frozenset(
        IPv4Address(leaf[1])
        for leaf, below in itertools.pairwise(lines)
        if leaf[:1] == ["|--"] and below == ["/32", "host", "LOCAL"]
    )


def parse_if_inet6(text: str) -> frozenset[IPv6Address]:
    """Read the kernel's list of IPv6 addresses, 32 digits at the beginning of each line."""
    return frozenset(IPv6Address(int(line.split()[0], 16)) for line in text.splitlines())


def observe_ports(network: LabNetwork) -> dict[str, str]:
    """Return who is at the other end of each port, by the port's name."""
    ports = {}
    for card in Path("/sys/class/net").glob(f"{network.bridge}?*"):
        with contextlib.suppress(OSError):  # gone since it was listed
            ports[card.name] = (card / "ifalias").read_text().strip()
    return ports


def delete_network(network: LabNetwork) -> None:
    """Remove every namespace, cable, bridge and firewall table of this lab's prefix, and nothing else."""
    namespaces = NAMESPACES.glob(f"{network.bridge}-*") if NAMESPACES.is_dir() else iter(())
    for namespace in namespaces:
        run_command("ip", "netns", "delete", namespace.name)
    links = json.loads(run_command("ip", "-j", "link", "show") or "[]")
    for link in links:
        if link["ifname"].startswith(network.bridge):
            try_command("ip", "link", "delete", link["ifname"])
    for family in ("bridge", "inet"):
        try_command("nft", "delete", "table", family, network.bridge)


def _check_addresses(network: LabNetwork, name: str, addresses: Sequence[Address]) -> IPv4Address:
    for address in addresses:
        if address not in (network.v4 if address.version == 4 else network.v6):
            raise LabUnavailable(
                f"{name} asks for {address}, which is not of lab {network.lab} ({network.v4}, {network.v6})",
                next_step="Give lab machines addresses of the lab's own ranges only.",
            )
    primary = next((address for address in addresses if isinstance(address, IPv4Address)), None)
    if primary is None:
        raise LabUnavailable(f"{name} has no IPv4 address", next_step="Give every lab machine an IPv4 address.")
    return primary


def _render_address(network: LabNetwork, address: Address) -> str:
    if address.version == 4:
        return f"addr replace {address}/{network.v4.prefixlen} dev {CARD}"
    # Duplicate detection would keep the address unusable for the first second.
    return f"addr replace {address}/{network.v6.prefixlen} dev {CARD} nodad"


def _exists(link: str) -> bool:
    return Path(f"/sys/class/net/{link}").exists()
