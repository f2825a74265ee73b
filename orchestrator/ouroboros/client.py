"""The asking side: connect, shake hands, ping, ask for the tip, leave; and say what was found as a verdict.

Three round trips: connecting, the handshake, and then keep-alive and find-intersect together (each further
ping is one more). The two MsgDone wait for nothing.

Decided 2026-11-22: the questions do not travel together with the handshake proposal, which would save the second
round trip. The Haskell node and gouroboros would both cope (each reads exactly one unit for the handshake and leaves
the rest in the socket until its multiplexer runs), but:
- the specification runs the handshake before the multiplexer exists, and what a message means depends on
  the version that is agreed there;
- a peer that refuses closes with our questions unread, so its kernel sends a reset and forgets what it had
  still to send: if the refusal is lost on the way, wrong magic looks like a broken connection;
- the ping would measure the handshake too.
A sure verdict is worth more than a round trip.

Finding an empty list of points is how the tip is asked for: the answer "not found" carries it.
Whether a verdict is a reason to do anything is left to others.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypedDict, Unpack

from .chainsync import (
    ChainSyncDone,
    FindIntersect,
    IntersectFound,
    Point,
    Tip,
    decode_chain_sync,
    encode_chain_sync,
    expect_intersection,
)
from .connection import Connection
from .dialing import NotConnected, dial, shake_hands
from .errors import ConnectionClosed, PeerTimeout, ProtocolError
from .handshake import (
    KNOWN_VERSIONS,
    AcceptVersion,
    Refuse,
    VersionData,
    VersionMismatch,
    is_about_magic,
    magic_in_refusal,
    offer,
)
from .keepalive import KeepAlive, KeepAliveDone, decode_keep_alive, encode_keep_alive, expect_response
from .mux import ProtocolId
from .targets import Target
from .verdicts import ProbeResult, SlotClock, Verdict

# Cookies are counted from 0 and have 16 bits.
MOST_PINGS = 2**16


@dataclass(frozen=True, slots=True)
class ProbeTimeouts:
    """How long a probe waits for each step; a ping or the tip is one step each.

    Ten seconds is what the node itself allows for the handshake and for an intersection.
    """

    connect: timedelta = timedelta(seconds=5)
    handshake: timedelta = timedelta(seconds=10)
    answer: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Questions:
    """What a probe asks, and by what it judges the answers.

    `max_tip_age` needs `slot_clock`; `now` gives unix seconds.
    """

    network_magic: int
    timeouts: ProbeTimeouts = ProbeTimeouts()
    slot_clock: SlotClock | None = None
    max_tip_age: timedelta | None = None
    pings: int = 1
    points: tuple[Point, ...] = ()
    versions: tuple[int, ...] = KNOWN_VERSIONS
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.max_tip_age is not None and self.slot_clock is None:
            raise ValueError("max_tip_age needs a slot_clock: without it a tip has no age")
        offer(self.versions, VersionData(self.network_magic, initiator_only=True, peer_sharing=False))
        if not 1 <= self.pings <= MOST_PINGS:
            raise ValueError(f"pings is {self.pings}, must be 1 to {MOST_PINGS}")


class ProbeOptions(TypedDict, total=False):
    """The optional fields of Questions, as keywords of the functions below."""

    timeouts: ProbeTimeouts
    slot_clock: SlotClock | None
    max_tip_age: timedelta | None
    pings: int
    points: tuple[Point, ...]
    versions: tuple[int, ...]
    now: Callable[[], float]


@dataclass(slots=True)
class _Findings:
    """What is known so far: kept apart, so that whatever ends a probe loses nothing of it."""

    result: ProbeResult

    def count_round_trip(self) -> None:
        self.result = replace(self.result, round_trips=self.result.round_trips + 1)

    @property
    def agreed(self) -> bool:
        return self.result.negotiated_version is not None


async def probe(target: Target, network_magic: int, **options: Unpack[ProbeOptions]) -> ProbeResult:
    """Ask one peer; never raises for anything that peer or network do. Options: see Questions."""
    return await _probe(target, Questions(network_magic, **options))


async def probe_all(
    targets: Iterable[Target], network_magic: int, *, concurrency: int = 200, **options: Unpack[ProbeOptions]
) -> tuple[ProbeResult, ...]:
    """Ask many peers side by side, at most `concurrency` at a time; results in the targets' order."""
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}, must be at least 1")
    questions = Questions(network_magic, **options)
    places = asyncio.Semaphore(concurrency)

    async def probe_in_turn(target: Target) -> ProbeResult:
        async with places:
            return await _probe(target, questions)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(probe_in_turn(target)) for target in targets]
    return tuple(task.result() for task in tasks)


def run_probes(
    targets: Iterable[Target], network_magic: int, *, concurrency: int = 200, **options: Unpack[ProbeOptions]
) -> tuple[ProbeResult, ...]:
    """Do as `probe_all`, from code that has no event loop."""
    return asyncio.run(probe_all(targets, network_magic, concurrency=concurrency, **options))


