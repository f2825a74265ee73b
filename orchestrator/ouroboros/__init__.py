"""The Cardano node-to-node protocol: codecs without I/O, and small asyncio ends for both sides.

This folder imports nothing else of the orchestrator and uses relative imports only, so it also runs as a
copied folder on a machine that has nothing but Python 3.11 and cbor2 (5.4.6 or newer).

Values and codecs, no I/O:
    errors      WireError: ProtocolError, ConnectionClosed, PeerTimeout, HandshakeRefused, NoIntersection
    cbor        finding where a message ends, and reading one strictly
    mux         8-byte headers, Demultiplexer
    handshake   ProposeVersions, AcceptVersion, Refuse, QueryReply, VersionData, negotiate()
    keepalive   KeepAlive, KeepAliveResponse, KeepAliveDone
    blockfetch  RequestRange, ClientDone, StartBatch, NoBlocks, Block, BatchDone
    chainsync   Origin, BlockPoint (Point), Tip, EraHeader, ByronHeader (Header), the eight messages
    targets     Target, parse_target("host:port" | "1.2.3.4:port" | "[v6]:port")
    verdicts    Verdict, ProbeResult, SlotClock
    judging     from what a peer answered to a verdict and its sentence

Both ends, on asyncio:
    connection  Connection: messages of several protocols over one socket, with limits and timeouts
    dialing     dial(), shake_hands(): getting to a peer and agreeing on a version; NotConnected

Asking a relay (client):
    await probe(target, network_magic, timeouts=ProbeTimeouts(), slot_clock=None, max_tip_age=None,
                pings=1, points=(), versions=(13, 14, 15), now=time.time) -> ProbeResult
    It never raises for what a peer or the network does; ValueError for questions that make no sense.
    Each point is asked about on its own, in the same round trip as the tip: result.asked, result.has.
    await probe_all(targets, network_magic, concurrency=200, ...) -> tuple[ProbeResult, ...]   same order
    run_probes(targets, network_magic, ...) -> tuple[ProbeResult, ...]   the same from ordinary code

Following a chain (follower):
    async with follow_chain(target, network_magic, points, settings=FollowerSettings()) as following:
        following.intersection, following.tip, following.accepted.version
        async for event in following.events():        # RollForward(header, tip) | RollBackward(point, tip)
            ...
        blocks = await following.fetch_blocks(first, last)    # beside events(); tuple of bytes, None: not there
    The first event after an intersection is RollBackward to it, as the node does. What goes wrong is a
    WireError (NotConnected included); leaving the block closes the connection.

Being a relay (server):
    class ChainView(Protocol):                        # what the server asks its owner
        def tip(self) -> Tip
        def find_intersect(self, points: tuple[Point, ...]) -> Point | None
        def next_after(self, read_pointer: Point) -> Forward | Backward | None   # None: at the tip
        def blocks(self, first: BlockPoint, last: BlockPoint) -> Iterable[bytes] | None    # None: not all there
        async def wait_for_change(self, seen: Tip) -> None     # returns once tip() != seen
    Forward(point, header) and Backward(point): the server moves its read pointer to that point.
    await serve_session(reader, writer, chain, ServerSettings(network_magic=…, versions=(14, 15)),
                        on_accepted=…) -> SessionEnd(cause, detail, accepted)
    It handshakes, answers keep-alive, chain-sync and block-fetch until either side ends, always closes the writer, and
    is what a callback of asyncio.start_server needs to call.
"""
