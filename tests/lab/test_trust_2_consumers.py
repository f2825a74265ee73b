"""Consumers of every kind bootstrap from the fleet with the topology that was written for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.fleet.observation import Verdict
from tests.lab_consumer import running_consumer
from tests.lab_fleet import Fleet, wait_for

pytestmark = pytest.mark.lab

KINDS = ("new-node", "relay", "block-producer", "tooling")


@pytest.mark.parametrize("kind", KINDS)
def test_a_consumer_bootstraps_with_the_topology_written_for_it(wide: Fleet, tmp_path: Path, kind: str) -> None:
    addresses = sorted(instance["addresses"][0] for instance in wide.instances())
    own = [] if kind == "new-node" else ["--local-root", f"{addresses[0]}:3001", "--local-root", f"{addresses[7]}:3001"]
    written = wide.run("topology", "consumer", "--for", kind, *own, "-o", str(tmp_path / "written"))
    assert written.code == 0, written.err
    topology = tmp_path / "written" / "topology.json"
    checked = wide.run("topology", "check", str(topology))
    assert checked.code == 0, checked.out
    with running_consumer(wide, KINDS.index(kind), tmp_path, topology) as consumer:
        wait_for(lambda: consumer.sighting().verdict is Verdict.OK)
        assert consumer.process.poll() is None, consumer.log.read_text()
        first = consumer.sighting().tip_block or 0
        wait_for(lambda: (consumer.sighting().tip_block or 0) > first + 5)
