"""The course of probes: round trips, order, many at once, and what is left behind."""

import asyncio
import socket
from datetime import timedelta

import pytest

from orchestrator.ouroboros.chainsync import Tip
from orchestrator.ouroboros.client import probe, probe_all, run_probes
from orchestrator.ouroboros.handshake import decode_proposal
from orchestrator.ouroboros.server import EndCause
from orchestrator.ouroboros.targets import Target
from orchestrator.ouroboros.verdicts import Verdict
from tests.ouroboros_peers import (
    ACCEPTANCE,
    LONG,
    MAGIC,
    PATIENT,
    PONG,
    TIP,
    ListChain,
    a_point,
    a_pong,
    a_relay,
    a_script,
    a_tip,
    an_acceptance,
    listening,
    unit,
)


def probing(handler, **options):
    """Probe one scripted peer."""

    async def run():
        async with listening(handler) as target:
            return await probe(target, MAGIC, **{"timeouts": PATIENT} | options)

    return asyncio.run(run())


def probing_a_relay(chain=None, settings=None, magic=MAGIC, **options):
    """Probe our own server."""

    async def run():
        async with a_relay(chain, settings) as (target, _):
            return await probe(target, magic, **{"timeouts": PATIENT} | options)

    return asyncio.run(run())


def a_closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_answers_cut_into_tiny_units_are_put_together(size):
    def in_pieces(protocol, message):
        pieces = (message[start : start + size] for start in range(0, len(message), size))
        return b"".join(unit(protocol, piece) for piece in pieces)

    result = probing(a_script(in_pieces(0, an_acceptance()), in_pieces(8, a_pong()) + in_pieces(2, a_tip())))
    assert (result.verdict, result.tip) == (Verdict.OK, Tip(a_point(20), 2))


def test_answers_cut_at_every_byte_are_put_together():
    async def run():
        for protocol, whole in ((0, an_acceptance()), (8, a_pong()), (2, a_tip())):
            for cut in range(1, len(whole)):
                halves = unit(protocol, whole[:cut]) + unit(protocol, whole[cut:])
                parts = {0: ACCEPTANCE, 8: PONG, 2: TIP} | {protocol: halves}
                async with listening(a_script(parts[0], parts[8] + parts[2])) as target:
                    yield await probe(target, MAGIC, timeouts=PATIENT)

    async def collect():
        return [result async for result in run()]

    assert {result.verdict for result in asyncio.run(collect())} == {Verdict.OK}


def test_a_probe_takes_three_round_trips():
    answers_sent = 0

    async def count(reader, writer):
        # What the client sends after its last answer (Done) waits for nothing, so it is no round trip.
        nonlocal answers_sent
        for answer in (ACCEPTANCE, PONG + TIP):
            await reader.read(65536)
            writer.write(answer)
            answers_sent += 1
        assert await reader.read() != b""

    result = probing(count)
    connecting = 1
    assert result.verdict is Verdict.OK
    assert result.round_trips == connecting + answers_sent == 3


def test_each_further_ping_takes_one_more():
    result = probing_a_relay(pings=4)
    assert (len(result.keepalive_rtts_seconds), result.round_trips) == (4, 6)


def test_both_protocols_are_ended_in_order():
    async def run():
        async with a_relay() as (target, ends):
            await probe(target, MAGIC, timeouts=PATIENT)
        return ends

    (end,) = asyncio.run(run())
    assert (end.cause, end.detail) == (EndCause.CLOSED_BY_PEER, "the peer closed the connection")


def test_a_probe_never_offers_itself_as_a_peer():
    heard = []

    async def listen(reader, _):
        heard.append(await reader.read(65536))

    probing(listen)
    proposal = decode_proposal(heard[0][8:])
    assert list(proposal.versions) == [13, 14, 15]
    assert {(data.initiator_only, data.peer_sharing, data.query) for data in proposal.versions.values()} == {
        (True, False, False)
    }


def test_what_is_sent_last_is_done_on_both_protocols():
    heard = []

    async def listen(reader, writer):
        for answer in (ACCEPTANCE, PONG + TIP):
            await reader.read(65536)
            writer.write(answer)
        heard.append(await reader.read())

    probing(listen)
    payloads = [heard[0][start : start + 6] for start in (4, 14)]
    assert [payload.hex() for payload in payloads] == ["000800028102", "000200028107"]


def test_many_targets_are_answered_in_their_order():
    async def run():
        async with a_relay(ListChain(5)) as (first, _), a_relay(ListChain(5, 6)) as (second, _):
            targets = [first, Target("127.0.0.1", a_closed_port()), second] * 5
            return await probe_all(targets, MAGIC, concurrency=4, timeouts=PATIENT)

    results = asyncio.run(run())
    assert [result.tip.block if result.tip else None for result in results] == [1, None, 2] * 5


def test_no_more_than_the_allowed_number_are_asked_at_once():
    open_now, most = 0, 0

    async def count(reader, writer):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await a_script(ACCEPTANCE, PONG + TIP)(reader, writer)
        open_now -= 1

    async def run():
        async with listening(count) as target:
            return await probe_all([target] * 20, MAGIC, concurrency=3, timeouts=PATIENT)

    assert {result.verdict for result in asyncio.run(run())} == {Verdict.OK}
    # The peer may notice the end of one after the beginning of the next.
    assert most <= 6


def test_asking_none_at_a_time_is_refused():
    with pytest.raises(ValueError, match="concurrency is 0"):
        run_probes([], MAGIC, concurrency=0)


def test_ordinary_code_needs_no_event_loop():
    (result,) = run_probes([Target("127.0.0.1", a_closed_port())], MAGIC, timeouts=PATIENT)
    assert result.verdict is Verdict.REFUSED


def test_a_cancelled_probe_closes_its_socket():
    async def run():
        hung_up = asyncio.Event()
        asked = asyncio.Event()

        async def wait_for_the_end(reader, _):
            await reader.read(65536)
            asked.set()
            assert await reader.read() == b""
            hung_up.set()

        async with listening(wait_for_the_end) as target:
            probing_task = asyncio.create_task(probe(target, MAGIC, timeouts=PATIENT))
            await asked.wait()
            probing_task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probing_task
            async with asyncio.timeout(LONG.total_seconds()):
                await hung_up.wait()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_tip_age": timedelta(seconds=1)}, "max_tip_age needs a slot_clock"),
        ({"pings": 0}, "pings is 0"),
        ({"pings": 65537}, "pings is 65537"),
        ({"versions": (16,)}, "cannot offer versions"),
    ],
)
def test_questions_that_make_no_sense_are_refused_before_asking(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        asyncio.run(probe(Target("127.0.0.1", 1), MAGIC, **options))
