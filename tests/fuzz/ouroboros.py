"""Coverage-guided fuzzing of the wire protocol by atheris: `python tests/fuzz/ouroboros.py codecs|server|client [libFuzzer's options]`.

`codecs` feeds every decoder and both sides' demultiplexers and buffers; `server` and `client` feed a whole session over streams in
memory. Of the first byte, one bit has an honest handshake go before and another has the rest put into well-formed units, so that
not every run ends at the multiplexer. What a peer sends may end in a ProtocolError, a verdict or
a SessionEnd; anything else is a finding, and so is an input that takes longer than `-timeout` or more memory than `-rss_limit_mb`.
Runs until it is stopped, or for `-runs=N` or `-max_total_time=SECONDS`. What was worth keeping goes to the corpus folder that may
follow, `.cache/fuzz` otherwise, and the next run begins with it; an input that is a finding is written beside that folder.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["orchestrator.ouroboros"]):
    from orchestrator.ouroboros import client, follower
    from orchestrator.ouroboros.blockfetch import decode_block_fetch
    from orchestrator.ouroboros.cbor import MessageBuffer
    from orchestrator.ouroboros.chainsync import decode_chain_sync
    from orchestrator.ouroboros.connection import ASKED, ASKING, FOLLOWING, Connection, Limits
    from orchestrator.ouroboros.errors import ProtocolError, WireError
    from orchestrator.ouroboros.handshake import decode_proposal, decode_reply
    from orchestrator.ouroboros.keepalive import decode_keep_alive
    from orchestrator.ouroboros.mux import Demultiplexer, ProtocolId, Role, encode_units
    from orchestrator.ouroboros.server import EndCause, ServerSettings, serve_session
    from tests.ouroboros_peers import ACCEPTANCE, MAGIC, PONG, TIP, ListChain, a_point
    from tests.unit.test_ouroboros_server import a_proposal

DECODERS = (decode_proposal, decode_reply, decode_chain_sync, decode_block_fetch, decode_keep_alive)
DECODER_OF = {
    ProtocolId.CHAIN_SYNC: decode_chain_sync,
    ProtocolId.BLOCK_FETCH: decode_block_fetch,
    ProtocolId.KEEP_ALIVE: decode_keep_alive,
}
# The input has ended by then, so whoever still waits is judged soon.
SOON = timedelta(seconds=5)
KEPT = ROOT / ".cache" / "fuzz"
LONGEST_INPUT = 4096
HANDSHAKE_BEFORE, IN_UNITS = 0x80, 0x40
CHAIN = ListChain(1, 2, 3)
LOOP = asyncio.new_event_loop()


class DeafWriter:
    """As much of a StreamWriter as a Connection uses; what is written is lost."""

    transport = property(lambda self: self)

    def write(self, data: bytes) -> None:
        """Lose it."""

    async def drain(self) -> None:
        """Never wait."""

    def close(self) -> None:
        """Have nothing to close."""

    async def wait_closed(self) -> None:
        """Be closed at once."""

    def abort(self) -> None:
        """Have nothing to abort."""


def heard(data: bytes) -> asyncio.StreamReader:
    """Make a stream that these bytes came from, and then its end."""
    reader = asyncio.StreamReader(loop=LOOP)
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def fuzz_codecs(data: bytes) -> None:
    """Give bytes to every decoder alone, then to both ends' way from the socket to messages."""
    for decode in DECODERS:
        accept(lambda decode=decode: decode(data))
    accept(lambda: decode_stream(data, Role.INITIATOR, ASKED))
    accept(lambda: decode_stream(data, Role.RESPONDER, FOLLOWING))


def accept(step: Callable[[], object]) -> None:
    """Do something that may end in a ProtocolError and in nothing else."""
    try:
        step()
    except ProtocolError:
        return


