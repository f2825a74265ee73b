"""Whatever a peer says at whatever moment: a probe gives a verdict, a session gives an end, and neither hangs."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.ouroboros.client import probe
from orchestrator.ouroboros.mux import Role, encode_units
from orchestrator.ouroboros.server import EndCause
from orchestrator.ouroboros.verdicts import Verdict
from tests.ouroboros_peers import ACCEPTANCE, LONG, MAGIC, PATIENT, PONG, TIP, a_relay, a_script, listening, unit

IN_UNITS = st.tuples(st.sampled_from([0, 2, 3, 8]), st.binary(min_size=1, max_size=60))
GARBAGE = st.one_of(
    st.binary(max_size=80), st.lists(IN_UNITS, max_size=5).map(lambda units: b"".join(unit(*one) for one in units))
)
ASKED_GARBAGE = st.one_of(
    st.binary(max_size=80),
    st.lists(IN_UNITS, max_size=5).map(
        lambda units: b"".join(encode_units(protocol, Role.INITIATOR, message, 0) for protocol, message in units)
    ),
)
PROPOSAL = encode_units(0, Role.INITIATOR, bytes.fromhex("8200a10f84182af500f4"), 0)
NEVER_OF_AN_ANSWERING_PEER = {
    Verdict.REFUSED,
    Verdict.NO_ROUTE,
    Verdict.CONNECT_TIMEOUT,
    Verdict.NOT_ASKED,
    Verdict.UNKNOWN_NAME,
}
TIMEOUTS = {Verdict.HANDSHAKE_TIMEOUT, Verdict.ANSWER_TIMEOUT}


def probing(*answers):
    async def run():
        async with listening(a_script(*answers)) as target, asyncio.timeout(LONG.total_seconds()):
            return await probe(target, MAGIC, timeouts=PATIENT)

    return asyncio.run(run())


@given(GARBAGE)
@settings(max_examples=60, deadline=None)
def test_garbage_for_a_handshake_gives_a_verdict(garbage):
    assert probing(garbage).verdict not in NEVER_OF_AN_ANSWERING_PEER | TIMEOUTS | {Verdict.OK}


@given(GARBAGE, st.sampled_from([b"", PONG, TIP]))
@settings(max_examples=60, deadline=None)
def test_garbage_for_answers_gives_a_verdict(garbage, first):
    result = probing(ACCEPTANCE, first + garbage)
    assert result.verdict not in NEVER_OF_AN_ANSWERING_PEER | TIMEOUTS
    assert result.negotiated_version == 15


@given(st.sampled_from([b"", PROPOSAL]), ASKED_GARBAGE)
@settings(max_examples=60, deadline=None)
def test_garbage_from_a_client_ends_its_session(first, garbage):
    async def run():
        async with a_relay() as (target, ends):
            reader, writer = await asyncio.open_connection(target.address, target.port)
            writer.write(first + garbage)
            writer.write_eof()
            async with asyncio.timeout(LONG.total_seconds()):
                await _read_to_the_end(reader)
            writer.close()
        return ends

    (end,) = asyncio.run(run())
    assert end.cause in {EndCause.CLOSED_BY_PEER, EndCause.PROTOCOL_ERROR, EndCause.REFUSED}


async def _read_to_the_end(reader):
    try:
        await reader.read()
    except ConnectionResetError:
        return
