"""What a peer that was reached says, as verdicts, made to happen on loopback."""

import asyncio
import socket
import time
from datetime import timedelta

import pytest

from orchestrator.ouroboros.chainsync import IntersectFound, Origin, Tip, encode_chain_sync
from orchestrator.ouroboros.client import ProbeTimeouts, probe
from orchestrator.ouroboros.server import ServerSettings
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


def test_every_point_is_asked_about_on_its_own():
    chain, asked = ListChain(10, 20), (a_point(21), a_point(20), a_point(19, branch=1), a_point(10))
    result = probing_a_relay(chain, points=asked)
    assert (result.asked, result.has) == (asked, (a_point(20), a_point(10)))
    assert chain.asked == [(), *((point,) for point in asked)]


def test_points_cost_no_round_trip():
    assert probing_a_relay(points=tuple(map(a_point, range(1000)))).round_trips == 3


def test_more_points_than_a_peers_queue_should_hold_are_refused():
    with pytest.raises(ValueError, match="1001 points to ask about, at most 1000"):
        probing_a_relay(points=tuple(map(a_point, range(1001))))


ABOUT_POINTS = {"points": (a_point(10), a_point(11), a_point(12))}
NOT_FOUND = unit(2, a_tip(slot=21, block=3))
FOUND = unit(2, encode_chain_sync(IntersectFound(a_point(10), Tip(a_point(21), 3))))


def test_the_tip_reported_is_the_newest_told():
    result = probing(a_script(ACCEPTANCE, PONG + TIP + FOUND + NOT_FOUND + NOT_FOUND), **ABOUT_POINTS)
    assert (result.tip, result.has) == (Tip(a_point(21), 3), (a_point(10),))


@pytest.mark.parametrize(("answers", "heard"), [(b"", 0), (FOUND, 1), (FOUND + NOT_FOUND, 2)])
def test_a_peer_that_hangs_up_over_the_points_is_judged_by_its_tip(answers, heard):
    result = probing(a_script(ACCEPTANCE, PONG + TIP + answers), **ABOUT_POINTS)
    assert (result.verdict, result.asked) == (Verdict.OK, ABOUT_POINTS["points"][:heard])
    assert result.detail.endswith(f"; it hung up over {3 - heard} of 3 points")


def test_a_peer_that_falls_silent_over_the_points_times_out_and_what_it_said_is_kept():
    script = a_script(ACCEPTANCE, PONG + TIP + FOUND, then_close=False)
    result = probing(script, timeouts=ProbeTimeouts(answer=SHORT), **ABOUT_POINTS)
    assert (result.verdict, result.detail) == (Verdict.ANSWER_TIMEOUT, "no answer about every point within 0.06 s")
    assert (result.tip, result.asked, result.has) == (Tip(a_point(21), 3), (a_point(10),), (a_point(10),))


def test_a_point_that_was_not_asked_about_breaks_the_protocol():
    result = probing(a_script(ACCEPTANCE, PONG + TIP + NOT_FOUND + FOUND), **ABOUT_POINTS)
    assert (result.verdict, result.asked) == (Verdict.PROTOCOL_ERROR, (a_point(10),))


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


def test_the_real_clock_is_the_default():
    clock = SlotClock(time.time() - 20, 1.0)
    assert abs(probing_a_relay(slot_clock=clock).tip_age_seconds) < LONG.total_seconds()
