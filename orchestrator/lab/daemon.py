"""The process that is the lab: the AWS API with its supervisor, the release server, the resolver, and the partners' nodes.

Started by `running.start_lab` and told what to do by files in the lab's folder; ends on SIGTERM. Machines and partners
are processes of their own, recorded, so that whoever takes the lab down finds them even if this process died.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from orchestrator.lab.aws import LabCloudServer
from orchestrator.lab.machines.layout import Lab
from orchestrator.lab.machines.network import connect
from orchestrator.lab.machines.processes import find_recorded, start_recorded
from orchestrator.lab.places import API_PORT, NAMES_PORT, RELAY_PORT, RELEASES_PORT, PartnerPlace, partner_places
from orchestrator.lab.releases.server import serve_releases
from orchestrator.lab.resolver import serve_names
from orchestrator.lab.running import READY, RELEASES, read_plan
from orchestrator.lab.supervisor.real_machines import LabMachines, carve_cloud_ranges


def main(folder: Path) -> None:
    """Run the lab of this folder until SIGTERM."""
    plan = read_plan(folder)
    lab = plan.lab
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gateway = str(lab.network.gateway_v4)
    cloud = LabCloudServer(
        gateway,
        API_PORT,
        carve_cloud_ranges(lab.network),
        LabMachines(lab, ()),
        regions=plan.regions,
    )
    releases = serve_releases(folder / RELEASES, gateway, RELEASES_PORT)
    names = serve_names(cloud.zones.records, gateway, NAMES_PORT)
    cloud.start()
    for partner in partner_places(lab.network):
        start_partner(lab, partner, plan.network_folder)
    (folder / READY).write_text(json.dumps({"endpoint": cloud.endpoint_url, "releases": releases.url}) + "\n")
    stop.wait()
    (folder / READY).unlink(missing_ok=True)
    names.close()
    releases.close()
    cloud.stop()


def start_partner(lab: Lab, partner: PartnerPlace, network_folder: Path) -> None:
    """Start a partner's node in a namespace of its own; taken up if it runs."""
    folder = partner_folder(lab, partner.name)
    if find_recorded(folder / "process") is not None:
        return
    namespace = connect(lab.network, f"partner-{partner.name}", (partner.address,))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(network_folder, folder / "network", dirs_exist_ok=True)
    topology = folder / "topology.json"
    topology.write_text(json.dumps(_topology(lab, partner), indent=2) + "\n")
    python = Path(sys.executable)
    command = [
        "nsenter",
        f"--net={namespace}",
        "env",
        f"GENESIS_LAB_FORGE={partner.number}",
        f"PYTHONPATH={Path(__file__).resolve().parents[2]}",
        *(str(python), "-m", "orchestrator.lab.node", "run"),
        *("--config", str(folder / "network" / "config.json")),
        *("--topology", str(topology)),
        *("--database-path", str(folder / "db")),
        *("--socket-path", str(folder / "node.socket")),
        *("--host-addr", str(partner.address)),
        *("--port", str(RELAY_PORT)),
    ]
    start_recorded(command, folder / "process", folder / "log")


def partner_folder(lab: Lab, name: str) -> Path:
    """Return where a partner keeps its chain, log and process record."""
    return lab.directory / "partners" / name


def _topology(lab: Lab, itself: PartnerPlace) -> dict[str, object]:
    others = [
        {"address": str(place.address), "port": RELAY_PORT}
        for place in partner_places(lab.network)
        if place.name != itself.name
    ]
    return {
        "bootstrapPeers": None,
        "localRoots": [{"accessPoints": others, "advertise": False, "trustable": True, "hotValency": len(others)}],
        "publicRoots": [],
        "useLedgerAfterSlot": -1,
    }


if __name__ == "__main__":
    os.umask(0o077)
    main(Path(sys.argv[1]))
