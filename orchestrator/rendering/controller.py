"""The systemd unit of the controller itself, as hardened as the relays'."""

from __future__ import annotations

from pathlib import Path

from orchestrator.rendering.templating import render_text
from orchestrator.rendering.values import Templates
from orchestrator.spec.model import FleetSpec

TEMPLATE = "genesis-fleet-controller.service.j2"

STOP_TIMEOUT_SECONDS = 900
"""Longer than a node may take to stop: what was started has to end before the lease is given back."""


HOMES = ("/home", "/root", "/run/user")
"""What ProtectHome hides."""


def render_controller_unit(spec: FleetSpec, templates: Templates, fleet_file: Path, program: Path, user: str) -> str:
    """Return the unit's text for a fleet file and the program, both as absolute paths. Raises RenderFailed."""
    key = fleet_file.parent / Path(spec.ssh.private_key).expanduser()
    at_home = sorted(str(path) for path in {fleet_file.parent, key, program.parent.parent} if _is_at_home(path))
    values = {
        "fleet": spec.fleet,
        "at_home": at_home,
        "folder_at_home": str(fleet_file.parent) in at_home,
        "user": user,
        "folder": fleet_file.parent,
        "fleet_file": fleet_file,
        "program": program,
        "stop_timeout_seconds": STOP_TIMEOUT_SECONDS,
    }
    return render_text(templates, TEMPLATE, values)


def _is_at_home(path: Path) -> bool:
    return any(path.is_relative_to(home) for home in HOMES)
