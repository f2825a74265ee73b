"""The asking side: connect, shake hands, ping, ask for the tip and about points, leave; and say what was found as a verdict.

Three round trips: connecting, the handshake, and then keep-alive and every find-intersect together (each further
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

Finding an empty list of points is how the tip is asked for: the answer "not found" carries it. It is asked first; then
each point alone, since a list is answered with its first hit only, and two points of one chain say nothing about
a third. All questions are sent at once, as one unit. Servers answer one after the other, read in their code: the node's
runs unpipelined over a queue of 462,000 bytes and its driver keeps what follows a message for the next; gouroboros
queues what it has decoded and handles the next message when it has answered the last. A found point moves the peer's
read pointer for us, which we never use. A peer that hangs up over the points has still told its tip, and is judged by it.
Whether a verdict is a reason to do anything is left to others.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TypedDict, Unpack

from .chainsync import (
    BlockPoint,
    ChainSyncDone,
    ChainSyncMessage,
    FindIntersect,
    IntersectFound,
    IntersectNotFound,
    Tip,
    decode_chain_sync,
    encode_chain_sync,
    expect_intersection,
)
from .connection import Connection
from .dialing import NotConnected, dial, shake_hands
from .errors import ConnectionClosed, PeerTimeout, ProtocolError
from .handshake import KNOWN_VERSIONS, AcceptVersion, Refuse, VersionData, magic_in_refusal, offer
from .judging import judge_other_network, judge_refusal, judge_tip
from .keepalive import KeepAlive, KeepAliveDone, decode_keep_alive, encode_keep_alive, expect_response
from .mux import ProtocolId
from .targets import Target
from .verdicts import ProbeResult, SlotClock, Verdict

# Cookies are counted from 0 and have 16 bits.
MOST_PINGS = 2**16
# Far from what a peer's queue takes (462,000 bytes; a question has 42 and its answer about 90).
MOST_POINTS = 1000
GOODBYES = (
    (ProtocolId.KEEP_ALIVE, encode_keep_alive(KeepAliveDone())),
    (ProtocolId.CHAIN_SYNC, encode_chain_sync(ChainSyncDone())),
)
# Answers about a point have up to 97 bytes; longer ones are not worth remembering.
SHORT_ANSWER = 100


@dataclass(frozen=True, slots=True)
class ProbeTimeouts:
    """How long a probe waits for each step; a ping is one, and the tip with all points together is one.

    Ten seconds is what the node itself allows for the handshake and for an intersection.
    """

    connect: timedelta = timedelta(seconds=5)
    handshake: timedelta = timedelta(seconds=10)
    answer: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Questions:
    """What a probe asks, and by what it judges the answers.

    `max_tip_age` needs `slot_clock`; `now` gives unix seconds. Each of the `points` is a question of its own.
    """

    network_magic: int
    timeouts: ProbeTimeouts = ProbeTimeouts()
    slot_clock: SlotClock | None = None
    max_tip_age: timedelta | None = None
    pings: int = 1
    points: tuple[BlockPoint, ...] = ()
    versions: tuple[int, ...] = KNOWN_VERSIONS
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.max_tip_age is not None and self.slot_clock is None:
            raise ValueError("max_tip_age needs a slot_clock: without it a tip has no age")
        offer(self.versions, VersionData(self.network_magic, initiator_only=True, peer_sharing=False))
        if not 1 <= self.pings <= MOST_PINGS:
            raise ValueError(f"pings is {self.pings}, must be 1 to {MOST_PINGS}")
        if len(self.points) > MOST_POINTS:
            raise ValueError(f"{len(self.points)} points to ask about, at most {MOST_POINTS} are allowed")


class ProbeOptions(TypedDict, total=False):
    """The optional fields of Questions, as keywords of the functions below."""

    timeouts: ProbeTimeouts
    slot_clock: SlotClock | None
    max_tip_age: timedelta | None
    pings: int
    points: tuple[BlockPoint, ...]
    versions: tuple[int, ...]
    now: Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Questions with what they are on the wire, made once for all peers."""

    questions: Questions
    offered: Mapping[int, VersionData]
    asked: tuple[FindIntersect, ...]
    about_the_chain: bytes


def _prepare(questions: Questions) -> _Prepared:
    # A peer that was offered more than initiator-only might use us as a peer of its own.
    offered = offer(questions.versions, VersionData(questions.network_magic, initiator_only=True, peer_sharing=False))
    asked = tuple(FindIntersect(points) for points in ((), *((point,) for point in questions.points)))
    return _Prepared(questions, offered, asked, b"".join(map(encode_chain_sync, asked)))


@dataclass(slots=True)
class _Findings:
    """What is known so far: kept apart, so that whatever ends a probe loses nothing of it."""

    result: ProbeResult

    @property
    def round_trips_with_this(self) -> int:
        return self.result.round_trips + 1

    @property
    def agreed(self) -> bool:
        return self.result.negotiated_version is not None


async def probe(target: Target, network_magic: int, **options: Unpack[ProbeOptions]) -> ProbeResult:
    """Ask one peer; never raises for anything that peer or network do. Options: see Questions."""
    return await _probe(target, _prepare(Questions(network_magic, **options)))


async def probe_all(
    targets: Iterable[Target], network_magic: int, *, concurrency: int = 200, **options: Unpack[ProbeOptions]
) -> tuple[ProbeResult, ...]:
    """Ask many peers side by side, at most `concurrency` at a time; results in the targets' order."""
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}, must be at least 1")
    prepared = _prepare(Questions(network_magic, **options))
    places = asyncio.Semaphore(concurrency)

    async def probe_in_turn(target: Target) -> ProbeResult:
        async with places:
            return await _probe(target, prepared)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(probe_in_turn(target)) for target in targets]
    return tuple(task.result() for task in tasks)


