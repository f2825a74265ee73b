"""`topology check`: the validator for anybody's topology files. What is wrong with a file is decided in rendering."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from orchestrator.errors import FleetError
from orchestrator.ouroboros.targets import BadTarget, parse_target
from orchestrator.rendering.snapshot import SnapshotFile
from orchestrator.rendering.topology_check import check_topology, snapshot_name
from orchestrator.rendering.topology_findings import SUPPORTED, Circumstances, Finding, find
from orchestrator.rendering.topology_rules import Code, Severity
from orchestrator.rendering.topology_text import NotJson, parse_json
from orchestrator.rendering.values import AccessPoint
from orchestrator.spec.network import LARGEST_FILE_BYTES

STANDARD_INPUT = "-"
CONSENSUS_MODES = ("PraosMode", "GenesisMode")
_VERSION = re.compile(r"v?([0-9]{1,6}(?:\.[0-9]{1,6}){1,3}(?:-[a-z0-9.]{1,20})?)")


class NodeVersion(click.ParamType[str]):
    """A release of cardano-node, as tags write it."""

    name = "version"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it without a leading v."""
        match = _VERSION.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} is no release of the node; give one such as 11.0.1", param, ctx)
        return match[1]


class HostPort(click.ParamType[AccessPoint]):
    """An access point with its port."""

    name = "host:port"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> AccessPoint:
        """Return address and port."""
        try:
            target = parse_target(value)
        except BadTarget as error:
            self.fail(str(error), param, ctx)
        return AccessPoint(target.address, target.port)


@click.command(
    "check",
    short_help="Check anybody's topology files, more strictly than the node.",
    epilog="Example: genesis-fleet topology check topology.json --node-version 11.0.1 --config config.json",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--node-version", type=NodeVersion(), help=f"The node that is to read them; else {SUPPORTED}.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The node's config.json: consensus mode, peer targets, magic.",
)
@click.option("--magic", type=click.IntRange(0, 2**32 - 1), help="Network magic, for the peer snapshot.")
@click.option("--itself", type=HostPort(), multiple=True, metavar="HOST:PORT", help="Where the node itself is reached.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a file.")
def check_command(
    files: tuple[str, ...],
    node_version: str | None,
    config: Path | None,
    magic: int | None,
    itself: tuple[AccessPoint, ...],
    as_json: bool,
) -> int:
    """Check topology files for whatever the node would refuse, misread or silently change; `-` is standard input.

    The peer snapshot that a file names is read where it is there. Exit code: 0 without errors (notes do not count), else 1.
    """
    circumstances = Circumstances() if config is None else read_circumstances(config)
    circumstances = replace(circumstances, node_version=node_version, itself=frozenset(itself))
    if magic is not None:
        circumstances = replace(circumstances, magic=magic)
    failed = False
    for name in files:
        findings = check_file(name, circumstances)
        failed |= any(finding.severity is Severity.ERROR for finding in findings)
        click.echo(
            json.dumps(_json(name, findings, circumstances)) if as_json else _text(name, findings, circumstances)
        )
    return 1 if failed else 0


def check_file(name: str, circumstances: Circumstances) -> tuple[Finding, ...]:
    """Check one file, with the peer snapshot beside it."""
    if name == STANDARD_INPUT:
        return check_topology(sys.stdin.buffer.read(LARGEST_FILE_BYTES + 1), circumstances)
    path = Path(name)
    try:
        content = _read(path)
    except OSError as error:
        return (find(Code.UNREADABLE, (), f"the file cannot be read ({_cause(error)})"),)
    named = snapshot_name(content)
    return check_topology(content, circumstances, None if named is None else _read_snapshot(path.parent / named))


def read_circumstances(config: Path) -> Circumstances:
    """Read what a node's configuration says of its peers. Raises FleetError."""
    values = _read_object(config)
    if values is None:
        raise FleetError(f"{config} is no JSON object", next_step="give the config.json that the node is started with")
    genesis = values.get("ShelleyGenesisFile")
    shelley = _read_object(config.parent / genesis) if isinstance(genesis, str) else None
    magic = (shelley or {}).get("networkMagic")
    known = values.get("TargetNumberOfKnownPeers")
    mode = values.get("ConsensusMode", "PraosMode")
    circumstances = Circumstances(
        consensus_mode=mode if mode in CONSENSUS_MODES else None, magic=magic if type(magic) is int else None
    )
    return replace(circumstances, known_peers=known) if type(known) is int and known > 0 else circumstances


def _read_snapshot(path: Path) -> SnapshotFile:
    try:
        return SnapshotFile(_read(path))
    except (OSError, ValueError) as error:
        return SnapshotFile(None, _cause(error))


def _read(path: Path) -> bytes:
    """Read a file, if it is one and not larger than anything that a node reads."""
    if path.exists() and not path.is_file():
        raise OSError(0, "it is no file")
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise OSError(0, "it is too large")
    return path.read_bytes()


def _read_object(path: Path) -> Mapping[str, Any] | None:
    try:
        value = parse_json(_read(path))
    except (OSError, ValueError, NotJson):
        return None
    return value if isinstance(value, dict) else None


def _cause(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is no file name"


def _text(name: str, findings: tuple[Finding, ...], circumstances: Circumstances) -> str:
    """Return a line for each finding as compilers write them, and one with the sum."""
    lines = [
        ": ".join(
            part
            for part in (
                f"{name}:{finding.line}" if finding.line else name,
                f"{finding.severity} {finding.code}",
                finding.place,
                finding.sentence,
            )
            if part
        )
        for finding in findings
    ]
    count = {severity: sum(finding.severity is severity for finding in findings) for severity in Severity}
    total = ", ".join(f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in count.items())
    return "\n".join((*lines, f"{name}: {total}; checked for {_checked_for(circumstances)}"))


def _checked_for(circumstances: Circumstances) -> str:
    version = circumstances.node_version
    reader = f"{SUPPORTED} (no --node-version was given)" if version is None else f"node {version}"
    return f"{reader} in {circumstances.consensus_mode}" if circumstances.consensus_mode else reader


def _json(name: str, findings: tuple[Finding, ...], circumstances: Circumstances) -> dict[str, Any]:
    return {
        "file": name,
        "node_version": circumstances.node_version,
        "consensus_mode": circumstances.consensus_mode,
        "findings": [
            {
                "code": finding.code.value,
                "severity": finding.severity.value,
                "line": finding.line,
                "path": finding.place,
                "sentence": finding.sentence,
            }
            for finding in findings
        ],
    }
