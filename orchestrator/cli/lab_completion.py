"""What a shell completes after the lab's verbs: names of the fleet file's relays, partners and regions, and of labs.
Asks no lab.
"""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.looking import complete_relays
from orchestrator.errors import FleetError
from orchestrator.lab import running


def complete_machines(context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Complete relays."""
    return complete_relays(context, text)


def complete_nodes(context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Complete relays, and partners: their nodes do wrong as well."""
    _, partners = _regions_and_partners(context)
    return [*complete_relays(context, text), *(name for name in partners if name.startswith(text))]


def complete_regions(context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Complete regions."""
    regions, _ = _regions_and_partners(context)
    return [name for name in regions if name.startswith(text)]


def complete_places(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Complete regions, and relays: either may have been cut off."""
    return [*complete_regions(context, parameter, text), *complete_relays(context, text)]


def complete_labs(_context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Complete the labs of this machine."""
    return [name for name in running.list_labs() if name.startswith(text)]


def _regions_and_partners(context: click.Context) -> tuple[list[str], list[str]]:
    """Return their names; none where the fleet file cannot be read."""
    from orchestrator.spec.load import parse_fleet

    try:
        spec = parse_fleet(context.find_root().params.get("fleet") or Path("fleet.yaml"))
    except FleetError:
        return [], []
    return sorted(spec.regions), [partner.name for partner in spec.partners]
