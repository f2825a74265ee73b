"""What a probe found out, as values. How it is found out is left to `client`."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from .chainsync import BlockPoint, Tip


class Verdict(Enum):
    """What a probe says of a peer, each told apart because each asks for something else to be done."""

    OK = "ok"
    STALE_TIP = "stale_tip"
    # The network's answers: nothing listens there; there is no way there; packets vanish.
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    CONNECT_TIMEOUT = "connect_timeout"
    UNKNOWN_NAME = "unknown_name"
    # Connected, but silent: saturated (a node at its hard limit accepts nothing more) or still starting.
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    CLOSED_BEFORE_ANSWER = "closed_before_answer"
    # The peer answered, and does not want us.
    WRONG_MAGIC = "wrong_magic"
    NO_COMMON_VERSION = "no_common_version"
    REFUSED_BY_PEER = "refused_by_peer"
    # It agreed to talk, then did not.
    ANSWER_TIMEOUT = "answer_timeout"
    CLOSED_AFTER_HANDSHAKE = "closed_after_handshake"
    PROTOCOL_ERROR = "protocol_error"
    # This machine could not ask (out of sockets, say): nothing is known about the peer.
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class SlotClock:
    """When slots happen: unix seconds of slot 0 (extrapolated back from Shelley) and a slot's length.

    Mainnet: 1591566291 and 1; preprod: 1655683200 and 1; preview: 1666656000 and 1.
    """

    slot_zero_unix: float
    slot_length_seconds: float

    def age_of(self, tip: Tip, now_unix: float) -> timedelta:
        """Return how old a tip is; a chain without a block is as old as slot 0."""
        began = self.slot_zero_unix + (tip.slot or 0) * self.slot_length_seconds
        return timedelta(seconds=now_unix - began)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe's findings: the verdict, one sentence of detail, and what was learnt on the way.

    `round_trips` counts what was waited for: connecting, the handshake, the questions.
    `tip` is the newest one told. `asked` are the points that were answered, each on its own, in the order of the
    questions, and `has` those of them that are on the peer's chain; a point that is in neither is not known about.
    """

    address: str
    port: int
    verdict: Verdict
    detail: str
    connect_rtt_seconds: float | None = None
    handshake_rtt_seconds: float | None = None
    keepalive_rtts_seconds: tuple[float, ...] = ()
    negotiated_version: int | None = None
    magic: int | None = None
    peer_sharing: bool | None = None
    tip: Tip | None = None
    tip_age_seconds: float | None = None
    asked: tuple[BlockPoint, ...] = ()
    has: tuple[BlockPoint, ...] = ()
    round_trips: int = 0
