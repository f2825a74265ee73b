"""The wire as a port: what probes found out, as the fleet's values."""

import asyncio
from datetime import timedelta

from orchestrator.adapters.wire import Wire
from orchestrator.execution.ports import ProbeTarget
from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import Verdict
from orchestrator.ouroboros.verdicts import SlotClock
from tests.ouroboros_peers import ACCEPTANCE, MAGIC, PATIENT, ListChain, a_point, a_relay, a_script, listening

WIRE = Wire(MAGIC, SlotClock(0.0, 1.0), timedelta(days=365_000), PATIENT)


def a_chain_point(slot, branch=0):
    return ChainPoint(slot, a_point(slot, branch).hash.hex())


ASKED = (a_chain_point(10), a_chain_point(11), a_chain_point(20, branch=1))


def seen(names_and_targets):
    targets = [ProbeTarget(name, target.address, target.port) for name, target in names_and_targets]
    return asyncio.to_thread(WIRE.observe_wire, targets, ASKED)


def test_each_target_is_seen_with_its_tip_and_its_points():
    async def run():
        async with a_relay(ListChain(10, 20)) as (one, _), a_relay(ListChain(11, 30)) as (other, _):
            return await seen([("one", one), ("other", other)])

    sightings = asyncio.run(run())
    one, other = sightings["one"], sightings["other"]
    assert (one.verdict, one.tip, one.tip_block) == (Verdict.OK, a_chain_point(20), 2)
    assert (one.asked, one.has) == (frozenset(ASKED), frozenset({a_chain_point(10)}))
    assert (other.tip, other.has) == (a_chain_point(30), frozenset({a_chain_point(11)}))
    assert one.round_trip_seconds > 0
    assert one.handshake_seconds > 0


def test_who_hangs_up_after_the_handshake_was_asked_about_nothing():
    async def run():
        async with listening(a_script(ACCEPTANCE, b"")) as target:
            return await seen([("one", target)])

    sighting = asyncio.run(run())["one"]
    assert (sighting.verdict, sighting.tip) == (Verdict.CLOSED_AFTER_HANDSHAKE, None)
    assert (sighting.asked, sighting.has) == (frozenset(), frozenset())
