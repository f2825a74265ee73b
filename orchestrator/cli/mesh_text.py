"""The mesh in words: a line per relay under its region, everything about one relay, the numbers; the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.cli.mesh_numbers import MeshNumbers
from orchestrator.cli.mesh_view import LocalRoots, MeshRelay, MeshView, Standing
from orchestrator.cli.naming import abbreviate_names
from orchestrator.cli.tables import Column, fit_table

COLOURS = {
    Standing.PLANNED: "",
    Standing.SERVES: "green",
    Standing.BROKEN: "yellow",
    Standing.UNKNOWN: "magenta",
    Standing.QUARANTINED: "red",
}


def mesh_json(view: MeshView, numbers: MeshNumbers, relays: tuple[MeshRelay, ...]) -> dict[str, Any]:
    """Return what `topology show --json` prints: these relays, and the numbers of the whole mesh."""
    document: dict[str, Any] = {"fleet": view.fleet, "relays": [_relay_json(relay) for relay in relays]}
    if view.partners:
        document["partners"] = dict(view.partners)
    document["mesh"] = {
        **asdict(numbers),
        "torn_without": list(numbers.torn_without),
        "wanted_connectivity": view.connectivity,
    }
    return document


def _relay_json(relay: MeshRelay) -> dict[str, Any]:
    return {
        "name": relay.name,
        "region": relay.region,
        "address": relay.address,
        "standing": relay.standing.value,
        "phase": relay.phase or None,
        "reason": relay.reason or None,
        "takes_part": relay.takes_part,
        "names": list(relay.names),
        "named_by": list(relay.named_by),
        "partners": list(relay.partners),
        "local_roots": {"relays": asdict(relay.own_roots), "partners": asdict(relay.partner_roots)},
    }


def mesh_tables(view: MeshView, width: int) -> Iterator[tuple[str, Table]]:
    """Yield each region's name with a line for each of its relays: whom it names comes last, for it may be long."""
    looked = any(relay.standing is not Standing.PLANNED for relay in view.relays)
    for region, group in groupby(view.relays, key=lambda relay: relay.region):
        relays = list(group)
        columns = [Column("relay", [relay.name for relay in relays])]
        if looked:
            columns += [
                Column("standing", [_standing(relay) for relay in relays]),
                Column("address", [relay.address or "–" for relay in relays], goes=3),
            ]
        columns += [
            Column("hot/warm", [_valencies(relay) for relay in relays], goes=2),
            Column("named by", [str(len(relay.named_by)) for relay in relays], goes=4),
            Column("partners", [", ".join(relay.partners) or "none" for relay in relays], goes=1),
            Column("names", [", ".join(abbreviate_names(relay.names)) or "nobody" for relay in relays]),
        ]
        yield region, fit_table(columns, width)


def relay_lines(view: MeshView, relay: MeshRelay) -> list[str]:
    """Return everything about one relay's place in the mesh."""
    by_name = {other.name: other for other in view.relays}
    state = relay.standing.value if not relay.reason else f"{relay.standing.value}: {relay.reason}"
    where = "" if relay.standing is Standing.PLANNED else f" {relay.address or 'address not known'},"
    lines = [f"{relay.name} in {relay.region},{where} {state}"]
    lines.append(f"names {len(relay.names)} relays{_group_note(relay.own_roots, len(relay.names))}:")
    lines += [f"  {_one_line(by_name[name])}" for name in relay.names]
    lines.append(f"is named by {len(relay.named_by)}:")
    lines += [f"  {_one_line(by_name[name])}" for name in relay.named_by]
    lines.append(f"names {len(relay.partners)} partners{_group_note(relay.partner_roots, len(relay.partners))}:")
    lines += [f"  {name}{f', {view.partners[name]}' if name in view.partners else ''}" for name in relay.partners]
    return lines


def number_lines(view: MeshView, numbers: MeshNumbers) -> list[str]:
    """Return what the mesh is worth, in sentences; those that begin with `!` are bad news."""
    regions = len({relay.region for relay in view.relays if relay.takes_part})
    lines = [
        f"{numbers.relays} relays in {regions} regions, {numbers.links} links, {numbers.fewest} to {numbers.most} a relay"
        + ("" if numbers.diameter is None else f"; at most {numbers.diameter} steps between any two"),
        _connectivity_line(view, numbers),
    ]
    if numbers.torn_without:
        lines.append(f"! falls apart without {', '.join(numbers.torn_without)}")
    elif regions > 1:
        lines.append("any one region may go: the rest stays in one piece, partners not counted")
    for standing in (Standing.BROKEN, Standing.UNKNOWN, Standing.QUARANTINED):
        found = [relay for relay in view.relays if relay.standing is standing]
        lines += [f"! {relay.name} {_with_reason(relay)}" for relay in found]
    if 0 < numbers.serving < len(view.relays):
        pieces = "one piece" if numbers.serving_pieces == 1 else f"{numbers.serving_pieces} pieces"
        mark = "" if numbers.serving_pieces == 1 else "! "
        lines.append(f"{mark}the {numbers.serving} that serve are in {pieces}")
    return lines


def _connectivity_line(view: MeshView, numbers: MeshNumbers) -> str:
    if numbers.connectivity is None:
        return f"connectivity {view.connectivity} by construction; too many relays to count it again"
    possible = min(view.connectivity, max(numbers.relays - 1, 0))
    if numbers.connectivity < possible:
        return f"! connectivity {numbers.connectivity}, asked for {view.connectivity}"
    line = f"connectivity {numbers.connectivity} (asked for {view.connectivity})"
    if numbers.connectivity > 1:
        line += f": any {numbers.connectivity - 1} relays may go"
    return line if possible == view.connectivity else f"{line}: as much as {numbers.relays} relays allow"


def _with_reason(relay: MeshRelay) -> str:
    note = "" if relay.takes_part else ", so nobody names it"
    return f"{relay.standing.value}{note}: {relay.reason}"


def _standing(relay: MeshRelay) -> Text:
    serving = relay.standing in (Standing.SERVES, Standing.QUARANTINED, Standing.UNKNOWN)
    return Text(relay.standing.value if serving else relay.phase, style=COLOURS[relay.standing])


def _valencies(relay: MeshRelay) -> str:
    own, partners = relay.own_roots, relay.partner_roots
    return f"{own.hot}/{own.warm} + {partners.hot}/{partners.warm}"


def _group_note(roots: LocalRoots, named: int) -> str:
    note = f" (hot {roots.hot}, warm {roots.warm}"
    return f"{note})" if roots.members == named else f"{note}; {named - roots.members} have no address yet)"


def _one_line(relay: MeshRelay) -> str:
    state = f", {relay.standing.value}" if relay.standing is not Standing.PLANNED else ""
    return f"{relay.name}{f', {relay.address}' if relay.address else ''}{state}"
