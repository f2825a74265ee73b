"""Keep-alive (protocol 8): a cookie goes out and must come back; the time between is the round trip.

Codec and rules only. When to ping, and how long to wait, is left to the ends.
"""

from dataclasses import dataclass
from typing import TypeAlias

from .cbor import U16_MAXIMUM, Reader, encode
from .errors import ProtocolError

# The protocol's own limit for one message, and the node's for what was sent ahead of being read.
MESSAGE_LIMIT = 65535
UNREAD_LIMIT = 1408


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The initiator asks; `cookie` fits 16 bits."""

    cookie: int


@dataclass(frozen=True, slots=True)
class KeepAliveResponse:
    """The responder answers with the same cookie."""

    cookie: int


@dataclass(frozen=True, slots=True)
class KeepAliveDone:
    """The initiator ends the protocol."""


KeepAliveMessage: TypeAlias = KeepAlive | KeepAliveResponse | KeepAliveDone


def encode_keep_alive(message: KeepAliveMessage) -> bytes:
    """Write a message."""
    match message:
        case KeepAlive(cookie):
            return encode([0, cookie])
        case KeepAliveResponse(cookie):
            return encode([1, cookie])
        case KeepAliveDone():
            return encode([2])


def decode_keep_alive(data: bytes) -> KeepAliveMessage:
    """Read one whole message."""
    reader = Reader(data, "keep-alive")
    length = reader.array("message", 1, 2)
    key = reader.unsigned("message key")
    message: KeepAliveMessage
    match key, length:
        case 0, 2:
            message = KeepAlive(reader.unsigned("cookie", U16_MAXIMUM))
        case 1, 2:
            message = KeepAliveResponse(reader.unsigned("cookie", U16_MAXIMUM))
        case 2, 1:
            message = KeepAliveDone()
        case _:
            raise reader.refuse(f"message key {key} in a list of {length}")
    reader.end()
    return message


def expect_question(message: KeepAliveMessage) -> KeepAlive | KeepAliveDone:
    """Refuse what an initiator may not send."""
    if isinstance(message, KeepAliveResponse):
        raise ProtocolError("keep-alive", f"{message}, though nothing was asked")
    return message


def expect_response(asked: KeepAlive, message: KeepAliveMessage) -> None:
    """Refuse an answer that does not return the cookie."""
    if message != KeepAliveResponse(asked.cookie):
        raise ProtocolError("keep-alive", f"{asked} was answered by {message}")
