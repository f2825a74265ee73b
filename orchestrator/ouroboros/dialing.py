"""Getting to a peer and agreeing on a version: what every asking side begins with.

Name lookup, connecting and the handshake, each with its own time limit. What is said afterwards is
left to `client` and `follower`.
"""

import asyncio
import errno
import ipaddress
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from .connection import ASKING, Connection, Limits
from .errors import ProtocolError, WireError
from .handshake import (
    AcceptVersion,
    ProposeVersions,
    QueryReply,
    Refuse,
    VersionData,
    decode_reply,
    encode_handshake,
)
from .mux import ProtocolId, Role
from .targets import Target
from .verdicts import Verdict

# Errors of connect() that speak of the peer or the way to it. Any other is this machine's own trouble: no
# sockets left, no source address, no IPv6 at all, its own firewall.
VERDICT_OF_ERRNO: Mapping[int, Verdict] = {
    errno.ECONNREFUSED: Verdict.REFUSED,
    errno.ECONNRESET: Verdict.REFUSED,
    errno.ECONNABORTED: Verdict.REFUSED,
    errno.EHOSTUNREACH: Verdict.NO_ROUTE,
    errno.ENETUNREACH: Verdict.NO_ROUTE,
    errno.EHOSTDOWN: Verdict.NO_ROUTE,
    # What ICMPv6 "administratively prohibited" becomes.
    errno.EACCES: Verdict.NO_ROUTE,
    errno.ETIMEDOUT: Verdict.CONNECT_TIMEOUT,
}


class NotConnected(WireError):
    """No connection came about; `verdict` says on whose account."""

    def __init__(self, verdict: Verdict, detail: str) -> None:
        super().__init__(detail)
        self.verdict = verdict


@asynccontextmanager
async def dial(
    target: Target, allowed: timedelta, spoken: Mapping[ProtocolId, Limits] = ASKING
) -> AsyncIterator[tuple[Connection, float]]:
    """Connect; yield the connection and the seconds that connecting took. Raise NotConnected.

    A name is looked up first, and its addresses are tried in the resolver's order; the time
    allowed is for each of these steps. `spoken` is for the connection.
    """
    reader, writer, took = await _connect_to_any(await _addresses_of(target, allowed), target.port, allowed)
    async with Connection(reader, writer, Role.INITIATOR, spoken) as connection:
        yield connection, took


async def _addresses_of(target: Target, allowed: timedelta) -> tuple[str, ...]:
    if _is_literal(target.address):
        return (target.address,)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(allowed.total_seconds()):
            found = await loop.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise NotConnected(Verdict.NOT_ASKED, f"the resolver did not answer for {target.address} in time") from None
    except socket.gaierror as error:
        # "Try again" is the resolver's failure, not the name's.
        verdict = Verdict.NOT_ASKED if error.errno == socket.EAI_AGAIN else Verdict.UNKNOWN_NAME
        raise NotConnected(verdict, f"looking up {target.address} failed: {error.strerror}") from None
    except UnicodeError:
        raise NotConnected(Verdict.UNKNOWN_NAME, f"{target.address!r} is not a host name") from None
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_literal(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


async def _connect_to_any(
    addresses: tuple[str, ...], port: int, allowed: timedelta
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, float]:
    """Try each address; if all fail, the first failure speaks for all."""
    failures: list[NotConnected] = []
    for address in addresses:
        try:
            return await _connect(address, port, allowed)
        except NotConnected as failure:
            failures.append(failure)
    raise failures[0]


async def _connect(
    address: str, port: int, allowed: timedelta
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, float]:
    started = time.monotonic()
    try:
        async with asyncio.timeout(allowed.total_seconds()):
            reader, writer = await asyncio.open_connection(address, port)
    except OSError as error:
        if isinstance(error, TimeoutError):
            detail = f"no answer to connecting to {address} within {allowed.total_seconds():g} s"
            raise NotConnected(Verdict.CONNECT_TIMEOUT, detail) from None
        raise NotConnected(verdict_of(error), f"connecting to {address} failed: {_words_of(error)}") from None
    return reader, writer, time.monotonic() - started


def verdict_of(error: OSError) -> Verdict:
    """Say what a failure to connect means."""
    return VERDICT_OF_ERRNO.get(error.errno or 0, Verdict.NOT_ASKED)


def _words_of(error: OSError) -> str:
    # asyncio's own text repeats the address and wraps the system's words twice.
    return str(error) if error.errno is None else os.strerror(error.errno).lower()


async def shake_hands(
    connection: Connection, versions: Mapping[int, VersionData], allowed: timedelta
) -> AcceptVersion | Refuse:
    """Propose versions and return the answer; one that does not fit the proposal is a ProtocolError."""
    proposal = encode_handshake(ProposeVersions(versions))
    await connection.send((ProtocolId.HANDSHAKE, proposal))
    reply = decode_reply(await connection.receive(ProtocolId.HANDSHAKE, "handshake reply", allowed))
    connection.refuse_more(ProtocolId.HANDSHAKE)
    match reply:
        case AcceptVersion(version) if version not in versions:
            raise ProtocolError("handshake reply", f"version {version} accepted, which was not offered")
        case QueryReply():
            raise ProtocolError("handshake reply", "a query reply, though nothing was queried")
        case _:
            return reply
