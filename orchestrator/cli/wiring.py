"""Puts the real adapters behind the ports, for one fleet file. The only place where they meet."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from orchestrator.adapters.ansible import AnsibleHosts
from orchestrator.adapters.assets import assets
from orchestrator.adapters.background import BackgroundThreads
from orchestrator.adapters.clock import WallClock
from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.adapters.store import Store, open_store, read_record
from orchestrator.adapters.wire import Wire
from orchestrator.errors import FleetError
from orchestrator.execution.execute import Hands
from orchestrator.execution.observe import Eyes
from orchestrator.execution.ports import ClockPort, CloudPort
from orchestrator.execution.ports_names import NO_NAMES, NamesPort
from orchestrator.fleet.observation import CloudView
from orchestrator.fleet.record import FleetRecord
from orchestrator.lab.running import find_lab, lab_environment
from orchestrator.ouroboros.client import ProbeTimeouts
from orchestrator.ouroboros.verdicts import SlotClock
from orchestrator.planning.look import Wanted
from orchestrator.spec.load import LoadedFleet, load_fleet, parse_fleet
from orchestrator.spec.model import FleetSpec

STATE = "state"
"""Folder beside the fleet file: the SQLite store and what is left of failed runs."""


@dataclass(frozen=True, slots=True)
class Controller:
    """One fleet, wired."""

    fleet: LoadedFleet
    wanted: Wanted
    store: Store
    eyes: Eyes
    hands: Hands
    background: BackgroundThreads
    authorized_key: str
    holder: str

    @property
    def spec(self) -> FleetSpec:
        """The fleet file."""
        return self.fleet.spec


def load_wanted(path: Path) -> tuple[LoadedFleet, Wanted]:
    """Read fleet file, network folder and templates; touches nothing else."""
    fleet = load_fleet(path)
    return fleet, Wanted(fleet.spec, fleet.network_files, assets().templates)


def wire_controller(path: Path, cancelled: Callable[[], bool] = lambda: False) -> Controller:
    """Read the fleet file and make every adapter. Opens the store; asks neither cloud nor hosts yet."""
    return wire_fleet(load_fleet(path), cancelled)


def wire_fleet(
    fleet: LoadedFleet, cancelled: Callable[[], bool] = lambda: False, background: BackgroundThreads | None = None
) -> Controller:
    """Make every adapter for a fleet file that was read already, or submitted; `background` is shared with another."""
    found, spec = assets(), fleet.spec
    wanted = Wanted(spec, fleet.network_files, found.templates)
    if spec.lab is not None:
        enter_lab(spec.lab)
    private_key = find_private_key(fleet)
    state = fleet.base / STATE
    state.mkdir(mode=0o700, exist_ok=True)
    store = open_store(store_url(fleet), spec.fleet)
    if (command := click.get_current_context(silent=True)) is not None:
        command.call_on_close(store.close)
    clock = WallClock()
    cloud = make_cloud(spec, store.load(), clock)
    hosts = AnsibleHosts(found.playbooks, state, private_key, spec.controller.forks, cancelled)
    wire, names = make_wire(fleet), make_names(spec, clock)
    background = background or BackgroundThreads()
    return Controller(
        fleet,
        wanted,
        store,
        Eyes(cloud, hosts, wire, names=names),
        Hands(cloud, hosts, store, clock, Ed25519Keys(), background, names),
        background,
        _read_public_key(private_key),
        name_holder(),
    )


def name_holder() -> str:
    """Return who takes a lease: a user on a machine, a process, and a word of chance, as numbers of processes come again."""
    return f"{getpass.getuser()}@{socket.gethostname()} pid {os.getpid()} {secrets.token_hex(3)}"


def observe_cloud_alone(path: Path) -> tuple[Wanted, CloudView, FleetRecord]:
    """Look at the cloud and nothing else: needs no SSH key, and makes no store where there is none."""
    fleet, wanted = load_wanted(path)
    if fleet.spec.lab is not None:
        enter_lab(fleet.spec.lab)
    record = read_record(store_url(fleet), fleet.spec.fleet) or FleetRecord("", fleet.spec.fleet, None)
    return wanted, make_cloud(fleet.spec, record, WallClock()).observe_cloud(), record


def open_store_alone(path: Path) -> tuple[FleetSpec, Store]:
    """Open the store and nothing else: no lab, no SSH key and no network folder is in the way of an operator's word."""
    spec = parse_fleet(path)
    store = open_store(_store_url(spec, path.resolve().parent), spec.fleet)
    if (command := click.get_current_context(silent=True)) is not None:
        command.call_on_close(store.close)
    return spec, store


def store_url(fleet: LoadedFleet) -> str:
    """Return where the record is kept: what the fleet file says, else a file beside it."""
    return _store_url(fleet.spec, fleet.base)


def _store_url(spec: FleetSpec, base: Path) -> str:
    return spec.controller.store or f"sqlite:///{base / STATE / 'store.db'}"


def make_cloud(spec: FleetSpec, record: FleetRecord, clock: WallClock) -> CloudPort:
    """Return the cloud's adapter; boto3 is loaded only where it is needed."""
    if spec.cloud.kind == "static":
        from orchestrator.adapters.static import StaticCloud

        return StaticCloud(spec, record.store_id)
    from orchestrator.adapters.aws import AwsCloud

    return AwsCloud(spec, record.store_id, clock, former_regions=list_former_regions(record))


def make_names(spec: FleetSpec, clock: ClockPort) -> NamesPort:
    """Return the adapter of the fleet's names; boto3 and dnspython are loaded only where they are needed."""
    if spec.publish.name is None:
        return NO_NAMES
    if spec.publish.provider == "none":
        from orchestrator.adapters.resolver import NamesElsewhere

        return NamesElsewhere(spec)
    from orchestrator.adapters.route53 import Route53Names

    return Route53Names(spec, clock)


def list_former_regions(record: FleetRecord) -> frozenset[str]:
    """Return where anything may have been launched: also where a call was never answered."""
    return frozenset(intent.region for intent in record.intents if intent.refused is None)


def make_wire(fleet: LoadedFleet) -> Wire:
    """Return the prober for this fleet's network."""
    patience = fleet.spec.health.probe_timeout
    return Wire(
        fleet.spec.network.magic,
        SlotClock(fleet.slot_zero_unix, fleet.slot_length_seconds),
        fleet.spec.health.max_tip_age,
        ProbeTimeouts(connect=patience, handshake=patience, answer=patience),
    )


def enter_lab(name: str) -> None:
    """Point AWS clients of this process at a running lab, by their ordinary settings. Raises LabUnavailable."""
    environment = lab_environment(find_lab(name))
    for setting in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        os.environ.pop(setting, None)
    os.environ.update(environment)


def find_private_key(fleet: LoadedFleet) -> Path:
    """Return the controller's SSH key. Raises FleetError if there is none."""
    path = fleet.base / Path(fleet.spec.ssh.private_key).expanduser()
    if not path.is_file():
        raise FleetError(
            f"ssh.private_key {path} does not exist",
            next_step=f"make one with `ssh-keygen -t ed25519 -f {path}`, or name another in the fleet file",
        )
    return path


def _read_public_key(private_key: Path) -> str:
    path = private_key.with_name(f"{private_key.name}.pub")
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FleetError(
            f"the public half of ssh.private_key, {path}, cannot be read: {error.strerror}",
            next_step=f"make it with `ssh-keygen -y -f {private_key} > {path}`",
        ) from error
