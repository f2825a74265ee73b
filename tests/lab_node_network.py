"""A few lab nodes in one process: real chains, databases, sockets and connections, without configuration and start-up."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.lab.node.chain import Chain
from orchestrator.lab.node.clock import SlotClock
from orchestrator.lab.node.config import ConnectionLimit, LogFormat
from orchestrator.lab.node.database import Database
from orchestrator.lab.node.follow import Judge
from orchestrator.lab.node.forge import forge_blocks
from orchestrator.lab.node.log import Log
from orchestrator.lab.node.lottery import LeaderRules, Lottery
from orchestrator.lab.node.peers import Peers
from orchestrator.lab.node.reception import Reception
from orchestrator.lab.node.sessions import Sessions
from orchestrator.lab.node.topology import AccessPoint, LocalRootGroup, Topology
from orchestrator.lab.node.version import Version
from orchestrator.lab.node.view import AdoptedChain

MAGIC = 4242
NO_PEERS = Topology((), (), None, None, None)
RULES = LeaderRules(b"seed", issuers=2, active_slots_coefficient=0.5)


def lottery_of(issuer: int, rules: LeaderRules = RULES) -> Lottery:
    found = rules.lottery_of(issuer)
    assert found is not None
    return found


@dataclass
class SmallNode:
    """What of a node takes part in the network."""

    chain: AdoptedChain
    sessions: Sessions
    reception: Reception
    peers: Peers
    port: int
    log: io.StringIO

    def name_peers(self, *others: SmallNode) -> None:
        points = tuple(AccessPoint("127.0.0.1", other.port) for other in others)
        group = LocalRootGroup(points, hot=len(points), warm=len(points))
        self.peers.change_topology(replace(NO_PEERS, local_roots=(group,)))

    async def reach(self, block: int) -> None:
        """Wait until the tip is this block or a later one."""
        while (tip := self.chain.tip()).block < block:
            await self.chain.wait_for_change(tip)


@asynccontextmanager
async def small_network(
    folder: Path, count: int, clock: SlotClock, rules: LeaderRules = RULES
) -> AsyncIterator[Sequence[SmallNode]]:
    """Run so many nodes, who know nobody yet; end them all on leaving."""
    nodes = [_make_node(folder / str(number), clock, rules) for number in range(count)]
    tasks = [asyncio.create_task(part.run()) for node in nodes for part in (node.reception, node.peers)]
    try:
        yield nodes
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _make_node(folder: Path, clock: SlotClock, rules: LeaderRules) -> SmallNode:
    chain = AdoptedChain(Chain(2160), Database(folder, MAGIC), lambda _tip, _switched: None)
    stream = io.StringIO()
    log = Log(LogFormat("human", {"": "Info"}), stream, host="test")
    sessions = Sessions(chain, MAGIC, Version(11, 0, 1), Judge(rules, clock), log)
    reception = Reception(ConnectionLimit(), sessions.serve)
    port = int(reception.open(("127.0.0.1",), 0)[0].rpartition(":")[2])
    return SmallNode(chain, sessions, reception, Peers(NO_PEERS, sessions.follow), port, stream)


@asynccontextmanager
async def forging(node: SmallNode, clock: SlotClock, lottery: Lottery) -> AsyncIterator[None]:
    """Have a node make blocks for as long as this lasts."""
    task = asyncio.create_task(forge_blocks(node.chain, clock, lottery))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def fast_clock(slot_seconds: float) -> SlotClock:
    """Return a clock whose slot 0 is now."""
    return SlotClock(time.time(), slot_seconds)