def run_probes(
    targets: Iterable[Target], network_magic: int, *, concurrency: int = 200, **options: Unpack[ProbeOptions]
) -> tuple[ProbeResult, ...]:
    """Do as `probe_all`, from code that has no event loop."""
    return asyncio.run(probe_all(targets, network_magic, concurrency=concurrency, **options))


async def _probe(target: Target, prepared: _Prepared) -> ProbeResult:
    findings = _Findings(ProbeResult(target.address, target.port, Verdict.NOT_ASKED, "not asked yet"))
    try:
        async with dial(target, prepared.questions.timeouts.connect) as (connection, took):
            findings.result = replace(
                findings.result, connect_rtt_seconds=took, round_trips=findings.round_trips_with_this
            )
            verdict, detail = await _converse(connection, prepared, findings)
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


async def _converse(connection: Connection, prepared: _Prepared, findings: _Findings) -> tuple[Verdict, str]:
    questions = prepared.questions
    started = time.monotonic()
    reply = await shake_hands(connection, prepared.offered, questions.timeouts.handshake)
    findings.result = replace(
        findings.result, handshake_rtt_seconds=time.monotonic() - started, round_trips=findings.round_trips_with_this
    )
    match reply:
        case Refuse():
            findings.result = replace(findings.result, magic=magic_in_refusal(reply.reason))
            return judge_refusal(reply, questions.network_magic, questions.versions)
        case AcceptVersion(version, data):
            findings.result = replace(
                findings.result,
                negotiated_version=version,
                magic=data.network_magic,
                peer_sharing=data.peer_sharing,
            )
    if data.network_magic != questions.network_magic:
        return judge_other_network(data.network_magic, questions.network_magic)
    await _ping(connection, prepared, findings)
    tip, unanswered = await _hear_of_chain(connection, prepared, findings)
    await _say_goodbye(connection)
    age = questions.slot_clock.age_of(tip, questions.now()) if questions.slot_clock else None
    findings.result = replace(findings.result, tip_age_seconds=age.total_seconds() if age is not None else None)
    verdict, detail = judge_tip(tip, age, questions.max_tip_age)
    return verdict, detail + unanswered


async def _ping(connection: Connection, prepared: _Prepared, findings: _Findings) -> None:
    """Ping and ask about the chain at once; further pings follow one by one, or they would measure each other."""
    round_trips: list[float] = []
    for cookie in range(prepared.questions.pings):
        ping = KeepAlive(cookie)
        messages = [(ProtocolId.KEEP_ALIVE, encode_keep_alive(ping))]
        if cookie == 0:
            messages.append((ProtocolId.CHAIN_SYNC, prepared.about_the_chain))
        started = time.monotonic()
        await connection.send(*messages)
        allowed = prepared.questions.timeouts.answer
        response = await connection.receive(ProtocolId.KEEP_ALIVE, "keep-alive response", allowed)
        round_trips.append(time.monotonic() - started)
        expect_response(ping, decode_keep_alive(response))
        findings.result = replace(
            findings.result, keepalive_rtts_seconds=tuple(round_trips), round_trips=findings.round_trips_with_this
        )


async def _hear_of_chain(connection: Connection, prepared: _Prepared, findings: _Findings) -> tuple[Tip, str]:
    """Take in the tip and what is said of each point; return the newest tip, and what to add if the peer hung up."""
    allowed = prepared.questions.timeouts.answer
    try:
        async with asyncio.timeout(allowed.total_seconds()):
            tip = (await _hear_answer(connection, prepared.asked[0])).tip
            findings.result = replace(findings.result, tip=tip)
            return await _hear_of_points(connection, prepared, findings, tip)
    except TimeoutError:
        waiting_for = "tip" if findings.result.tip is None else "answer about every point"
        raise PeerTimeout(waiting_for, allowed) from None


async def _hear_of_points(
    connection: Connection, prepared: _Prepared, findings: _Findings, tip: Tip
) -> tuple[Tip, str]:
    points = prepared.questions.points
    has: list[BlockPoint] = []
    heard = 0
    try:
        for point, question in zip(points, prepared.asked[1:], strict=True):
            answer = await _hear_answer(connection, question)
            heard, tip = heard + 1, answer.tip
            if isinstance(answer, IntersectFound):
                has.append(point)
    except ConnectionClosed:
        return tip, f"; it hung up over {len(points) - heard} of {len(points)} points"
    finally:
        findings.result = replace(findings.result, tip=tip, asked=points[:heard], has=tuple(has))
    return tip, ""


async def _hear_answer(connection: Connection, question: FindIntersect) -> IntersectFound | IntersectNotFound:
    data = await connection.receive(ProtocolId.CHAIN_SYNC, "answer about the chain", None)
    message = _decode_short(data) if len(data) <= SHORT_ANSWER else decode_chain_sync(data)
    return expect_intersection(question, message)


@lru_cache(maxsize=4096)
def _decode_short(data: bytes) -> ChainSyncMessage:
    """Decode an answer that was perhaps met before: relays that agree on the tip answer a question in the same bytes."""
    return decode_chain_sync(data)


async def _say_goodbye(connection: Connection) -> None:
    # The answers are in: a peer that has hung up by now has lost nothing.
    try:
        await connection.send(*GOODBYES)
    except ConnectionClosed:
        return
