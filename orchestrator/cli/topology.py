"""Commands about topologies: the fleet's own mesh, anybody's topology file, and those for consumers."""

from __future__ import annotations

import click

from orchestrator.cli.consumer import consumer_command
from orchestrator.cli.mesh import graph_command, show_command
from orchestrator.cli.topology_check import check_command


@click.group(
    "topology",
    short_help="Show the mesh, check topology files, write those of consumers.",
    epilog="Example: genesis-fleet topology check topology.json --node-version 11.0.1",
)
def topology_group() -> None:
    """Show and draw the mesh, check anybody's topology files, write ready ones for consumers."""


topology_group.add_command(show_command)
topology_group.add_command(graph_command)
topology_group.add_command(check_command)
topology_group.add_command(consumer_command)
