"""Several lab nodes over loopback: real slot battles, bodies that travel, and one chain in the end."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from orchestrator.lab.node.block import belongs, encode_block
from orchestrator.lab.node.faults import Slow
from orchestrator.lab.node.forge import forge_block
from orchestrator.lab.node.lottery import draw, next_led_slot
from orchestrator.ouroboros.chainsync import BlockPoint, Point
from orchestrator.ouroboros.server import ChainUpdate
from tests.lab_node_network import SmallNode, fast_clock, forging, lottery_of, small_network

PATIENCE_SECONDS = 30


def count_battles(slots: int) -> int:
    """Count the slots that both issuers lead."""
    first, second = lottery_of(0), lottery_of(1)
    return sum(
        draw(first, slot) < first.threshold() and draw(second, slot) < second.threshold() for slot in range(slots)
    )


def headers_of(node: SmallNode) -> list[bytes]:
    return [node.chain.chain.encoded_at(index) for index in range(len(node.chain.chain))]


def body_of(node: SmallNode, index: int) -> bytes:
    point = node.chain.chain.point_at(index)
    found = node.chain.blocks(point, point)
    assert found is not None
    return next(iter(found))


def test_two_makers_and_three_relays_agree_on_one_chain_with_bodies_in_spite_of_slot_battles(tmp_path: Path) -> None:
    async def run() -> None:
        clock = fast_clock(0.02)
        async with asyncio.timeout(PATIENCE_SECONDS), small_network(tmp_path, 5, clock) as nodes:
            one, other, left, right, far = nodes
            one.name_peers(other)
            other.name_peers(one)
            left.name_peers(one, right)
            right.name_peers(other, left)
            far.name_peers(left, right)
            async with AsyncExitStack() as makers:
                for issuer, node in enumerate((one, other)):
                    await makers.enter_async_context(forging(node, clock, lottery_of(issuer)))
                await far.reach(60)
            highest = max(node.chain.tip().block for node in nodes)
            await asyncio.gather(*(node.reach(highest) for node in nodes))
            while len({node.chain.tip() for node in nodes}) > 1:
                await asyncio.sleep(0.01)
            tip = far.chain.chain.tip
            assert tip is not None
            assert count_battles(tip.slot) >= 3, "a test without battles shows little"
            assert one.chain.forks + other.chain.forks >= 1, "some battle was lost by somebody"
            assert all(headers_of(node) == headers_of(far) for node in nodes)
            assert {node.chain.header_at(index).issuer for node in nodes for index in range(60)} == {0, 1}  # type: ignore[union-attr]
            assert all(node.chain.served_blocks > 0 for node in (one, left, right))

    asyncio.run(run())


def test_a_relay_that_comes_late_fetches_all_blocks_and_serves_them(tmp_path: Path) -> None:
    async def run() -> None:
        clock = fast_clock(0.0001)
        async with asyncio.timeout(PATIENCE_SECONDS), small_network(tmp_path, 2, clock) as (maker, late):
            slot = 0
            for _ in range(700):
                slot, drawn = next_led_slot(lottery_of(0), slot + 1)
                forge_block(maker.chain, lottery_of(0), slot, drawn)
            late.name_peers(maker)
            await late.reach(699)
            assert maker.chain.served_blocks == 700, "each block once"
            header = late.chain.header_at(350)
            assert header is not None
            assert body_of(late, 350) == body_of(maker, 350)
            assert len(body_of(late, 350)) > header.body_size > 0

    asyncio.run(run())


def test_a_peer_that_sends_another_body_is_refused_and_nothing_of_it_adopted(tmp_path: Path) -> None:
    async def run() -> None:
        clock = fast_clock(0.0001)
        async with asyncio.timeout(PATIENCE_SECONDS), small_network(tmp_path, 3, clock) as (liar, honest, relay):
            slot, drawn = next_led_slot(lottery_of(0), 1)
            for node in (liar, honest):
                forge_block(node.chain, lottery_of(0), slot, drawn)
            header = liar.chain.header_at(0)
            assert header is not None
            forged = encode_block(header.encoded, b"x" * header.body_size)
            assert not belongs(b"x" * header.body_size, header)
            liar.chain.blocks = lambda _first, _last: [forged]  # type: ignore[method-assign]
            relay.name_peers(liar)
            while "its body is not the one" not in relay.log.getvalue():
                await asyncio.sleep(0.01)
            assert len(relay.chain.chain) == 0
            relay.name_peers(honest)
            await relay.chain.wait_for_change(relay.chain.tip())
            assert headers_of(relay) == headers_of(honest)

    asyncio.run(run())


def test_a_peer_whose_block_nobody_was_due_to_make_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        clock = fast_clock(0.0001)
        async with asyncio.timeout(PATIENCE_SECONDS), small_network(tmp_path, 2, clock) as (cheat, relay):
            slot, drawn = next_led_slot(lottery_of(0), 1)
            forge_block(cheat.chain, lottery_of(0), slot, drawn + 1)
            relay.name_peers(cheat)
            while "drew another number" not in relay.log.getvalue():
                await asyncio.sleep(0.01)
            assert len(relay.chain.chain) == 0

    asyncio.run(run())


def test_a_slow_peer_does_not_hold_up_who_has_another(tmp_path: Path) -> None:
    async def run() -> None:
        clock = fast_clock(0.02)
        async with asyncio.timeout(PATIENCE_SECONDS), small_network(tmp_path, 3, clock) as (maker, slow, relay):
            slow.sessions.fault = Slow(1000.0)
            slow.name_peers(maker)
            relay.name_peers(slow, maker)
            async with forging(maker, clock, lottery_of(0)):
                await relay.reach(20)
            assert slow.reception.connections >= 1, "the slow one was dialled too"

    asyncio.run(run())


def test_a_peer_that_shows_headers_and_never_sends_their_bodies_is_passed_by(tmp_path: Path) -> None:
    async def run() -> None:
        clock = fast_clock(0.0001)
        async with asyncio.timeout(PATIENCE_SECONDS), small_network(tmp_path, 3, clock) as (miser, honest, relay):
            slot, drawn = next_led_slot(lottery_of(0), 1)
            for node in (miser, honest):
                forge_block(node.chain, lottery_of(0), slot, drawn)
            asked = asyncio.Event()

            def refuse(_first: BlockPoint, _last: BlockPoint) -> None:
                asked.set()

            miser.chain.blocks = refuse  # type: ignore[method-assign]
            relay.name_peers(miser)
            await asked.wait()
            assert len(relay.chain.chain) == 0
            relay.name_peers(miser, honest)
            await relay.chain.wait_for_change(relay.chain.tip())
            assert headers_of(relay) == headers_of(honest)

    asyncio.run(run())


def test_a_block_that_one_peer_is_asked_for_in_vain_is_asked_of_another(tmp_path: Path) -> None:
    async def run() -> None:
        clock = fast_clock(0.0001)
        async with asyncio.timeout(PATIENCE_SECONDS), small_network(tmp_path, 3, clock) as (silent, honest, relay):
            slot, drawn = next_led_slot(lottery_of(0), 1)
            for node in (silent, honest):
                forge_block(node.chain, lottery_of(0), slot, drawn)
            show_next = silent.chain.next_after

            def show_and_fall_silent(read_pointer: Point) -> ChainUpdate | None:
                silent.sessions.fault = Slow(1000.0)
                return show_next(read_pointer)

            silent.chain.next_after = show_and_fall_silent  # type: ignore[method-assign]
            relay.name_peers(silent)
            while not relay.sessions.downloads.asked:
                await asyncio.sleep(0.01)
            relay.name_peers(silent, honest)
            await relay.chain.wait_for_change(relay.chain.tip())
            assert headers_of(relay) == headers_of(honest)

    asyncio.run(run())
