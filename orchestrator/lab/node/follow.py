"""Take in what a peer shows: check each header, keep the peer's chain beside ours, and go over to it when it is better.

A header whose issuer did not win its slot is refused, and the peer with it: so a fork stays with those who make it.

The rule of what is better is in `chain`; the connection, and when to try again, are up to the owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from orchestrator.ouroboros.chainsync import EraHeader, RollBackward, RollForward
from orchestrator.ouroboros.errors import WireError

from .chain import BrokenChain, Candidate, choose
from .clock import SlotClock
from .header import Header, InvalidHeader, parse_header
from .lottery import LeaderRules, why_not_leader
from .view import AdoptedChain

# What of an adopted candidate is kept for each peer, so that a small rollback needs no new intersection.
REMEMBERED_OF_A_PEER = 30

# A header from further ahead is not followed: as much as the node allows two clocks to differ.
CLOCK_SKEW = timedelta(seconds=5)


class RefusedHeader(WireError):
    """A peer showed a header that cannot be followed: the connection to it ends."""


@dataclass(frozen=True, slots=True)
class Judge:
    """By what headers are judged: who may issue them, and what time it is."""

    rules: LeaderRules
    clock: SlotClock

    def check(self, header: Header) -> Header:
        """Return a header that may be followed; raise RefusedHeader."""
        if self.clock.seconds_until(header.slot) > CLOCK_SKEW.total_seconds():
            raise RefusedHeader(f"block {header.number} is of slot {header.slot}, which is still to come")
        reason = why_not_leader(self.rules, header.issuer, header.slot, header.draw)
        if reason is not None:
            raise RefusedHeader(f"block {header.number} of slot {header.slot}: {reason}")
        return header

    def is_of_our_branch(self, header: Header) -> bool:
        """Tell whether a chain that ends so may be adopted: on a fork only the fork itself."""
        return self.rules.fork_issuer in (None, header.issuer)


def take_in(chain: AdoptedChain, candidate: Candidate, event: RollForward | RollBackward, judge: Judge) -> None:
    """Follow one step of a peer's chain; raise RefusedHeader."""
    try:
        match event:
            case RollForward(EraHeader(_, body)):
                candidate.roll_forward(judge.check(parse_header(body)))
            case RollForward():
                raise RefusedHeader("a Byron header: the lab's chain has none")
            case RollBackward(point):
                candidate.roll_backward(point)
        if candidate.fragment and not judge.is_of_our_branch(candidate.fragment[-1]):
            return
        adoption = choose(chain.chain, candidate)
    except (BrokenChain, InvalidHeader) as error:
        raise RefusedHeader(str(error)) from error
    if adoption is not None:
        chain.adopt(adoption)
    if candidate.fragment and candidate.fragment[-1] == chain.chain.tip:
        candidate.trim(REMEMBERED_OF_A_PEER)
