"""The command line of `cardano-node`: `run` with its options, `version`, `--version`, help. Anything else is refused with usage.

Options are read as the real parser reads them: `--name value` or `--name=value`, no abbreviations, the last one wins, and
`+RTS … -RTS` belongs to the run-time system wherever it stands. Options that have no meaning for a lab node (keys, tracers,
gRPC) are taken and ignored. This module decides; `__main__` acts on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_CONFIG = "configuration/cardano/mainnet-config.json"
DEFAULT_TOPOLOGY = "configuration/cardano/mainnet-topology.json"
DEFAULT_DATABASE = "mainnet/db"

WITH_VALUE = {
    "topology": "FILEPATH",
    "database-path": "FILEPATH",
    "immutable-database-path": "FILEPATH",
    "volatile-database-path": "FILEPATH",
    "socket-path": "FILEPATH",
    "tracer-socket-path-accept": "FILEPATH",
    "tracer-socket-path-connect": "FILEPATH",
    "tracer-socket-network-accept": "HOST:PORT",
    "tracer-socket-network-connect": "HOST:PORT",
    "byron-delegation-certificate": "FILEPATH",
    "byron-signing-key": "FILEPATH",
    "shelley-kes-key": "FILEPATH",
    "shelley-kes-agent-socket": "SOCKET_FILEPATH",
    "shelley-vrf-key": "FILEPATH",
    "shelley-operational-certificate": "FILEPATH",
    "bulk-credentials-file": "FILEPATH",
    "host-addr": "IPV4",
    "host-ipv6-addr": "IPV6",
    "port": "PORT",
    "config": "NODE-CONFIGURATION",
    "mempool-capacity-override": "BYTES",
    "shutdown-ipc": "FD",
    "shutdown-on-slot-synced": "SLOT",
    "shutdown-on-block-synced": "BLOCK",
    "grpc-socket-path": "FILEPATH",
}
FLAGS = (
    "validate-db",
    "no-mempool-capacity-override",
    "non-producing-node",
    "start-as-non-producing-node",
    "grpc-enable",
)
NUMBERS = ("port", "shutdown-ipc", "shutdown-on-slot-synced", "shutdown-on-block-synced", "mempool-capacity-override")


class WrongUsage(Exception):
    """The command line is not one of this program's; says why, usage included."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `run` needs. Port 0 is any free one; no address at all means every address of both families."""

    config: Path
    topology: Path
    database: Path
    socket: Path | None
    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class ShowText:
    """Print this, and leave with this exit code."""

    text: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class ShowVersion:
    """Print the version."""


Command = RunOptions | ShowText | ShowVersion


def parse_arguments(arguments: Sequence[str]) -> Command:
    """Read the arguments after the program's name; raise WrongUsage."""
    words = drop_runtime_options(arguments)
    match words:
        case []:
            return ShowText(usage(), exit_code=1)
        case ["version" | "--version", *_]:
            return ShowVersion()
        case ["run", *options]:
            if "--help" in options or "-h" in options:
                return ShowText(usage_of_run())
            return read_run_options(options)
        case ["--help" | "-h", *_]:
            return ShowText(usage())
        case [word, *_]:
            kind = "option" if word.startswith("-") else "argument"
            raise WrongUsage(f"Invalid {kind} `{word}'\n\n{usage()}")
        case _:
            raise WrongUsage(usage())


def drop_runtime_options(arguments: Sequence[str]) -> list[str]:
    """Leave out what stands between `+RTS` and `-RTS`, or the end."""
    kept: list[str] = []
    inside = False
    for word in arguments:
        if word == "--RTS" and not inside:
            kept += arguments[arguments.index(word) + 1 :]
            break
        inside = word == "+RTS" or (inside and word != "-RTS")
        if not inside and word != "-RTS":
            kept.append(word)
    return kept


def read_run_options(words: Sequence[str]) -> RunOptions:
    """Read the options of `run`."""
    values: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or (name not in WITH_VALUE and name not in FLAGS):
            kind = "option" if word.startswith("-") else "argument"
            raise WrongUsage(f"Invalid {kind} `{word}'\n\n{usage_of_run()}")
        if name in FLAGS:
            continue
        if not equals:
            if not rest:
                raise WrongUsage(f"The option `--{name}` expects an argument.\n\n{usage_of_run()}")
            value = rest.pop(0)
        if name in NUMBERS and not value.isdecimal():
            raise WrongUsage(f"option --{name}: cannot parse value `{value}'\n\n{usage_of_run()}")
        values[name] = value
    return _options_from(values)


def _options_from(values: dict[str, str]) -> RunOptions:
    if ("immutable-database-path" in values) != ("volatile-database-path" in values):
        raise WrongUsage(f"Missing: --immutable-database-path and --volatile-database-path\n\n{usage_of_run()}")
    database = values.get("database-path") or values.get("immutable-database-path") or DEFAULT_DATABASE
    named = tuple(values[name] for name in ("host-addr", "host-ipv6-addr") if name in values)
    return RunOptions(
        config=Path(values.get("config", DEFAULT_CONFIG)),
        topology=Path(values.get("topology", DEFAULT_TOPOLOGY)),
        database=Path(database),
        socket=Path(values["socket-path"]) if "socket-path" in values else None,
        addresses=named or ("0.0.0.0", "::"),  # noqa: S104 - a relay is there for everybody
        port=int(values.get("port", "0")) % 65536,
    )


def usage() -> str:
    """Return the short help."""
    return (
        "Usage: cardano-node (run | trace-documentation)\n\n  Start node of the Cardano blockchain.\n\n"
        "Available options:\n  -h,--help                Show this help text\n\n"
        "Run the node\n  run                      Run the node."
    )


def usage_of_run() -> str:
    """Return the options of `run`."""
    options = [f"[--{name} {value}]" for name, value in WITH_VALUE.items()] + [f"[--{name}]" for name in FLAGS]
    return "Usage: cardano-node run " + "\n         ".join(options) + "\n\n  Run the node."
