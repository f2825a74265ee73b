"""Scenario files: which faults happen when in a rehearsal. Reads and checks them; `drill.py` lets them happen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import yaml
from pydantic import ValidationError

from orchestrator.errors import FleetError
from orchestrator.fleet.observation import Verdict
from orchestrator.fleet.relay import wanted_relays
from orchestrator.simulation.faults import ReleaseFault
from orchestrator.spec.base import Model
from orchestrator.spec.fields import Duration
from orchestrator.spec.model import FleetSpec

RELEASES = {
    "never_starts": ReleaseFault.NEVER_STARTS,
    "never_listens": ReleaseFault.NEVER_LISTENS,
    "hangs": ReleaseFault.HANGS,
    "wrong_magic": ReleaseFault.WRONG_MAGIC,
    "forks": ReleaseFault.FORKS,
    "goes_stale": ReleaseFault.GOES_STALE,
    "replays_long": ReleaseFault.REPLAYS_LONG,
}

FAULTS: Mapping[str, tuple[str, str]] = {
    "unreachable": ("relay", "unreachable"),
    "unreadable": ("relay", "unreadable"),
    "never_boots": ("relay", "never_boots"),
    "slow_to_stop": ("relay", "slow_to_stop"),
    "slow_to_answer": ("relay", "slow_to_answer"),
    "node_killed": ("relay", "kill"),
    "stage_fails": ("relay", "stage_fails"),
    "launch_errs": ("relay", "error_after_launch"),
    "wrong_key": ("relay", "wrong_key"),
    "probe_says": ("relay", "told_by_probe"),
    "instance_stops": ("relay", "stop"),
    "instance_deleted": ("relay", "delete"),
    "saturated": ("relay or partner", "saturated"),
    "hanging": ("relay or partner", "hanging"),
    "fork": ("relay or partner", "fork"),
    "stall": ("relay or partner", "stall"),
    "other_network": ("relay or partner", "other_network"),
    "cloud_silent": ("region", "silent_regions"),
    "cut_off": ("region", "cut_regions"),
    "launches_refused": ("region", "launches_refused"),
    "no_capacity": ("subnet", "no_capacity"),
    "unverifiable": ("release", "unverifiable"),
    "mislabelled": ("release", "mislabelled"),
    **dict.fromkeys(RELEASES, ("release", "bad_releases")),
}
"""Word in the file → (what it is on, what the world calls it)."""


class TimedFault(Model):
    """One fault."""

    after: Duration | None = None
    """Time since the beginning of the apply; absent: from the beginning."""
    fault: str
    """One of `FAULTS`."""
    of: str
    """The relay, partner, region, subnet or release that has it."""
    lasts: Duration | None = None
    """Absent: to the end."""
    says: str | None = None
    """What a lying probe says: a verdict, such as `ok`, `refused` or `not_asked`."""

    @property
    def begins(self) -> timedelta:
        """When it happens."""
        return self.after or timedelta()


class Scenario(Model):
    """A whole file."""

    faults: tuple[TimedFault, ...] = ()
    """In any order."""


def load_scenario(path: Path, spec: FleetSpec) -> Scenario:
    """Read a scenario for this fleet. Raises FleetError with everything that is wrong with it."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(path, [f"is no YAML: {' '.join(str(error).split())}"]) from error
    if isinstance(document, dict) and isinstance(document.get("faults"), list):
        document = {**document, "faults": tuple(document["faults"])}
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise _wrong(path, [f"{_place(each['loc'])}: {each['msg']}" for each in error.errors()]) from error
    findings = [f"faults[{n}].{text}" for n, each in enumerate(scenario.faults) for text in _check(each, spec)]
    if findings:
        raise _wrong(path, findings)
    return scenario


def _check(fault: TimedFault, spec: FleetSpec) -> Iterable[str]:
    if fault.fault not in FAULTS:
        yield f"fault: {fault.fault!r} is none of {', '.join(sorted(FAULTS))}"
        return
    kind, _ = FAULTS[fault.fault]
    there = _names(kind, spec)
    if fault.of not in there:
        yield f"of: {fault.of!r} is no {kind} of this fleet; there are {', '.join(there)}"
    verdicts = [verdict.value for verdict in Verdict]
    if fault.fault == "probe_says" and fault.says not in verdicts:
        yield f"says: a lying probe says one of {', '.join(verdicts)}"
    if fault.fault != "probe_says" and fault.says is not None:
        yield "says: only `probe_says` says something"


def _names(kind: str, spec: FleetSpec) -> list[str]:
    relays = [relay.name for relay in wanted_relays(spec)]
    match kind:
        case "relay":
            return relays
        case "relay or partner":
            return [*relays, *(partner.name for partner in spec.partners)]
        case "region":
            return sorted(spec.regions)
        case "subnet":
            return [subnet for region in spec.regions.values() for subnet in region.subnets]
        case _:
            return sorted(spec.releases)


def _place(location: Iterable[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the file"


def _wrong(path: Path, findings: list[str]) -> FleetError:
    text = "\n".join(f"{path}: {finding}" for finding in findings)
    return FleetError(text, next_step="see docs/simulation.md for what a scenario may say")
