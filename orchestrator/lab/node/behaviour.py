"""How a running node behaves at the moment: well, or as the lab or its own release wants; wary, or not; and whose blocks it makes.

Looks several times a second at the lab's file and at the age of the tip, and tells the other parts of the node what follows.
What each of them then does is up to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from .clock import SlotClock
from .faults import Fault, Fork, Hang, Stall, WrongMagic, kind_of, read_fault
from .flaws import Flaw, pick_due_fault
from .follow import Judge
from .forge import forge_blocks, forge_fork
from .log import Log
from .lottery import ForkRule, LeaderRules, fork_issuer
from .peers import Peers
from .reception import Reception
from .sessions import Sessions
from .settings import Settings
from .topology import Topology
from .view import AdoptedChain

LOOK_SECONDS = 0.25

# A tip older than this makes a node with bootstrap peers wary: 20 minutes of the real network's slots.
TOO_OLD_SLOTS = 1200

# A block maker first follows the others; if nobody answers for this long, it is the first of them.
LONELY_AFTER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a node that are told how to behave."""

    chain: AdoptedChain
    clock: SlotClock
    sessions: Sessions
    reception: Reception
    peers: Peers


class Behaviour:
    """What the lab wants, the topology, and what follows from them."""

    def __init__(
        self, parts: Parts, settings: Settings, flaw: Flaw | None, database: Path, topology: Topology, log: Log
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._flaw = flaw
        self._database = database
        self._topology = topology
        self._log = log
        self._leaders = parts.sessions.judge.rules
        self._fault_changed = asyncio.Event()
        # Before the port opens there is nobody to do wrong to: what a release does after a while begins there.
        self._serving_since: float | None = None

    def change_topology(self, topology: Topology) -> None:
        """Go over to another topology; the peers decide how much of it counts at once."""
        self._topology = topology
        self._parts.peers.change_topology(topology)

    async def keep_looking(self) -> None:
        """Look until cancelled, beginning when the port has opened."""
        self._serving_since = time.time()
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Look once at what the lab wants, and whether the tip is too old to trust just anybody."""
        # What the lab says counts before what the release does by itself.
        fault = read_fault(self._database) or pick_due_fault(self._flaw, self._serving_since, time.time())
        if fault != self._parts.sessions.fault:
            self._obey(fault)
        self._parts.peers.be_wary(wary=self._is_wary())

    def _is_wary(self) -> bool:
        tip = self._parts.chain.chain.tip
        return self._topology.bootstrap_peers is not None and (
            tip is None or self._parts.clock.slot_now() - tip.slot > TOO_OLD_SLOTS
        )

    def _obey(self, fault: Fault | None) -> None:
        """Do wrong as the lab wants from now on, and undo what it wanted before."""
        chain, sessions = self._parts.chain, self._parts.sessions
        before, sessions.fault = sessions.fault, fault
        rules = self._rules_under(fault)
        sessions.judge = Judge(rules, self._parts.clock)
        chain.frozen = False
        chain.drop_unbelievable(rules)
        chain.frozen = isinstance(fault, Stall)
        if isinstance(before, Hang | WrongMagic) or isinstance(fault, Hang | WrongMagic):
            self._parts.reception.end_sessions()
        # Whoever forged goes on only once it has seen what the others made meanwhile.
        sessions.caught_up.clear()
        self._parts.peers.start_anew()
        self._fault_changed.set()
        self._log.write("Lab.Fault", "Notice", "none" if fault is None else f"{kind_of(fault)}: {fault}")

    def _rules_under(self, fault: Fault | None) -> LeaderRules:
        if not isinstance(fault, Fork):
            return self._leaders
        return replace(self._leaders, fork=ForkRule(fork_issuer(fault.name), self._parts.clock.slot_at(fault.since)))

    async def keep_forging(self) -> None:
        """Make the blocks that are ours to make, which a fault may change at any time."""
        while True:
            self._fault_changed.clear()
            forging = asyncio.create_task(self._forge())
            changing = asyncio.create_task(self._fault_changed.wait())
            try:
                await asyncio.wait((forging, changing), return_when=asyncio.FIRST_COMPLETED)
                if forging.done():
                    forging.result()  # A failure here is one of the node.
                await changing
            finally:
                forging.cancel()
                changing.cancel()
                await asyncio.gather(forging, changing, return_exceptions=True)

    async def _forge(self) -> None:
        rules = self._parts.sessions.judge.rules
        chain, clock = self._parts.chain, self._parts.clock
        if rules.fork is not None:
            lottery = rules.lottery_of(rules.fork.issuer)
            if lottery is not None:
                await forge_fork(chain, clock, lottery, rules.fork.since)
        elif self._settings.forge is not None:
            await self._catch_up()
            lottery = rules.lottery_of(self._settings.forge)
            if lottery is not None:
                await forge_blocks(chain, clock, lottery)

    async def _catch_up(self) -> None:
        """Wait until a peer has no more to show than we have, or nobody shows anything."""
        topology, sessions = self._topology, self._parts.sessions
        alone = not (topology.local_roots or topology.public_roots or topology.bootstrap_peers)
        while not (alone or sessions.caught_up.is_set()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LONELY_AFTER_SECONDS):
                    await sessions.caught_up.wait()
            if not sessions.followed:
                break
