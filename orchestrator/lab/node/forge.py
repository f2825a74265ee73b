"""Making blocks in the slots that an issuer leads: what a partner's node does, and a relay only on a fork that the lab asks for.

It sleeps until the next slot it leads, so that it costs nothing in between. Which slots those are is decided by `lottery`.
"""

from __future__ import annotations

import asyncio

from .block import make_body
from .chain import Adoption, prefers
from .clock import SlotClock
from .header import make_header
from .lottery import Lottery, next_led_slot
from .view import AdoptedChain


async def forge_blocks(chain: AdoptedChain, clock: SlotClock, lottery: Lottery) -> None:
    """Extend the chain in every slot led from now on, until cancelled."""
    slot = clock.slot_now()
    while True:
        slot, drawn = next_led_slot(lottery, slot + 1)
        await asyncio.sleep(clock.seconds_until(slot))
        # A node that was held up makes no blocks for slots that are over: nobody would follow them.
        if clock.slot_now() > slot:
            slot = clock.slot_now()
            continue
        forge_block(chain, lottery, slot, drawn)


async def forge_fork(chain: AdoptedChain, clock: SlotClock, lottery: Lottery, since: int) -> None:
    """Make every block that the fork's issuer leads after slot `since`, until cancelled.

    Blocks of slots that are over are made too: so all nodes of one fork make the same chain, whenever they are told of it.
    """
    slot = since
    while True:
        if chain.chain.tip is not None:
            slot = max(slot, chain.chain.tip.slot)
        slot, drawn = next_led_slot(lottery, slot + 1)
        await asyncio.sleep(max(0.0, clock.seconds_until(slot)))
        forge_block(chain, lottery, slot, drawn)


def forge_block(chain: AdoptedChain, lottery: Lottery, slot: int, drawn: int) -> None:
    """Put a block on the newest one of an earlier slot; another one of this very slot becomes its rival."""
    length = len(chain.chain)
    if length and chain.chain.tip is not None and chain.chain.tip.slot >= slot:
        length -= 1
    previous = chain.header_at(length - 1)
    if previous is not None and previous.slot >= slot:
        return
    body = make_body(lottery.seed, lottery.issuer, slot)
    header = make_header(length, slot, previous.hash if previous else None, lottery.issuer, drawn, body)
    if prefers(header, chain.chain.tip):
        chain.adopt(Adoption(length, previous, (header,)), (body,))
