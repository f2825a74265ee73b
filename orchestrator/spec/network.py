"""The network folder: config.json, the genesis files it names with their hashes, and the clock that they set.

Read once and checked as the node would check it at start, and more strictly where the node stays silent: a hash that is not
stated is an error here, and so is a file that another network's files were mixed into. How genesis files are hashed is
decided in `genesis.py`; where the findings stand in the fleet file, in `load.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.errors import NetworkFolderInvalid
from orchestrator.spec.findings import Path as SpecPath
from orchestrator.spec.findings import show
from orchestrator.spec.genesis import byron_genesis_hash, shelley_genesis_hash
from orchestrator.spec.model import FleetSpec
from orchestrator.spec.slots import NoSlotClock, SlotClock, read_slot_clock

WHERE_TO_GET_IT = (
    "download it from https://book.play.dev.cardano.org/environments.html, or copy it out of share/ of the cardano-node"
    " release archive"
)

ERAS_NEEDED = ("Byron", "Shelley", "Alonzo", "Conway")
"""The node refuses a config.json that does not name the genesis files of these; later eras are optional."""

LARGEST_FILE_BYTES = 64 * 1024 * 1024
"""Mainnet's largest, the Byron genesis, has about one MiB."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_TAKEN = ("config.json", "topology.json")
_GENESIS_KEY = re.compile(r"([A-Za-z]+)GenesisFile")

FOLDER: SpecPath = ("network", "folder")
MAGIC: SpecPath = ("network", "magic")
SNAPSHOT: SpecPath = ("topology", "peer_snapshot")


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """The network folder, read once: config.json as text, the files it names, and a digest over all."""

    config_json: str
    genesis: Mapping[str, str]
    """File name → text, of every file that config.json names: genesis files, and checkpoints where there are any."""
    peer_snapshot: str | None
    digest: str


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong with the folder, and which value of the fleet file is to be looked at."""

    path: SpecPath
    text: str


@dataclass(frozen=True, slots=True)
class NetworkReading:
    """What was found in a network folder; files and clock only if nothing is wrong."""

    files: NetworkFiles | None
    clock: SlotClock | None
    problems: tuple[Problem, ...]


ReadFile = Callable[[str], bytes]
"""Plain file name → content."""


class _Refused(Exception):
    """One file cannot be used; the others are still looked at."""


def load_network(spec: FleetSpec, base: Path) -> NetworkFiles:
    """Read the network folder, relative to `base`. Raises NetworkFolderInvalid with all that is wrong."""
    reading = read_network(spec, base)
    if reading.files is None:
        raise NetworkFolderInvalid("\n".join(problem.text for problem in reading.problems), next_step=WHERE_TO_GET_IT)
    return reading.files


def read_network(spec: FleetSpec, base: Path) -> NetworkReading:
    """Read and check the network folder, relative to `base`; never raises."""
    folder = base / Path(spec.network.folder).expanduser()
    if not folder.is_dir():
        text = f"found no folder {show(spec.network.folder)}, expected config.json and its genesis files in it"
        return NetworkReading(None, None, (Problem(FOLDER, f"{text}: {WHERE_TO_GET_IT}"),))
    return _check_network(spec, partial(_read_file, folder))


def read_submitted_network(spec: FleetSpec, files: Mapping[str, str]) -> NetworkReading:
    """Check a network folder as it was when somebody submitted it, by file name (see `list_files`); never raises."""
    return _check_network(spec, partial(_pick_file, files))


def list_files(files: NetworkFiles, spec: FleetSpec) -> dict[str, str]:
    """Return every file of the folder that counts, by name."""
    snapshot = {} if files.peer_snapshot is None else {str(spec.topology.peer_snapshot): files.peer_snapshot}
    return {"config.json": files.config_json, **files.genesis, **snapshot}


def _check_network(spec: FleetSpec, read: ReadFile) -> NetworkReading:
    try:
        content = read("config.json")
        config = _parse_object("config.json", content)
    except _Refused as refusal:
        return NetworkReading(None, None, (Problem(FOLDER, str(refusal)),))
    problems: list[Problem] = []
    named = _read_named_files(read, config, problems)
    _check_magics(spec, config, named, problems)
    shelley = _object_of(config, "Shelley", named)
    clock = None if shelley is None else read_slot_clock(spec.network, config, shelley)
    if isinstance(clock, NoSlotClock):
        problems.append(Problem(clock.path, clock.text))
    snapshot = _read_snapshot(spec, read, problems)
    if problems or isinstance(clock, NoSlotClock):
        return NetworkReading(None, None, tuple(sorted(set(problems))))
    texts = {name: text.decode() for name, text in sorted(named.items())}
    return NetworkReading(_collect(content.decode(), texts, snapshot), clock, ())


def _collect(config_json: str, texts: Mapping[str, str], snapshot: str | None) -> NetworkFiles:
    """Put the files together under one digest: over names and contents, whatever their order on disk."""
    parts = [("config.json", config_json), *sorted(texts.items()), ("peer snapshot", snapshot)]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return NetworkFiles(config_json, texts, snapshot, digest)


def _read_named_files(read: ReadFile, config: Mapping[str, Any], problems: list[Problem]) -> dict[str, bytes]:
    """Return the contents of all files that config.json names and that are what it says they are."""
    eras = {match[1] for key in config if (match := _GENESIS_KEY.fullmatch(key))}
    wanted = [(f"{era}GenesisFile", f"{era}GenesisHash") for era in (*ERAS_NEEDED, *sorted(eras - {*ERAS_NEEDED}))]
    if config.get("CheckpointsFile") is not None:
        wanted.append(("CheckpointsFile", "CheckpointsFileHash"))
    contents: dict[str, bytes] = {}
    for file_key, hash_key in wanted:
        try:
            name = _named_file(config, file_key)
            content = read(name)
            _parse_object(name, content)
            _check_hash(config, hash_key, name, content)
        except _Refused as refusal:
            problems.append(Problem(FOLDER, str(refusal)))
        else:
            contents[name] = content
    return contents


def _named_file(config: Mapping[str, Any], key: str) -> str:
    """Return the name behind a key; a plain one, so that it can leave neither this folder nor the relay's."""
    name = config.get(key)
    if name is None:
        raise _Refused(f"found no {key} in config.json, expected it: the node does not start without it")
    if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name) or name in _TAKEN:
        raise _Refused(f"found {show(name)} as {key} in config.json, expected the plain name of a file in this folder")
    return name


