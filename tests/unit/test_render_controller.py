"""The controller's own unit: valid, as hardened as the relays', and ended in its own time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.rendering.controller import STOP_TIMEOUT_SECONDS, render_controller_unit
from tests.rendering_builders import TEMPLATES, fleet_spec

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def unit(program: str = "/bin/true", folder: str = "/srv/fleet") -> str:
    spec = fleet_spec(ssh={"allowed_from": ("192.0.2.0/24",), "private_key": f"{folder}/key"})
    return render_controller_unit(spec, TEMPLATES, Path(folder) / "fleet.yaml", Path(program), "genesis-fleet")


@needs_systemd
def test_it_is_exposed_no_more_than_a_relay_s_node(tmp_path: Path) -> None:
    file = tmp_path / "genesis-fleet-controller.service"
    file.write_text(unit())
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=11", "--no-pager", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-200:]


@needs_systemd
def test_systemd_finds_no_mistake_in_it(tmp_path: Path) -> None:
    file = tmp_path / "genesis-fleet-controller.service"
    file.write_text(unit().replace("User=genesis-fleet", "User=root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if file.name in line] == []


def test_it_follows_one_fleet_and_is_ended_by_a_signal_to_itself_alone() -> None:
    lines = unit("/opt/genesis-fleet/bin/genesis-fleet").splitlines()
    assert "ExecStart=/opt/genesis-fleet/bin/genesis-fleet --fleet /srv/fleet/fleet.yaml run" in lines
    assert {"KillMode=mixed", "KillSignal=SIGTERM", f"TimeoutStopSec={STOP_TIMEOUT_SECONDS}"} <= set(lines)
    assert "ReadWritePaths=/srv/fleet/state" in lines


def test_of_home_folders_it_sees_what_it_needs_and_no_more() -> None:
    lines = unit("/home/ops/venv/bin/genesis-fleet", "/home/ops/fleet").splitlines()
    assert "ProtectHome=tmpfs" in lines
    assert "BindReadOnlyPaths=/home/ops/fleet /home/ops/fleet/key /home/ops/venv" in lines
    assert "BindPaths=/home/ops/fleet/state" in lines
    assert not any(line.startswith("Bind") for line in unit().splitlines())
