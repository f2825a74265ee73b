"""The lab node put together: start up, follow, serve, take signals, stop.

Order of life, as the real node's: signals work from the first moment; a delay stands for the replay, during which metrics are
served and the port is closed; then the `clean` marker goes, the port opens, peers are dialled. SIGINT and SIGTERM stop cleanly,
SIGHUP reads the topology again, SIGUSR1 says what is connected. What each part does is in the part; what has to be there
before (configuration, topology, locked database) is read by `__main__`, which can still refuse.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .behaviour import Behaviour, Parts
from .chain import Chain
from .cli import RunOptions
from .clock import make_clock
from .config import NodeConfig
from .database import Database
from .flaws import Flaw, NeverListens
from .follow import Judge
from .header import Header
from .log import Log
from .metrics import Figures, TipFigures, render_metrics
from .peers import Peers
from .prometheus import MetricsServer
from .reception import Reception
from .replay import is_clean, load_chain, pick_duration, spend_time
from .sessions import Sessions
from .settings import Settings, read_stop_time
from .snapshot import SnapshotRefused, check_snapshot
from .startup import describe_topology
from .topology import Topology, TopologyRefused, read_topology
from .version import Version, exit_code_of_sigterm
from .view import AdoptedChain

# Density is measured over this many slots, some multiple of what one block takes.
DENSITY_SLOTS = 1000


@dataclass(frozen=True, slots=True)
class Start:
    """All that a node starts from."""

    options: RunOptions
    config: NodeConfig
    topology: Topology
    database: Database
    settings: Settings
    version: Version
    revision: str
    log: Log
    flaw: Flaw | None = None
    """What this release does wrong."""


def judge_snapshot(topology: Topology, start: Start) -> str | None:
    """Return what is to be told of a topology's peer snapshot: on a reload nothing about it is fatal."""
    try:
        genesis = start.config.genesis
        return check_snapshot(topology, start.version, genesis.network_magic, start.config.consensus_mode)
    except SnapshotRefused as error:
        return str(error)


async def live(start: Start) -> int:
    """Be a node until told to stop; return the exit code. Raise OSError if a port is not ours to have."""
    return await Node(start).run()


