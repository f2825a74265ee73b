"""The firewall as the kernel applies it: two network namespaces, one with the rules and one as the world."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.rendering import layout
from tests.rendering_builders import content, fleet_spec, rendered

NAMESPACES = Path(__file__).parent.parent / "firewall_in_namespaces.py"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or any(shutil.which(tool) is None for tool in ("nft", "unshare", "ip")),
    reason="needs root, nft and ip",
)


@pytest.fixture(scope="module", params=["closed", "open"])
def seen(request, tmp_path_factory) -> dict[str, object]:
    """What got through with SSH allowed from elsewhere (closed), and from the world's own networks (open)."""
    ranges = {"closed": ["203.0.113.0/24"], "open": ["192.0.2.0/24", "2001:db8::/64"]}[request.param]
    rules = tmp_path_factory.mktemp("firewall") / "rules.nft"
    rules.write_text(content(rendered(fleet_spec(ssh={"allowed_from": ranges})), layout.FIREWALL))
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(NAMESPACES), str(rules)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "allowed": request.param == "open"}


def test_ssh_gets_through_from_the_named_networks_only(seen) -> None:
    assert seen["v4 in 22"] is seen["v6 in 22"] is seen["allowed"]


def test_the_relay_port_is_open_to_the_world_and_no_other_port_is(seen) -> None:
    assert [seen[f"v{version} in {port}"] for version in (4, 6) for port in (3001, 9999)] == [True, False, True, False]


def test_a_relay_reaches_peers_on_the_same_port_from_its_own_and_from_any_other(seen) -> None:
    assert all(seen[f"v{version} out from {port}"] for version in (4, 6) for port in ("3001", "any"))


def test_no_packet_of_the_relay_port_is_tracked(seen) -> None:
    assert seen["tracked packets of the relay port"] == 0


def test_the_loopback_is_open(seen) -> None:
    assert [seen["v4 loopback"], seen["v6 loopback"]] == [True, True]


def test_only_root_reaches_the_metadata_service(seen) -> None:
    assert (seen["metadata for root"], seen["metadata for others"]) == (True, False)