def decode_stream(data: bytes, sender: Role, limits: Mapping[ProtocolId, Limits]) -> None:
    """Take messages out of what a peer sent, as a Connection does."""
    demultiplexer = Demultiplexer(sender)
    buffers = {name: MessageBuffer(name.name, limit.message, limit.unread) for name, limit in limits.items()}
    for unit in demultiplexer.feed(data):
        if unit.header.protocol not in buffers:
            continue
        protocol = ProtocolId(unit.header.protocol)
        buffers[protocol].feed(unit.payload)
        while (message := buffers[protocol].take()) is not None:
            handshake = decode_proposal if sender is Role.INITIATOR else decode_reply
            DECODER_OF.get(protocol, handshake)(message)


def fuzz_server(data: bytes) -> None:
    """Serve a peer that says this; a session always ends with a SessionEnd."""
    settings = ServerSettings(MAGIC, query_close_timeout=SOON)
    said = what_is_said(data, a_proposal(), Role.INITIATOR)
    end = LOOP.run_until_complete(serve_session(heard(said), DeafWriter(), CHAIN, settings))
    if end.cause is EndCause.TIMED_OUT:
        raise AssertionError(f"waited for a peer that is gone: {end}")


def fuzz_client(data: bytes) -> None:
    """Probe a peer that says this, then follow it and fetch from it; all that may come of it is a WireError."""
    said = what_is_said(data, ACCEPTANCE, Role.RESPONDER)
    LOOP.run_until_complete(survive(probe_one(said)))
    LOOP.run_until_complete(survive(follow_one(said)))


def what_is_said(data: bytes, handshake: bytes, sender: Role) -> bytes:
    """Read an input as the module's docstring says; each unit takes a byte for its protocol and one for its length."""
    how, rest = (data[0], data[1:]) if data else (0, b"")
    begun = handshake if how & HANDSHAKE_BEFORE else b""
    if not how & IN_UNITS:
        return begun + rest
    units = []
    while len(rest) > 2:
        protocol, length = list(ProtocolId)[rest[0] % len(ProtocolId)], 1 + rest[1]
        units.append(encode_units(protocol, sender, rest[2 : 2 + length], 0))
        rest = rest[2 + length :]
    return begun + b"".join(units)


async def survive(course: Coroutine[None, None, None]) -> None:
    """Let a course end soon, by itself or by a WireError."""
    try:
        async with asyncio.timeout(SOON.total_seconds()):
            await course
    except WireError:
        return


async def probe_one(said: bytes) -> None:
    """Hold a probe's conversation."""
    prepared = client._prepare(client.Questions(MAGIC, points=(a_point(1), a_point(2)), pings=2))
    findings = client._Findings(client.ProbeResult("", 0, client.Verdict.NOT_ASKED, ""))
    async with Connection(heard(said), DeafWriter(), Role.INITIATOR, ASKING) as connection:
        await client._converse(connection, prepared, findings)


async def follow_one(said: bytes) -> None:
    """Follow a peer for a few steps and fetch a range."""
    async with Connection(heard(said), DeafWriter(), Role.INITIATOR, FOLLOWING) as connection:
        settings = follower.FollowerSettings()
        accepted = await follower._agree(connection, MAGIC, settings)
        following = follower.Following(connection, settings, accepted, a_point(1), CHAIN.tip())
        async for _ in following.events():
            await following.fetch_blocks(a_point(1), a_point(2))


TARGETS = {"codecs": fuzz_codecs, "server": fuzz_server, "client": fuzz_client}
# Where coverage alone would look long for the way in.
SEEDS = (
    b"\x80" + PONG + TIP,
    b"\x00" + a_proposal(),
    b"\xc0\x03\x02\x82\x00\x00\x01\x02\x82\x04\x80\x01\x01\x81\x00",
    b"\xc0\x02\x01\x81\x02\x02\x05\x82\x04\xd8\x18\x41\x00\x02\x01\x81\x05",
)


def main() -> None:
    """Fuzz what the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"name what to fuzz: {', '.join(TARGETS)}; libFuzzer's options and a corpus folder may follow")
    name = sys.argv.pop(1)
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    corpus = folders[0] if folders else KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    asyncio.set_event_loop(LOOP)
    options = [f"-artifact_prefix={corpus.parent}/", f"-max_len={LONGEST_INPUT}", "-timeout=10"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], *([] if folders else [str(corpus)])], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
