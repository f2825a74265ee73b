"""What the controller renders is what the module on the host accepts: same places, same checks, every file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from orchestrator.rendering import layout
from orchestrator.rendering.variables import deploy_variables
from playbooks.module_utils.genesis import machine, release
from playbooks.module_utils.genesis.checks import check_file
from playbooks.module_utils.genesis.deploying import parse_deployment
from playbooks.module_utils.genesis.files import find_differences, write_files
from tests.rendering_builders import ARCHIVE, rendered

DEPLOYMENT = parse_deployment(
    {key.removeprefix("genesis_"): value for key, value in deploy_variables(rendered()).items()}
)


def test_controller_and_host_mean_the_same_places() -> None:
    host = (machine.UNIT, machine.ETC, machine.RUN, machine.OPT, machine.CURRENT, machine.DATABASE)
    assert host == (
        layout.UNIT,
        layout.CONFIG_FOLDER,
        layout.RUNTIME_FOLDER,
        layout.PROGRAM_FOLDER,
        layout.RELEASE_LINK,
        layout.DATABASE,
    )
    digest = "d1" * 32
    assert release.network_folder(digest) == layout.network_folder(digest)
    assert DEPLOYMENT.release.folder == layout.release_folder("10.7.1", ARCHIVE["sha256"])


@pytest.mark.skipif(
    os.geteuid() != 0 or any(shutil.which(tool) is None for tool in ("nft", "sshd", "systemd-analyze")),
    reason="needs root, nft, sshd and systemd-analyze, as a relay has them",
)
@pytest.mark.parametrize("wish", DEPLOYMENT.files, ids=lambda wish: wish.path)
def test_a_host_takes_every_rendered_file(wish, tmp_path) -> None:
    program = tmp_path / "bin/cardano-node"
    program.parent.mkdir()
    program.write_text("#!/bin/true\n")
    program.chmod(0o755)
    check_file(machine.Machine(), wish, str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="files of a relay are root's")
def test_what_was_written_is_seen_as_it_was_rendered(tmp_path: Path) -> None:
    host = machine.Machine(root=tmp_path)
    assert len(find_differences(host, DEPLOYMENT.files)) == len(DEPLOYMENT.files)
    write_files(host, DEPLOYMENT.files)
    assert find_differences(host, DEPLOYMENT.files) == ()
