"""What is said on connections: to those who dial us, and to those whom we dial.

Most faults that the lab asks for show here: a node that hangs, is slow, or is of another network. Who is dialled is decided by
`peers`, who is let in by `reception`, and what becomes of a peer's chain by `follow`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orchestrator.ouroboros.errors import WireError
from orchestrator.ouroboros.follower import FollowerSettings, follow_chain
from orchestrator.ouroboros.server import ServerSettings, serve_session
from orchestrator.ouroboros.targets import Target

from .chain import Candidate
from .faults import Fault, Hang, Slow, WrongMagic
from .follow import Downloads, Judge, Pursuit
from .log import Log
from .version import Version, wire_versions
from .view import AdoptedChain

READ_BYTES = 1 << 16


class Sessions:
    """Serves and follows for one node; `fault` is what the lab wants of it from now on."""

    def __init__(self, chain: AdoptedChain, network_magic: int, version: Version, judge: Judge, log: Log) -> None:
        self.fault: Fault | None = None
        self.judge = judge
        self.followed: set[Target] = set()
        self.caught_up = asyncio.Event()
        self._chain = chain
        self._magic = network_magic
        self._versions = wire_versions(version)
        self.downloads = Downloads()
        self._log = log

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one peer that dialled us, until either side ends."""
        if isinstance(self.fault, Hang):
            await _listen_in_silence(reader)
            return
        settings = ServerSettings(self._magic_now(), versions=self._versions)
        await serve_session(SlowReader(reader, self._delay_seconds), writer, self._chain, settings)

    async def follow(self, target: Target) -> None:
        """Follow one peer's chain until it goes away or shows what cannot be followed."""
        settings = FollowerSettings(versions=self._versions, must_reply=None)
        points = tuple(self._chain.chain.recent_points())
        try:
            async with follow_chain(target, self._magic_now(), points, settings) as following:
                self.followed.add(target)
                self._note_caught_up(following.tip.block)
                candidate = Candidate(following.intersection)
                pursuit = Pursuit(self._chain, following, candidate, self.judge, self.downloads)
                await pursuit.run(self._note_caught_up)
        except (WireError, OSError) as error:
            self._log.write("Net.PeerSelection.Actions.StatusChangeFailure", "Info", f"{target}: {error}")
        finally:
            self.followed.discard(target)

    def _magic_now(self) -> int:
        return self._magic + 1 if isinstance(self.fault, WrongMagic) else self._magic

    def _delay_seconds(self) -> float:
        return self.fault.seconds if isinstance(self.fault, Slow) else 0.0

    def _note_caught_up(self, peers_block: int) -> None:
        own = self._chain.chain.tip
        if peers_block <= (own.number if own else 0):
            self.caught_up.set()


class SlowReader(asyncio.StreamReader):
    """Another reader whose bytes arrive later, by as much as the lab wants at that moment."""

    def __init__(self, reader: asyncio.StreamReader, delay_seconds: Callable[[], float]) -> None:
        super().__init__()
        self._reader = reader
        self._delay_seconds = delay_seconds

    async def read(self, n: int = -1) -> bytes:
        """Read what is there, and hold it back for a while."""
        data = await self._reader.read(n)
        if (seconds := self._delay_seconds()) > 0:
            await asyncio.sleep(seconds)
        return data


async def _listen_in_silence(reader: asyncio.StreamReader) -> None:
    while await reader.read(READ_BYTES):
        pass
