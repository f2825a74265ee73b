"""Making blocks in the slots that this issuer leads: what a partner's node does, and a relay never.

It sleeps until the next slot it leads, so that it costs nothing in between. Which slots those are is decided by `lottery`.
"""

from __future__ import annotations

import asyncio

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
        forge_block(chain, lottery.issuer, slot, drawn)


def forge_block(chain: AdoptedChain, issuer: int, slot: int, drawn: int) -> None:
    """Put a block on the newest one of an earlier slot; another one of this very slot becomes its rival."""
    length = len(chain.chain)
    if length and chain.chain.tip is not None and chain.chain.tip.slot >= slot:
        length -= 1
    previous = chain.header_at(length - 1)
    if previous is not None and previous.slot >= slot:
        return
    header = make_header(length, slot, previous.hash if previous else None, issuer, drawn)
    if prefers(header, chain.chain.tip):
        chain.adopt(Adoption(length, previous, (header,)))
