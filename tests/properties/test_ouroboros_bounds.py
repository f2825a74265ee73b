"""What a hostile peer can cost: memory by what it sent, time in proportion to it, whatever it claims is to come."""

import asyncio
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.ouroboros.blockfetch import decode_block_fetch
from orchestrator.ouroboros.cbor import MAXIMUM_DEPTH, MessageBuffer
from orchestrator.ouroboros.chainsync import decode_chain_sync
from orchestrator.ouroboros.connection import ASKED, ASKING, FOLLOWING
from orchestrator.ouroboros.errors import ProtocolError
from orchestrator.ouroboros.handshake import decode_proposal, decode_reply
from orchestrator.ouroboros.keepalive import decode_keep_alive
from orchestrator.ouroboros.mux import Demultiplexer, ProtocolId, Role, encode_units
from tests.ouroboros_peers import LONG, ListChain, a_relay
from tests.unit.test_ouroboros_server import a_proposal, request

DECODERS = (decode_chain_sync, decode_block_fetch, decode_keep_alive, decode_proposal, decode_reply)
LIMITS = [pytest.param(limits, id=name) for name, limits in (("server", ASKED), ("client", FOLLOWING))]
# Beginnings after which each decoder expects a container or bytes; then a head that promises more than there is memory for.
BEGINNINGS = st.sampled_from(
    [b"", b"\x82\x04", b"\x83\x02", b"\x82\x00", b"\x82\x03", b"\x82\x02\x82\x00", b"\x82\x04\xd8\x18", b"\x83\x01\x0f"]
)
PROMISES = st.builds(
    lambda kind, size, length: bytes([kind << 5 | size]) + length.to_bytes(2 ** (size - 24), "big"),
    st.sampled_from([2, 3, 4, 5]),
    st.sampled_from([26, 27]),
    st.integers(2**28, 2**32 - 1),
)
A_LITTLE = 300_000


def memory_for(step):
    """Return the most memory that a step took at a time; a ProtocolError may end it."""
    tracemalloc.start()
    try:
        step()
    except ProtocolError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


@pytest.mark.parametrize("decode", DECODERS)
@given(beginning=BEGINNINGS, promise=PROMISES, rest=st.binary(max_size=50))
@settings(max_examples=40, deadline=None)
def test_promised_lengths_cost_a_decoder_nothing(decode, beginning, promise, rest):
    assert memory_for(lambda: decode(beginning + promise + rest)) < A_LITTLE


@pytest.mark.parametrize("limits", LIMITS)
@given(beginning=BEGINNINGS, promise=PROMISES)
@settings(max_examples=40, deadline=None)
def test_promised_lengths_end_a_connection_before_what_they_promise_comes(limits, beginning, promise):
    for limit in limits.values():
        buffer = MessageBuffer("test", limit.message, limit.unread)
        buffer.feed(beginning + promise)
        with pytest.raises(ProtocolError, match="exceeds"):
            buffer.take()


@given(st.lists(st.sampled_from([b"\x81", b"\x9f", b"\xd8\x18", b"\xa1\x00", b"\x82\x00"]), min_size=17, max_size=2000))
def test_deep_nesting_is_refused_wherever_it_appears(levels):
    stream = b"".join(levels)
    buffer = MessageBuffer("test", 65535, 65535)
    buffer.feed(stream)
    with pytest.raises(ProtocolError, match=f"nested deeper than {MAXIMUM_DEPTH} levels"):
        buffer.take()
    for decode in DECODERS:
        with pytest.raises(ProtocolError):
            decode(stream)


@pytest.mark.parametrize("limits", LIMITS)
def test_what_may_lie_unread_is_bounded_for_every_protocol(limits):
    for limit in limits.values():
        buffer = MessageBuffer("test", limit.message, limit.unread)
        for _ in range(limit.unread // 1000):
            buffer.feed(bytes(1000))
        with pytest.raises(ProtocolError, match="ahead of being asked"):
            buffer.feed(bytes(1000))


def test_whoever_only_asks_takes_no_blocks():
    assert sum(limit.unread for limit in ASKING.values()) < 500_000
    assert ProtocolId.BLOCK_FETCH not in ASKING


def processor_time_for(step, size):
    began = time.process_time()
    step(size)
    return time.process_time() - began


def small_messages_at_once(size):
    buffer = MessageBuffer("test", 65535, 10**7)
    buffer.feed(b"\x81\x00" * size)
    while buffer.take() is not None:
        pass


def one_message_byte_by_byte(size):
    buffer = MessageBuffer("test", 10**7, 10**7)
    for byte in b"\x9f" + b"\x00" * size + b"\xff":
        buffer.feed(bytes([byte]))
        buffer.take()


def small_units_at_once(size):
    Demultiplexer(Role.INITIATOR).feed(encode_units(2, Role.INITIATOR, b"\x80", 0) * size)


def units_byte_by_byte(size):
    demultiplexer = Demultiplexer(Role.INITIATOR)
    for byte in encode_units(2, Role.INITIATOR, bytes(size), 0):
        demultiplexer.feed(bytes([byte]))


def an_intersection_with_many_points(size):
    decode_chain_sync(b"\x82\x04\x9f" + b"\x80" * size + b"\xff")


@pytest.mark.parametrize(
    "step",
    [
        small_messages_at_once,
        one_message_byte_by_byte,
        small_units_at_once,
        units_byte_by_byte,
        an_intersection_with_many_points,
    ],
)
def test_sixteen_times_as_many_bytes_take_about_sixteen_times_as_long(step):
    # In proportion it is 16, with the square of the size 256; the best of several, since the machine is shared.
    few, many = (min(processor_time_for(step, size) for _ in range(7)) for size in (2_000, 32_000))
    assert many < 80 * few


def test_a_peer_with_a_thousand_requests_ready_leaves_the_others_their_turn():
    asked = 1000
    turns = []

    async def count_turns():
        while True:
            turns.append(len(chain.asked))
            await asyncio.sleep(0)

    chain = ListChain(10)

    async def run():
        async with a_relay(chain) as (target, _), asyncio.timeout(LONG.total_seconds()):
            counting = asyncio.create_task(count_turns())
            reader, writer = await asyncio.open_connection(target.address, target.port)
            writer.write(a_proposal() + request(2, b"\x82\x04\x80" * asked))
            while len(chain.asked) < asked:
                await reader.read(65536)
            writer.close()
            counting.cancel()

    asyncio.run(run())
    assert max(after - before for before, after in pairwise(turns)) <= 50
