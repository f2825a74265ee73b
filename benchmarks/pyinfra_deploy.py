"""What genesis_deploy makes, by pyinfra: run as `pyinfra -y INVENTORY pyinfra_deploy.py`."""

from __future__ import annotations

from io import StringIO

from pyinfra.context import host
from pyinfra.facts.files import File
from pyinfra.facts.server import Command
from pyinfra.operations import files, systemd

state = host.data.state
for folder in (state["release"], state["network"]):
    if not host.get_fact(File, path=f"{folder}/.genesis-fleet.json"):
        raise RuntimeError(f"{folder} is not staged")
files.directory(name="Folder", path="/opt/bench-pyinfra", user="root", group="root", mode="755")
files.link(name="Release link", path=state["link"], target=state["release"])
units = []
for file in state["files"]:
    put = files.put(
        name=file["name"],
        src=StringIO(file["content"]),
        dest=file["path"],
        user=file["owner"],
        group=file["group"],
        mode=file["mode"].lstrip("0"),
    )
    if file["name"].endswith(".service"):
        units.append(put)
if "genesis_fleet" not in host.get_fact(Command, command="nft list tables inet"):
    raise RuntimeError("the firewall is not loaded")
systemd.daemon_reload(name="Read units again", _if=lambda: any(unit.did_change() for unit in units))
systemd.service(name="Enable the unit", service=state["unit"], running=None, enabled=True)
systemd.service(name="The node runs", service="cardano-node.service", running=True, enabled=True)
