"""Every verdict of a probe, made to happen on loopback."""

import asyncio
import errno
import shutil
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.ouroboros.chainsync import Origin, Tip
from orchestrator.ouroboros.client import ProbeTimeouts, probe, probe_all, run_probes
from orchestrator.ouroboros.dialing import verdict_of
from orchestrator.ouroboros.server import EndCause, ServerSettings
from orchestrator.ouroboros.targets import Target
from orchestrator.ouroboros.verdicts import SlotClock, Verdict
from tests.ouroboros_peers import (
    ACCEPTANCE,
    LONG,
    MAGIC,
    PATIENT,
    PONG,
    SHORT,
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


def test_a_serving_relay_is_ok_with_all_that_was_learnt():
    chain = ListChain(10, 20)
    result = probing_a_relay(
        chain, slot_clock=SlotClock(1000.0, 2.0), max_tip_age=timedelta(seconds=60), now=lambda: 1045.5
    )
    assert (result.verdict, result.detail) == (Verdict.OK, "tip at slot 20, block 2, 5.5 s old")
    assert (result.negotiated_version, result.magic, result.peer_sharing) == (15, MAGIC, False)
    assert (result.tip, result.tip_age_seconds) == (Tip(a_point(20), 2), 5.5)
    assert result.connect_rtt_seconds > 0
    assert result.handshake_rtt_seconds > 0
    assert len(result.keepalive_rtts_seconds) == 1
    assert chain.asked == [()]


def test_the_newest_of_the_asked_points_is_reported():
    asked = (a_point(21), a_point(20), a_point(10))
    assert probing_a_relay(points=asked).intersection == a_point(20)
    assert probing_a_relay(points=(a_point(21),)).intersection is None


def test_an_old_tip_is_stale():
    result = probing_a_relay(slot_clock=SlotClock(1000.0, 1.0), max_tip_age=timedelta(seconds=60), now=lambda: 1081.0)
    assert result.verdict is Verdict.STALE_TIP
    assert result.detail == "tip at slot 20, block 2, 61.0 s old, at most 60 s is allowed"


def test_a_tip_of_exactly_the_allowed_age_is_not_stale():
    result = probing_a_relay(slot_clock=SlotClock(1000.0, 1.0), max_tip_age=timedelta(seconds=60), now=lambda: 1080.0)
    assert result.verdict is Verdict.OK


def test_a_chain_without_a_block_is_as_old_as_its_first_slot():
    clock = {"slot_clock": SlotClock(1000.0, 1.0), "max_tip_age": timedelta(seconds=60)}
    young = probing_a_relay(ListChain(), now=lambda: 1030.0, **clock)
    old = probing_a_relay(ListChain(), now=lambda: 1061.0, **clock)
    assert (young.verdict, old.verdict) == (Verdict.OK, Verdict.STALE_TIP)
    assert young.tip == Tip(Origin(), 0)


def test_a_tip_ahead_of_the_clock_is_said_so():
    result = probing_a_relay(slot_clock=SlotClock(1000.0, 1.0), now=lambda: 1000.0)
    assert (result.tip_age_seconds, result.detail) == (-20.0, "tip at slot 20, block 2, 20.0 s ahead of this clock")


def test_a_closed_port_is_refused():
    result = asyncio.run(probe(Target("127.0.0.1", a_closed_port()), MAGIC, timeouts=PATIENT))
    assert (result.verdict, result.round_trips) == (Verdict.REFUSED, 0)
    assert result.detail == "connecting to 127.0.0.1 failed: connection refused"


def test_packets_that_vanish_are_a_connect_timeout():
    with socket.socket() as full, socket.socket() as filler:
        # Linux drops what exceeds the queue of connections nobody accepts: silence, as from a dead host.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler.connect(full.getsockname())
        target = Target(*full.getsockname())
        result = asyncio.run(probe(target, MAGIC, timeouts=ProbeTimeouts(connect=SHORT)))
    assert result.verdict is Verdict.CONNECT_TIMEOUT
    assert result.detail == "no answer to connecting to 127.0.0.1 within 0.06 s"


def test_a_machine_without_a_route_says_no_route():
    # In a network namespace without any interface, so no packet can leave.
    program = (
        "import asyncio; from orchestrator.ouroboros.client import probe; from orchestrator.ouroboros.targets import Target;"
        "print(asyncio.run(probe(Target('192.0.2.1', 3001), 42)).verdict.value)"
    )
    alone = [shutil.which("unshare") or "unshare", "--net", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets us make no network namespace")
    root = Path(__file__).parents[2]
    said = subprocess.run([*alone, sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True)
    assert said.stdout == "no_route\n"


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (errno.ECONNREFUSED, Verdict.REFUSED),
        (errno.ECONNRESET, Verdict.REFUSED),
        (errno.EHOSTUNREACH, Verdict.NO_ROUTE),
        (errno.ENETUNREACH, Verdict.NO_ROUTE),
        (errno.EACCES, Verdict.NO_ROUTE),
        (errno.ETIMEDOUT, Verdict.CONNECT_TIMEOUT),
        (errno.EMFILE, Verdict.NOT_ASKED),
        (errno.EADDRNOTAVAIL, Verdict.NOT_ASKED),
        (errno.EPERM, Verdict.NOT_ASKED),
        (None, Verdict.NOT_ASKED),
    ],
)
def test_this_machines_own_trouble_is_never_the_peers_verdict(number, verdict):
    assert verdict_of(OSError(number, "words") if number else OSError("words")) is verdict


def test_a_name_that_does_not_exist_is_told_from_a_dead_host():
    # A label too long for DNS is refused without asking anybody.
    result = asyncio.run(probe(Target("a" * 64 + ".invalid", 3001), MAGIC, timeouts=PATIENT))
    assert result.verdict is Verdict.UNKNOWN_NAME


def test_a_name_is_looked_up():
    async def run():
        async with a_relay() as (target, _):
            return await probe(Target("localhost", target.port), MAGIC, timeouts=PATIENT)

    result = asyncio.run(run())
    assert (result.verdict, result.address) == (Verdict.OK, "localhost")


def test_an_ipv6_relay_is_reached():
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")

    async def run():
        async with listening(a_script(ACCEPTANCE, PONG + TIP), host="::1") as target:
            return await probe(target, MAGIC, timeouts=PATIENT)

    assert asyncio.run(run()).verdict is Verdict.OK


def test_a_silent_acceptor_is_a_handshake_timeout():
    result = probing(a_script(then_close=False), timeouts=ProbeTimeouts(handshake=SHORT))
    assert (result.verdict, result.round_trips) == (Verdict.HANDSHAKE_TIMEOUT, 1)
    assert result.detail == "no handshake reply within 0.06 s: saturated or still starting"


def test_half_an_answer_is_a_handshake_timeout_too():
    result = probing(a_script(ACCEPTANCE[:-1], then_close=False), timeouts=ProbeTimeouts(handshake=SHORT))
    assert result.verdict is Verdict.HANDSHAKE_TIMEOUT


@pytest.mark.parametrize("answer", [(), (ACCEPTANCE[:5],), (ACCEPTANCE[:-1],)])
def test_hanging_up_in_the_handshake_is_closed_before_answer(answer):
    assert probing(a_script(*answer)).verdict is Verdict.CLOSED_BEFORE_ANSWER


def test_a_reset_in_the_handshake_is_closed_before_answer():
    async def reset(reader, writer):
        await reader.read(1)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    result = probing(reset)
    assert (result.verdict, result.detail) == (
        Verdict.CLOSED_BEFORE_ANSWER,
        "connection lost: [Errno 104] Connection reset by peer",
    )


def test_another_network_is_wrong_magic_and_names_it():
    result = probing_a_relay(magic=7)
    assert (result.verdict, result.magic, result.round_trips) == (Verdict.WRONG_MAGIC, MAGIC, 2)
    assert result.detail == "the peer is of the network with magic 42, not 7"


def test_accepting_for_another_network_is_wrong_magic_too():
    result = probing(a_script(unit(0, an_acceptance(magic=43))))
    assert (result.verdict, result.detail) == (Verdict.WRONG_MAGIC, "the peer is of the network with magic 43, not 42")


def test_versions_that_do_not_meet_are_no_common_version():
    result = probing_a_relay(settings=ServerSettings(MAGIC, versions=(13,)), versions=(14, 15))
    assert result.verdict is Verdict.NO_COMMON_VERSION
    assert result.detail == "the peer speaks versions 13, offered were 14, 15"


@pytest.mark.parametrize("refusal", ["820283020f63666f6f", "820283010f63666f6f"])
def test_any_other_refusal_is_told_with_its_words(refusal):
    result = probing(a_script(unit(0, bytes.fromhex(refusal))))
    assert (result.verdict, result.detail) == (Verdict.REFUSED_BY_PEER, "the peer refused version 15: foo")


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "sent as initiator, this peer is responder"),
        ((b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n",), "sent as initiator, this peer is responder"),
        ((unit(0, b"\xff"),), "handshake: byte 0xff does not begin anything"),
        ((unit(0, an_acceptance() + b"\x00"),), "handshake: more bytes follow the last message"),
        ((unit(0, b"\x58\xff" * 3000),), "handshake: more than 5760 bytes sent ahead"),
        ((unit(0, bytes.fromhex("8203a0")),), "handshake reply: a query reply, though nothing was queried"),
        ((bytes.fromhex("0000000180000000"),), "mux header: length 0 for protocol 0"),
        ((unit(4, b"\x00"),), "mux header: protocol 4 is not spoken here"),
        ((ACCEPTANCE, unit(8, a_pong(1)) + TIP), "keep-alive: KeepAlive(cookie=0) was answered by"),
        ((ACCEPTANCE, unit(8, b"\x81\x02") + TIP), "keep-alive: KeepAlive(cookie=0) was answered by"),
        ((ACCEPTANCE, PONG + unit(2, b"\x81\x01")), "chain-sync: AwaitReply where an intersection was due"),
        ((ACCEPTANCE, PONG + unit(2, bytes.fromhex("830580828000"))), "which was not asked about"),
        ((ACCEPTANCE, PONG + unit(2, b"\x81" * 50)), "chain-sync: nested deeper than"),
    ],
)
def test_breaking_the_protocol_is_a_protocol_error_that_says_where(answers, complaint):
    result = probing(a_script(*answers))
    assert result.verdict is Verdict.PROTOCOL_ERROR
    assert complaint in result.detail


