"""`python -m benchmarks.mesh`: our mesh beside the rules of others, as the table of docs/mesh.md. `--write` puts it there.

Everything is counted by networkx, and the same on any machine: nothing is timed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import networkx as nx

from benchmarks.mesh_rules import RULES, Rule
from orchestrator.fleet.relay import Relay, relay_name

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "mesh.md"
BEGIN, END = "<!-- table: python -m benchmarks.mesh --write -->\n", "<!-- end of table -->"

FLEETS = {20: (5,) * 4, 60: (10,) * 6, 200: (20,) * 10}
"""Relays of each region, by the size of the fleet."""

HEAD = (
    "relays", "rule", "names", "links of a relay", "links", "steps", "connectivity", "any region may go",
    "regions named", "files changed: one joins", "one leaves",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one fleet."""

    rule: str
    named: Sequence[int]
    """How many each relay names."""
    degrees: Sequence[int]
    links: int
    diameter: int
    connectivity: int
    torn_without: tuple[str, ...]
    regions: float
    """In how many regions those are whom a relay names, on average; its own may be one of them."""
    joining: Sequence[int]
    """Other relays' files that change when the next number of a region joins, for each region."""
    leaving: Sequence[int]
    """The same when one leaves, for each relay."""


def make_fleet(counts: Sequence[int]) -> list[Relay]:
    """Return relays 1 to so many for each region."""
    return [
        Relay(relay_name("demo", f"region-{number:02d}", index), f"region-{number:02d}", index)
        for number, count in enumerate(counts, start=1)
        for index in range(1, count + 1)
    ]


def measure(name: str, rule: Rule, relays: Sequence[Relay]) -> Row:
    """Count everything about one rule on one fleet."""
    named = rule(relays)
    graph: nx.Graph[str] = nx.Graph([(relay, other) for relay, others in named.items() for other in others])
    region = {relay.name: relay.region for relay in relays}
    regions = sorted(set(region.values()))
    newcomers = [_newcomer(relays, place) for place in regions]
    return Row(
        rule=name,
        named=[len(others) for others in named.values()],
        degrees=[degree for _, degree in graph.degree],
        links=graph.number_of_edges(),
        diameter=nx.diameter(graph),
        connectivity=int(nx.node_connectivity(graph)),
        torn_without=tuple(
            lost for lost in regions if not nx.is_connected(graph.subgraph([n for n in graph if region[n] != lost]))
        ),
        regions=mean(len({region[other] for other in others}) for others in named.values()),
        joining=[_count_changes(named, rule([*relays, newcomer])) for newcomer in newcomers],
        leaving=[_count_changes(named, rule([relay for relay in relays if relay != gone])) for gone in relays],
    )


def render_rows(size: int) -> list[str]:
    """Return the table's lines for the fleet of that size."""
    relays = make_fleet(FLEETS[size])
    return [_line(_cells(size, measure(name, rule, relays))) for name, rule in RULES.items()]


def render_table() -> str:
    """Return the whole table."""
    lines = [_line(HEAD), _line(["---:", "---", *["---:"] * (len(HEAD) - 2)])]
    return "\n".join([*lines, *(line for size in FLEETS for line in render_rows(size))])


def main() -> int:
    """Print the table, or write it into its document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mesh", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write it into {DOCUMENT.name}")
    table = render_table()
    if not parser.parse_args().write:
        print(table)
        return 0
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


def _newcomer(relays: Sequence[Relay], region: str) -> Relay:
    index = 1 + max(relay.index for relay in relays if relay.region == region)
    return Relay(relay_name("demo", region, index), region, index)


def _count_changes(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> int:
    return sum(1 for name in before.keys() & after.keys() if set(before[name]) != set(after[name]))


def _cells(size: int, row: Row) -> Iterator[str]:
    yield str(size)
    yield row.rule
    yield _range(row.named)
    yield _range(row.degrees)
    yield str(row.links)
    yield str(row.diameter)
    yield str(row.connectivity)
    yield "yes" if not row.torn_without else f"not {len(row.torn_without)} of {len(FLEETS[size])}"
    yield f"{row.regions:.1f}"
    yield from (f"{mean(changes):.1f}, at most {max(changes)}" for changes in (row.joining, row.leaving))


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}–{high}"


def _line(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
