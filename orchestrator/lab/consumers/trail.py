"""What a consumer has of the chain: headers that each name the one before, and whether they may be believed.

Kept are only the newest ones, as many as could ever be rolled back. Bytes that somebody has read already are not read again: a
hundred consumers see the same headers. Where headers come from is left to `download`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from orchestrator.lab.node.chain import ORIGIN, why_not_after
from orchestrator.lab.node.header import Header, InvalidHeader, parse_header
from orchestrator.lab.node.lottery import LeaderRules, why_not_leader
from orchestrator.ouroboros.chainsync import BlockPoint, Point
from orchestrator.ouroboros.errors import WireError

# What all consumers have in common: about 600 bytes a header.
MOST_SHARED_HEADERS = 20_000

# Every consumer asks for points this dense at its tip, and sparser below.
DENSE_POINTS = 5


class RefusedChain(WireError):
    """A relay showed what cannot be followed: the connection to it ends."""


ReadHeader = Callable[[bytes], Header]
"""Reads one header; raises RefusedChain."""


def header_reader(rules: LeaderRules) -> ReadHeader:
    """Return a reader for all consumers, which believes only those who may issue blocks."""

    @lru_cache(maxsize=MOST_SHARED_HEADERS)
    def read(encoded: bytes) -> Header:
        try:
            header = parse_header(encoded)
        except InvalidHeader as error:
            raise RefusedChain(f"not a header: {error}") from error
        reason = why_not_leader(rules, header.issuer, header.slot, header.draw)
        if reason is not None:
            raise RefusedChain(f"block {header.number} of slot {header.slot}: {reason}")
        return header

    return read


class Trail:
    """The newest headers whose blocks are here, and those shown whose blocks are still to come."""

    def __init__(self, security_parameter: int) -> None:
        self.shown: list[Header] = []
        """Headers after the newest block, in order."""
        self._security_parameter = security_parameter
        self._held: list[Header] = []
        self._forgot_some = False

    @property
    def newest(self) -> Header | None:
        """The newest block that is here."""
        return self._held[-1] if self._held else None

    @property
    def height(self) -> int:
        """How many blocks the chain has, up to the newest one that is here."""
        return self._held[-1].number + 1 if self._held else 0

    def show(self, header: Header) -> None:
        """Take the next header in; raise RefusedChain if it does not follow the one before by hash, number and slot."""
        before = self.shown[-1] if self.shown else self.newest
        reason = why_not_after(header, before)
        if reason is not None:
            raise RefusedChain(f"block {header.number} of slot {header.slot}: {reason}")
        self.shown.append(header)

    def arrive(self, count: int) -> None:
        """Move the oldest so many headers shown to those whose blocks are here."""
        self._held += self.shown[:count]
        del self.shown[:count]
        if len(self._held) > 2 * self._security_parameter:
            del self._held[: -self._security_parameter]
            self._forgot_some = True

    def roll_back(self, point: Point) -> None:
        """Go back to a point; raise RefusedChain if that is further than any honest chain goes."""
        for headers in (self.shown, self._held):
            index = _find(headers, point)
            if index is not None:
                break
        else:
            headers, index = self._held, -1
            if point != ORIGIN or self._forgot_some:
                raise RefusedChain(f"a rollback to {point}, which is not on the chain that was shown")
        if headers is self._held:
            undone = len(headers) - index - 1
            if undone > self._security_parameter:
                raise RefusedChain(f"a rollback by {undone} blocks: further than chains are undone")
            self.shown.clear()
        del headers[index + 1 :]

    def points(self) -> tuple[Point, ...]:
        """Return what to ask a relay for, newest first: dense at the tip, sparse below, the genesis last."""
        points: list[Point] = []
        index, step = len(self._held) - 1, 1
        while index >= 0:
            points.append(BlockPoint(self._held[index].slot, self._held[index].hash))
            step = step * 2 if len(points) > DENSE_POINTS else 1
            index -= step
        return (*points, ORIGIN)


def _find(headers: Sequence[Header], point: Point) -> int | None:
    """Return where a point is; from the end, since most rollbacks are short."""
    if not isinstance(point, BlockPoint):
        return None
    for index in range(len(headers) - 1, -1, -1):
        if headers[index].slot < point.slot:
            return None
        if headers[index].hash == point.hash:
            return index
    return None
