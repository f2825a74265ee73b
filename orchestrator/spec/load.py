"""A fleet file on disk with its network folder → everything about the fleet that an operator states. Start here.

The one place of this package that opens files, besides the network folder (`network.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import SpecInvalid
from orchestrator.spec.document import LARGEST_FILE_BYTES
from orchestrator.spec.findings import render_findings
from orchestrator.spec.model import FleetSpec
from orchestrator.spec.network import NetworkFiles, NetworkReading, list_files, read_network, read_submitted_network
from orchestrator.spec.parse import ParsedFleet, parse_fleet_text


@dataclass(frozen=True, slots=True)
class LoadedFleet:
    """A fleet that has no errors: what is wanted, the network's files, and the clock of its slots."""

    spec: FleetSpec
    content: bytes
    """What the fleet file says, byte by byte."""
    network_files: NetworkFiles
    slot_zero_unix: float
    slot_length_seconds: float
    path: Path
    """The fleet file."""
    base: Path
    """The folder that relative paths in the file start from."""

    def list_network_files(self) -> dict[str, str]:
        """Return the files of the network folder, by name, as `load_submitted` takes them."""
        return list_files(self.network_files, self.spec)


def load_fleet(path: Path) -> LoadedFleet:
    """Read a fleet file and its network folder. Raises SpecInvalid with everything that is wrong with either."""
    return load_fleet_text(read_fleet(path), path)


def load_fleet_text(content: bytes, path: Path) -> LoadedFleet:
    """Return what `load_fleet` would if the file had this content; the network folder is read as it is."""
    parsed = _parse(content, path)
    return _put_together(parsed, content, path, read_network(parsed.spec, path.resolve().parent))


def load_submitted(content: bytes, files: Mapping[str, str], path: Path) -> LoadedFleet:
    """Return what `load_fleet` did when the file had this content and its network folder these files."""
    parsed = _parse(content, path)
    return _put_together(parsed, content, path, read_submitted_network(parsed.spec, files))


def _put_together(parsed: ParsedFleet, content: bytes, path: Path, reading: NetworkReading) -> LoadedFleet:
    if reading.files is None or reading.clock is None:
        findings = [parsed.finding(problem.path, problem.text) for problem in reading.problems]
        raise SpecInvalid(render_findings(str(path), findings))
    clock, base = reading.clock, path.resolve().parent
    return LoadedFleet(parsed.spec, content, reading.files, clock.slot_zero_unix, clock.slot_length_seconds, path, base)


def parse_fleet(path: Path) -> FleetSpec:
    """Read a fleet file alone, without its network folder. Raises SpecInvalid with everything that is wrong."""
    return _parse(read_fleet(path), path).spec


def _parse(content: bytes, path: Path) -> ParsedFleet:
    parsed = parse_fleet_text(content, str(path))
    if not isinstance(parsed, ParsedFleet):
        raise SpecInvalid(parsed)
    return parsed


def read_fleet(path: Path) -> bytes:
    """Return the file's bytes, one more than allowed at most, so that a huge one is refused and not read."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        text = f"{path}: found no such file, expected a fleet file: `genesis-fleet init` writes one to start from"
        raise SpecInvalid((text,)) from None
    except OSError as error:
        raise SpecInvalid(
            (f"{path}: found {(error.strerror or str(error)).lower()}, expected a fleet file that can be read",)
        ) from None
