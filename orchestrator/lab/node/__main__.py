"""Start the lab node as a process: read everything that can still be refused, then run until told to stop.

`main` is what a release's `cardano-node` calls, with its own number. Exit codes: 0 a clean stop, 1 refused or failed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .cli import RunOptions, ShowText, ShowVersion, WrongUsage, parse_arguments
from .version import Version, parse_version, version_text

# For `python -m orchestrator.lab.node`, where no release says otherwise.
DEFAULT_VERSION = "11.0.1"

EXIT_TEXT = "internal error: this release ends at each start (a bad release of the lab)"


def main(arguments: Sequence[str], version: str, revision: str, flaw: Mapping[str, Any] | None = None) -> int:
    """Be `cardano-node` of this version, with what it does wrong (see `flaws`); return the exit code."""
    # Until the node can take it, a reload must not kill: the real one survives it during start-up too.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    release = parse_version(version)
    try:
        command = parse_arguments(arguments)
    except WrongUsage as error:
        print(error, file=sys.stderr)
        return 1
    match command:
        case ShowVersion():
            print(version_text(release, revision))
            return 0
        case ShowText(text, exit_code):
            print(text, file=sys.stderr if exit_code else sys.stdout)
            return exit_code
        case RunOptions():
            return _run(command, release, revision, flaw)


def _run(options: RunOptions, version: Version, revision: str, entry: Mapping[str, Any] | None) -> int:
    import asyncio

    from .config import ConfigRefused, read_config
    from .database import Database, DatabaseRefused
    from .flaws import ExitsAtStart, parse_flaw
    from .log import Log
    from .node import Start, live
    from .settings import read_settings
    from .snapshot import SnapshotRefused, check_snapshot
    from .topology import TopologyRefused, read_topology

    try:
        flaw = parse_flaw(entry)
        settings = read_settings(os.environ)
        config = read_config(options.config, version)
        if settings.forge is not None and settings.forge >= config.genesis.leaders.issuers:
            raise ConfigRefused(
                f"GENESIS_LAB_FORGE={settings.forge}: the genesis knows {config.genesis.leaders.issuers} issuers, "
                "numbered from 0 (labIssuers in the Shelley genesis)"
            )
        if isinstance(flaw, ExitsAtStart):
            print(f"cardano-node: {EXIT_TEXT}", file=sys.stderr)
            return flaw.exit_code
        topology = read_topology(options.topology, version, config.known_peers, config.consensus_mode)
        log = Log(config.log)
        told = check_snapshot(topology, version, config.genesis.network_magic, config.consensus_mode)
        if told is not None:
            log.write("Startup.NetworkConfigUpdateWarning", "Warning", told)
        database = Database(options.database, config.genesis.network_magic)
        start = Start(options, config, topology, database, settings, version, revision, log, flaw)
        return asyncio.run(live(start))
    except (ConfigRefused, TopologyRefused, SnapshotRefused, DatabaseRefused, ValueError, OSError) as error:
        print(f"cardano-node: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    wrong = json.loads(os.environ.get("GENESIS_LAB_FLAW") or "null")
    sys.exit(main(sys.argv[1:], os.environ.get("GENESIS_LAB_VERSION", DEFAULT_VERSION), "0" * 40, wrong))
