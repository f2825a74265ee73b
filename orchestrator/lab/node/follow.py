"""Take in what a peer shows: check each header, keep the peer's chain beside ours, and go over to it when it is better.

The rule of what is better is in `chain`; the connection, and when to try again, are up to the owner.
"""

from __future__ import annotations

from datetime import timedelta

from orchestrator.ouroboros.chainsync import EraHeader, RollBackward, RollForward
from orchestrator.ouroboros.errors import WireError

from .chain import BrokenChain, Candidate, choose
from .clock import SlotClock
from .header import Header, InvalidHeader, parse_header
from .view import AdoptedChain

# What of an adopted candidate is kept for each peer, so that a small rollback needs no new intersection.
REMEMBERED_OF_A_PEER = 30

# A header from further ahead is not followed: as much as the node allows two clocks to differ.
CLOCK_SKEW = timedelta(seconds=5)


class RefusedHeader(WireError):
    """A peer showed a header that cannot be followed: the connection to it ends."""


def take_in(chain: AdoptedChain, candidate: Candidate, event: RollForward | RollBackward, clock: SlotClock) -> None:
    """Follow one step of a peer's chain; raise RefusedHeader."""
    try:
        match event:
            case RollForward(EraHeader(_, body)):
                candidate.roll_forward(_check_time(parse_header(body), clock))
            case RollForward():
                raise RefusedHeader("a Byron header: the lab's chain has none")
            case RollBackward(point):
                candidate.roll_backward(point)
        adoption = choose(chain.chain, candidate)
    except (BrokenChain, InvalidHeader) as error:
        raise RefusedHeader(str(error)) from error
    if adoption is not None:
        chain.adopt(adoption)
    if candidate.fragment and candidate.fragment[-1] == chain.chain.tip:
        candidate.trim(REMEMBERED_OF_A_PEER)


def _check_time(header: Header, clock: SlotClock) -> Header:
    if clock.seconds_until(header.slot) > CLOCK_SKEW.total_seconds():
        raise RefusedHeader(f"block {header.number} is of slot {header.slot}, which is still to come")
    return header
