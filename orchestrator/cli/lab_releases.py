"""`lab releases` and `lab init`: what a lab offers for download, and the fleet file that names it."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from orchestrator.cli.looking import as_json, data_console
from orchestrator.lab.fleet_file import render_artifact, render_lab_fleet
from orchestrator.lab.machines.layout import LABS, check_name
from orchestrator.lab.machines.network import pick_network
from orchestrator.lab.releases.bad import KINDS
from orchestrator.lab.releases.offers import build_offers, find_offers
from orchestrator.lab.running import RELEASES
from orchestrator.spec.schema import render_schema

lab_name = click.argument("name", default="demo")


@click.command(
    "releases", short_help="List what a lab offers for download.", epilog="Example: genesis-fleet lab releases --json"
)
@lab_name
@as_json
def releases_command(name: str, as_json: bool) -> int:
    """List the releases that a lab offers, with their addresses and checksums: good ones, and bad ones to try a rollout with."""
    network = pick_network(check_name(name), ())
    offers = find_offers(LABS / name / RELEASES)
    if as_json:
        document = [
            {"version": offer.release.version, "bad": offer.kind, **render_artifact(network, offer.release)}
            for offer in offers
        ]
        click.echo(json.dumps(document))
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("version", "bad", "url", "sha256"):
        table.add_column(title, overflow="fold")
    for offer in offers:
        table.add_row(offer.release.version, offer.kind or "", *render_artifact(network, offer.release).values())
    data_console().print(table)
    for kind, bad in KINDS.items():
        click.echo(f"{kind}: {bad.text}")
    return 0


@click.command(
    "init", short_help="Write the fleet file of a lab.", epilog="Example: genesis-fleet lab init mine -o inventory/mine"
)
@lab_name
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder to write to."
)
@click.option("--network", default="network", show_default=True, help="Network folder, relative to the file.")
@click.option("--bad-releases", is_flag=True, help="Name the bad releases, too.")
def init_command(name: str, output: Path, network: str, bad_releases: bool) -> int:
    """Write the fleet file of a lab, with the ranges and release checksums that this lab will have."""
    offers = build_offers(LABS / name / RELEASES)
    releases = [offer.release for offer in offers if bad_releases or offer.kind is None]
    output.mkdir(parents=True, exist_ok=True)
    (output / "fleet.yaml").write_text(render_lab_fleet(name, releases, network_folder=network), encoding="utf-8")
    (output / "fleet.schema.json").write_text(render_schema(), encoding="utf-8")
    click.echo(f"wrote {output / 'fleet.yaml'}", err=True)
    return 0