def test_accepting_a_version_that_was_not_offered_is_a_protocol_error():
    result = probing(a_script(unit(0, an_acceptance(13))), versions=(14, 15))
    assert (result.verdict, result.detail) == (
        Verdict.PROTOCOL_ERROR,
        "handshake reply: version 13 accepted, which was not offered",
    )


@pytest.mark.parametrize(
    ("answer", "missing"), [(b"", "keep-alive response"), (TIP, "keep-alive response"), (PONG, "tip")]
)
def test_silence_after_the_handshake_is_an_answer_timeout(answer, missing):
    timeouts = ProbeTimeouts(connect=LONG, handshake=LONG, answer=SHORT)
    result = probing(a_script(ACCEPTANCE, answer, then_close=False), timeouts=timeouts)
    assert (result.verdict, result.detail) == (Verdict.ANSWER_TIMEOUT, f"no {missing} within 0.06 s")
    assert result.negotiated_version == 15


@pytest.mark.parametrize("answers", [(ACCEPTANCE,), (ACCEPTANCE, PONG), (ACCEPTANCE, PONG + TIP[:-1])])
def test_hanging_up_after_the_handshake_is_told_apart(answers):
    result = probing(a_script(*answers))
    assert (result.verdict, result.negotiated_version) == (Verdict.CLOSED_AFTER_HANDSHAKE, 15)


def test_a_peer_that_answers_and_hangs_up_is_ok():
    assert probing(a_script(ACCEPTANCE, PONG + TIP)).verdict is Verdict.OK


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


def test_the_real_clock_is_the_default():
    clock = SlotClock(time.time() - 20, 1.0)
    assert abs(probing_a_relay(slot_clock=clock).tip_age_seconds) < LONG.total_seconds()