def _check_hash(config: Mapping[str, Any], key: str, name: str, content: bytes) -> None:
    stated = config.get(key)
    if not isinstance(stated, str):
        raise _Refused(f"found no {key} in config.json, expected the hash of {name}")
    try:
        actual = byron_genesis_hash(content) if key == "ByronGenesisHash" else shelley_genesis_hash(content)
    except (ValueError, RecursionError) as error:
        raise _Refused(
            f"found {name} that the node cannot read ({str(error)[:100]}), expected canonical JSON"
        ) from None
    if actual != stated:
        raise _Refused(f"found {name} with the hash {actual}, expected {stated[:80]!r} as config.json states ({key})")


def _check_magics(
    spec: FleetSpec, config: Mapping[str, Any], named: Mapping[str, bytes], problems: list[Problem]
) -> None:
    """Compare the magics in the genesis files with the fleet's; those of refused files are not looked at."""
    shelley, byron = _object_of(config, "Shelley", named), _object_of(config, "Byron", named)
    constants = (byron or {}).get("protocolConsts")
    found = (
        ("ShelleyGenesisFile", "networkMagic", shelley, (shelley or {}).get("networkMagic")),
        (
            "ByronGenesisFile",
            "protocolConsts.protocolMagic",
            byron,
            constants.get("protocolMagic") if isinstance(constants, dict) else None,
        ),
    )
    for key, member, genesis, magic in found:
        if genesis is not None and magic != spec.network.magic:
            text = f"found {spec.network.magic}, expected {show(magic)}, as {member} in {config[key]} says"
            problems.append(Problem(MAGIC, text))


def _read_snapshot(spec: FleetSpec, read: ReadFile, problems: list[Problem]) -> str | None:
    """Return the peer snapshot's text; the node refuses one of another network at start."""
    name = spec.topology.peer_snapshot
    if name is None:
        return None
    if not _PLAIN_NAME.fullmatch(name) or name in _TAKEN:
        problems.append(
            Problem(SNAPSHOT, f"found {show(name)}, expected the plain name of a file in the network folder")
        )
        return None
    try:
        content = read(name)
        magic = _parse_object(name, content).get("NetworkMagic", spec.network.magic)
        if magic != spec.network.magic:
            raise _Refused(f"found {name} of the network with magic {show(magic)}, expected {spec.network.magic}")
    except _Refused as refusal:
        problems.append(Problem(SNAPSHOT, str(refusal)))
        return None
    return content.decode()


def _object_of(config: Mapping[str, Any], era: str, named: Mapping[str, bytes]) -> Mapping[str, Any] | None:
    """Return an era's genesis as values, if its file was accepted."""
    content = named.get(str(config.get(f"{era}GenesisFile")))
    return None if content is None else _parse_object(era, content)


def _pick_file(files: Mapping[str, str], name: str) -> bytes:
    if name not in files:
        raise _Refused(
            f"found no file {name} in what was submitted, expected it: `genesis-fleet apply` submits it anew"
        )
    return files[name].encode()


def _read_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if not path.is_file():
            raise _Refused(f"found no file {name} in {folder}, expected it: {WHERE_TO_GET_IT}")
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise _Refused(f"found {name} larger than {LARGEST_FILE_BYTES // 1024**2} MiB, expected a network's file")
        return path.read_bytes()
    except OSError as error:
        raise _Refused(f"found {name} unreadable ({error.strerror}), expected a file to read") from None


def _parse_object(name: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _Refused(f"found {name} that is not JSON ({str(error)[:100]}), expected a JSON object") from None
    if not isinstance(value, dict):
        raise _Refused(f"found {name} that is {show(value)}, expected a JSON object")
    return value
