"""What the mesh is worth, counted by networkx on the finished graph: never by those who made it."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from orchestrator.cli.mesh_view import MeshView, Standing

MOST_COUNTED = 400
"""Relays up to which the exact connectivity is counted: a second for so many, and it grows with the square."""


@dataclass(frozen=True, slots=True)
class MeshNumbers:
    """Of the relays that take part: who is quarantined or has no address is no part of the mesh. Partners do not count."""

    relays: int
    links: int
    """Pairs of which at least one names the other."""
    fewest: int
    """Links of the relay that has the fewest."""
    most: int
    diameter: int | None
    """Steps between the two that are farthest apart; None if the mesh is not in one piece, or has no relay."""
    connectivity: int | None
    """How many relays must go before the rest falls apart; None where it was too long to count."""
    torn_without: tuple[str, ...]
    """Regions whose loss would tear the rest apart."""
    serving: int
    serving_pieces: int
    """In how many pieces those that serve are, if nobody else passes anything on."""


def count_numbers(view: MeshView) -> MeshNumbers:
    """Count them all."""
    mesh = mesh_graph(view)
    region = {relay.name: relay.region for relay in view.relays}
    degrees = [degree for _, degree in mesh.degree]
    serving = [relay.name for relay in view.relays if relay.standing in (Standing.SERVES, Standing.PLANNED)]
    return MeshNumbers(
        relays=len(mesh),
        links=mesh.number_of_edges(),
        fewest=min(degrees, default=0),
        most=max(degrees, default=0),
        diameter=nx.diameter(mesh) if len(mesh) and nx.is_connected(mesh) else None,
        connectivity=_connectivity(mesh),
        torn_without=tuple(
            lost
            for lost in sorted({region[name] for name in mesh})
            if not _is_whole(mesh.subgraph([name for name in mesh if region[name] != lost]))
        ),
        serving=len(serving),
        serving_pieces=nx.number_connected_components(mesh.subgraph(serving)),
    )


def mesh_graph(view: MeshView) -> nx.Graph[str]:
    """Return the graph of who names whom, of those alone who take part."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(relay.name for relay in view.relays if relay.takes_part)
    graph.add_edges_from((relay.name, other) for relay in view.relays for other in relay.names)
    return graph


def _connectivity(mesh: nx.Graph[str]) -> int | None:
    if len(mesh) > MOST_COUNTED:
        return None
    return int(nx.node_connectivity(mesh)) if len(mesh) > 1 else 0


def _is_whole(graph: nx.Graph[str]) -> bool:
    return len(graph) == 0 or bool(nx.is_connected(graph))