async def _probe(target: Target, questions: Questions) -> ProbeResult:
    findings = _Findings(ProbeResult(target.address, target.port, Verdict.NOT_ASKED, "not asked yet"))
    try:
        async with dial(target, questions.timeouts.connect) as (connection, took):
            findings.count_round_trip()
            findings.result = replace(findings.result, connect_rtt_seconds=took)
            verdict, detail = await _converse(connection, questions, findings)
    except NotConnected as failure:
        verdict, detail = failure.verdict, str(failure)
    except PeerTimeout as failure:
        verdict = Verdict.ANSWER_TIMEOUT if findings.agreed else Verdict.HANDSHAKE_TIMEOUT
        detail = f"{failure}" + ("" if findings.agreed else ": saturated or still starting")
    except ConnectionClosed as failure:
        verdict = Verdict.CLOSED_AFTER_HANDSHAKE if findings.agreed else Verdict.CLOSED_BEFORE_ANSWER
        detail = str(failure)
    except ProtocolError as failure:
        verdict, detail = Verdict.PROTOCOL_ERROR, str(failure)
    return replace(findings.result, verdict=verdict, detail=detail)


async def _converse(connection: Connection, questions: Questions, findings: _Findings) -> tuple[Verdict, str]:
    started = time.monotonic()
    # A peer that was offered more than initiator-only might use us as a peer of its own.
    offered = offer(questions.versions, VersionData(questions.network_magic, initiator_only=True, peer_sharing=False))
    reply = await shake_hands(connection, offered, questions.timeouts.handshake)
    findings.count_round_trip()
    findings.result = replace(findings.result, handshake_rtt_seconds=time.monotonic() - started)
    match reply:
        case Refuse():
            findings.result = replace(findings.result, magic=magic_in_refusal(reply.reason))
            return _judge_refusal(reply, questions)
        case AcceptVersion(version, data):
            findings.result = replace(
                findings.result,
                negotiated_version=version,
                magic=data.network_magic,
                peer_sharing=data.peer_sharing,
            )
    if data.network_magic != questions.network_magic:
        return Verdict.WRONG_MAGIC, _other_network(data.network_magic, questions)
    tip = await _ask(connection, questions, findings)
    await _say_goodbye(connection)
    return _judge_tip(tip, questions, findings)


def _judge_refusal(refusal: Refuse, questions: Questions) -> tuple[Verdict, str]:
    reason = refusal.reason
    if isinstance(reason, VersionMismatch):
        spoken, offered = (", ".join(map(str, which)) for which in (reason.versions, questions.versions))
        return Verdict.NO_COMMON_VERSION, f"the peer speaks versions {spoken or 'none'}, offered were {offered}"
    if is_about_magic(reason):
        return Verdict.WRONG_MAGIC, _other_network(magic_in_refusal(reason), questions)
    return Verdict.REFUSED_BY_PEER, f"the peer refused version {reason.version}: {reason.text[:200]}"


def _other_network(magic: int | None, questions: Questions) -> str:
    said = "of another network" if magic is None else f"of the network with magic {magic}"
    return f"the peer is {said}, not {questions.network_magic}"


async def _ask(connection: Connection, questions: Questions, findings: _Findings) -> Tip:
    """Ping and ask for the tip at once; further pings follow one by one, or they would measure each other."""
    asked = FindIntersect(questions.points)
    round_trips: list[float] = []
    for cookie in range(questions.pings):
        ping = KeepAlive(cookie)
        messages = [(ProtocolId.KEEP_ALIVE, encode_keep_alive(ping))]
        if cookie == 0:
            messages.append((ProtocolId.CHAIN_SYNC, encode_chain_sync(asked)))
        started = time.monotonic()
        await connection.send(*messages)
        response = await connection.receive(ProtocolId.KEEP_ALIVE, "keep-alive response", questions.timeouts.answer)
        round_trips.append(time.monotonic() - started)
        expect_response(ping, decode_keep_alive(response))
        findings.count_round_trip()
        findings.result = replace(findings.result, keepalive_rtts_seconds=tuple(round_trips))
    found = await connection.receive(ProtocolId.CHAIN_SYNC, "tip", questions.timeouts.answer)
    answer = expect_intersection(asked, decode_chain_sync(found))
    intersection = answer.point if isinstance(answer, IntersectFound) else None
    findings.result = replace(findings.result, tip=answer.tip, intersection=intersection)
    return answer.tip


async def _say_goodbye(connection: Connection) -> None:
    # The answers are in: a peer that has hung up by now has lost nothing.
    try:
        await connection.send(
            (ProtocolId.KEEP_ALIVE, encode_keep_alive(KeepAliveDone())),
            (ProtocolId.CHAIN_SYNC, encode_chain_sync(ChainSyncDone())),
        )
    except ConnectionClosed:
        return


def _judge_tip(tip: Tip, questions: Questions, findings: _Findings) -> tuple[Verdict, str]:
    place = "no block yet" if tip.slot is None else f"tip at slot {tip.slot}, block {tip.block}"
    if questions.slot_clock is None:
        return Verdict.OK, place
    age = questions.slot_clock.age_of(tip, questions.now())
    findings.result = replace(findings.result, tip_age_seconds=age.total_seconds())
    seconds = age.total_seconds()
    place = f"{place}, " + (f"{seconds:.1f} s old" if seconds >= 0 else f"{-seconds:.1f} s ahead of this clock")
    if questions.max_tip_age is not None and age > questions.max_tip_age:
        return Verdict.STALE_TIP, f"{place}, at most {questions.max_tip_age.total_seconds():g} s is allowed"
    return Verdict.OK, place