class Node:
    """One running node; everything happens on one event loop."""

    def __init__(self, start: Start) -> None:
        config = start.config
        self._start = start
        self._log = start.log
        self._clock = make_clock(config.genesis)
        self._chain = AdoptedChain(Chain(config.genesis.security_parameter), start.database, self._note_extension)
        judge = Judge(config.genesis.leaders, self._clock)
        self._sessions = Sessions(self._chain, config.genesis.network_magic, start.version, judge, start.log)
        self._reception = Reception(config.accepted_connections, self._sessions.serve)
        self._peers = Peers(start.topology, self._sessions.follow)
        parts = Parts(self._chain, self._clock, self._sessions, self._reception, self._peers)
        self._behaviour = Behaviour(parts, start.settings, start.flaw, start.database.folder, start.topology, start.log)
        self._extended = False
        self._opened = False
        self._replay_percent: float | None = None
        self._started = datetime.now(UTC)
        self._stop = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Live until told to stop; return the exit code. Raise OSError if a port is not ours to have."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._ask_to_stop, 0)
        loop.add_signal_handler(signal.SIGTERM, self._ask_to_stop, exit_code_of_sigterm(self._start.version))
        loop.add_signal_handler(signal.SIGHUP, self._reload_topology)
        loop.add_signal_handler(signal.SIGUSR1, self._log_connections)
        living = asyncio.create_task(self._live())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((living, stopping), return_when=asyncio.FIRST_COMPLETED)
        living.cancel()
        stopping.cancel()
        result, _ = await asyncio.gather(living, stopping, return_exceptions=True)
        if isinstance(result, Exception):
            self._start.database.close(mark_clean=False)
            raise result.exceptions[0] if isinstance(result, ExceptionGroup) else result
        if self._opened:
            await self._wind_down()
        # Stopped while still starting, nothing was opened: the marker stays as it was found.
        self._start.database.close(mark_clean=self._opened)
        return self._exit_code

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._start_metrics(group)
            await self._replay()
            if isinstance(self._start.flaw, NeverListens):
                await self._stop.wait()
                return
            addresses = self._reception.open(self._start.options.addresses, self._start.options.port)
            self._start.database.mark_running()
            self._opened = True
            for address in addresses:
                self._log.write("Startup.DiffusionInit.RunServer", "Info", f"RunServer {address}", address=address)
            await self._open_local_socket(group)
            group.create_task(self._reception.run())
            group.create_task(self._peers.run())
            group.create_task(self._behaviour.keep_looking())
            group.create_task(self._behaviour.keep_forging())

    def _start_metrics(self, group: asyncio.TaskGroup) -> None:
        endpoint = self._start.config.metrics
        if endpoint is None:
            return

        def render() -> str:
            return render_metrics(self._figures(), legacy=endpoint.legacy, with_suffix=endpoint.with_suffix)

        def note(failure: str) -> None:
            self._log.write("Reflection.PrometheusSimple", "Warning", f"PrometheusSimple backend stop: {failure}")

        server = MetricsServer(render, legacy=endpoint.legacy)
        group.create_task(server.run(endpoint.address, endpoint.port, note))

    async def _open_local_socket(self, group: asyncio.TaskGroup) -> None:
        """Have the socket that clients on the machine look for; nothing is said on it."""
        path = self._start.options.socket
        if path is None:
            return
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
        group.create_task(_serve_until_cancelled(server))

    async def _replay(self) -> None:
        """Load the chain, and take as long over it as the lab or the release wants."""
        self._behaviour.look()
        start, chain = self._start, self._chain.chain
        database, clean = start.database, is_clean(start.database, start.flaw)
        if not clean:
            self._log.write(
                "ChainDB.LastShutdownUnclean", "Notice", "ChainDB is not clean. Validating all immutable chunks"
            )
        duration = pick_duration(start.settings, start.flaw, clean=clean, empty=database.is_empty())
        load_chain(chain, database, self._sessions.judge.rules)
        tip = chain.tip
        await spend_time(duration, tip.slot if tip else 0, self._log, self._note_replay)
        at = "genesis (origin)" if tip is None else f"{tip.hash.hex()} at slot {tip.slot}"
        self._log.write("ChainDB.OpenEvent.OpenedDB", "Info", f"Opened db with immutable tip at {at} and tip {at}")

    def _note_replay(self, percent: float) -> None:
        self._replay_percent = percent

    def _note_extension(self, tip: Header, switched: bool) -> None:  # noqa: FBT001 - a callback's only flag
        self._extended = True
        what, namespace = (
            ("Switched to a fork", "SwitchedToAFork") if switched else ("Chain extended", "AddedToCurrentChain")
        )
        text = f"{what}, new tip: {tip.hash.hex()} at slot {tip.slot}"
        self._log.write(
            f"ChainDB.AddBlockEvent.{namespace}", "Notice" if switched else "Info", text, newtip=tip.hash.hex()
        )

    def _reload_topology(self) -> None:
        start = self._start
        self._log.write("Startup.NetworkConfigUpdate", "Notice", "Performing topology configuration update")
        try:
            topology = read_topology(
                start.options.topology, start.version, start.config.known_peers, start.config.consensus_mode
            )
        except TopologyRefused as error:
            # The real node lets this escape as an exception of the signal's own thread, and keeps what it has.
            text = f"cardano-node: Cardano.Node.Configuration.TopologyP2P.readTopologyFile: {error}"
            print(f"{text}\nCallStack (from HasCallStack):\n  error", file=sys.stderr, flush=True)
            return
        told = judge_snapshot(topology, start)
        if told is not None:
            self._log.write("Startup.NetworkConfigUpdateWarning", "Warning", told)
        self._behaviour.change_topology(topology)
        self._log.write("Startup.NetworkConfig", "Info", describe_topology(topology))

    def _log_connections(self) -> None:
        text = f"inbound {self._reception.connections}, outbound {', '.join(sorted(map(str, self._sessions.followed))) or 'none'}"
        self._log.write("Net.ConnectionManager.Remote.State", "Info", text)

    def _ask_to_stop(self, exit_code: int) -> None:
        self._exit_code = exit_code
        self._stop.set()

    async def _wind_down(self) -> None:
        seconds = read_stop_time(self._start.settings, self._start.database.folder).total_seconds()
        self._log.write("Shutdown.Requested", "Notice", "Received shutdown request, closing the database")
        await asyncio.sleep(seconds)

    def _figures(self) -> Figures:
        return Figures(
            version=self._start.version,
            revision=self._start.revision,
            started=self._started,
            tip=self._tip_figures(),
            replay_percent=self._replay_percent,
            inbound=self._reception.connections,
            outbound=len(self._sessions.followed),
            known_peers=self._peers.known,
            forks=self._chain.forks,
            served_headers=self._chain.served_headers,
            served_blocks=self._chain.served_blocks,
            served_newest=self._chain.served_newest,
            resident_bytes=_count_resident_bytes(),
        )

    def _tip_figures(self) -> TipFigures | None:
        tip, genesis = self._chain.chain.tip, self._start.config.genesis
        if tip is None or not self._extended:
            return None
        slots = min(DENSITY_SLOTS, tip.slot + 1)
        return TipFigures(
            slot=tip.slot,
            block=tip.number,
            epoch=tip.slot // genesis.epoch_length,
            slot_in_epoch=tip.slot % genesis.epoch_length,
            density=self._chain.chain.count_blocks_since(tip.slot - slots + 1) / slots,
        )


async def _serve_until_cancelled(server: asyncio.Server) -> None:
    try:
        await server.serve_forever()
    finally:
        server.close()


def _count_resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
