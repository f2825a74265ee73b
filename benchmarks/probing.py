"""What probing a fleet costs: every relay is asked for its tip and about sixteen points, as each cycle asks.

The relays are one process on one core (`probed`), the prober is this process on another. Beside ours stand what suggests
itself first: a connection for every question, a question at a time on one connection, and relay after relay. They use the
same protocol code, so the ratios are about the way of asking only. Fewer relays for the slow ones: what counts is relays a second.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from benchmarks.probed import FIRST_ADDRESS, MAGIC, POINTS
from orchestrator.ouroboros.chainsync import FindIntersect, IntersectFound, decode_chain_sync, encode_chain_sync
from orchestrator.ouroboros.client import probe, run_probes
from orchestrator.ouroboros.dialing import dial, shake_hands
from orchestrator.ouroboros.handshake import KNOWN_VERSIONS, VersionData, offer
from orchestrator.ouroboros.mux import ProtocolId
from orchestrator.ouroboros.targets import Target

DELAYS_MILLISECONDS = (0, 50)
SIDE_BY_SIDE = 200
PATIENCE = timedelta(seconds=30)
OFFERED = offer(KNOWN_VERSIONS, VersionData(MAGIC, initiator_only=True, peer_sharing=False))
QUESTIONS = (FindIntersect(()), *(FindIntersect((point,)) for point in POINTS))
ON_THE_CHAIN = len(POINTS[::2])


@dataclass(frozen=True, slots=True)
class Way:
    """One way of asking: how many relays it is measured with, and what it costs by construction."""

    name: str
    relays: int
    connections: int
    """A relay."""
    round_trips: int
    """A relay, connecting included."""
    run: Callable[[Sequence[Target]], None]


def measure_probing(rounds: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure every way with every delay, in turns; medians."""
    rows = []
    cores = sorted(os.sched_getaffinity(0))
    for milliseconds in DELAYS_MILLISECONDS:
        with _relays(cores[-1], milliseconds) as port, _on_core(cores[0]):
            taken: dict[str, list[tuple[float, float]]] = {way.name: [] for way in WAYS}
            for number in range(rounds):
                for way in WAYS:
                    taken[way.name].append(_take(way, port))
                    report(f"probing, {milliseconds} ms, round {number + 1}: {way.name} {taken[way.name][-1][0]:.2f} s")
        rows += [_row(way, milliseconds, taken[way.name]) for way in WAYS]
    return rows


def _take(way: Way, port: int) -> tuple[float, float]:
    targets = [Target(str(FIRST_ADDRESS + number), port) for number in range(way.relays)]
    began, processor = time.monotonic(), time.process_time()
    way.run(targets)
    return time.monotonic() - began, time.process_time() - processor


def _row(way: Way, milliseconds: int, taken: Sequence[tuple[float, float]]) -> dict[str, Any]:
    wall, processor = (statistics.median(values) for values in zip(*taken, strict=True))
    return {
        "way": way.name,
        "delay_milliseconds": milliseconds,
        "relays": way.relays,
        "connections": way.connections,
        "round_trips": way.round_trips,
        "seconds": round(wall, 3),
        "relays_a_second": round(way.relays / wall, 1),
        "processor_milliseconds_a_relay": round(1000 * processor / way.relays, 3),
    }


@contextmanager
def _relays(core: int, milliseconds: int) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.probed", str(core), str(milliseconds / 1000)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both were asked for")
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _check(found: int, detail: str = "") -> None:
    # A probe that failed is quick, and would count as a fast one.
    if found != ON_THE_CHAIN:
        raise SystemExit(f"a probe found {found} of {ON_THE_CHAIN} points: {detail}")


def _ours(targets: Sequence[Target]) -> None:
    for result in run_probes(targets, MAGIC, concurrency=SIDE_BY_SIDE, points=POINTS):
        _check(len(result.has), result.detail)


def _one_after_the_other(targets: Sequence[Target]) -> None:
    async def run() -> None:
        for target in targets:
            result = await probe(target, MAGIC, points=POINTS)
            _check(len(result.has), result.detail)

    asyncio.run(run())


def _a_connection_a_question(targets: Sequence[Target]) -> None:
    async def ask_all(target: Target) -> int:
        return sum([await _ask(target, (question,)) for question in QUESTIONS])

    _all_side_by_side(targets, ask_all)


def _a_question_at_a_time(targets: Sequence[Target]) -> None:
    _all_side_by_side(targets, lambda target: _ask(target, QUESTIONS))


def _all_side_by_side(targets: Sequence[Target], ask: Callable[[Target], Awaitable[int]]) -> None:
    async def run() -> None:
        places = asyncio.Semaphore(SIDE_BY_SIDE)

        async def in_turn(target: Target) -> None:
            async with places:
                _check(await ask(target))

        async with asyncio.TaskGroup() as group:
            for target in targets:
                group.create_task(in_turn(target))

    asyncio.run(run())


async def _ask(target: Target, questions: Sequence[FindIntersect]) -> int:
    """Ask question by question on one connection; return how many points were found."""
    found = 0
    async with dial(target, PATIENCE) as (connection, _):
        await shake_hands(connection, OFFERED, PATIENCE)
        for question in questions:
            await connection.send((ProtocolId.CHAIN_SYNC, encode_chain_sync(question)))
            answer = decode_chain_sync(await connection.receive(ProtocolId.CHAIN_SYNC, "answer", PATIENCE))
            found += isinstance(answer, IntersectFound)
    return found


WAYS = (
    Way("ours", 1000, 1, 3, _ours),
    Way("a question at a time", 1000, 1, 2 + len(QUESTIONS), _a_question_at_a_time),
    Way("a connection a question", 200, len(QUESTIONS), 3 * len(QUESTIONS), _a_connection_a_question),
    Way("ours, relay after relay", 50, 1, 3, _one_after_the_other),
)
