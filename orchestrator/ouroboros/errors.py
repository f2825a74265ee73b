"""What can go wrong while speaking to a peer, each told apart because each means something else for trust.

WireError
├── ProtocolError      the peer broke the protocol (or somebody else answers on that port)
├── ConnectionClosed   the peer ended the connection, in order or by reset
├── PeerTimeout        the peer stayed silent longer than the state allows
├── HandshakeRefused   the peer answered and does not want to talk
└── NoIntersection     the peer has none of the points that we named
"""

from datetime import timedelta


class WireError(Exception):
    """Anything that ends a session for a reason on the other side."""


class ProtocolError(WireError):
    """The peer sent what the protocol does not allow there.

    `where` names the place ("handshake version table"), `what` the offence, with the value.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class ConnectionClosed(WireError):
    """The peer closed the connection while something was still expected from it."""


class PeerTimeout(WireError):
    """The peer did not answer within the time that the protocol state allows."""

    def __init__(self, waiting_for: str, allowed: timedelta) -> None:
        super().__init__(f"no {waiting_for} within {allowed.total_seconds():g} s")
        self.waiting_for = waiting_for
        self.allowed = allowed


class HandshakeRefused(WireError):
    """The peer refused the handshake; the text says why."""


class NoIntersection(WireError):
    """The peer's chain has none of the points asked for."""
