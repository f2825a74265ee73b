"""One question to one resolver: the A records of a name, over UDP. The only place where consumers need dnslib."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import IPv4Address

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

from .names import Answer, AskNames, NamesUnanswered

# A resolver on the same machine answers in a millisecond; a question over UDP may also be lost.
ANSWER = timedelta(seconds=1)


def names_at(resolver: str, port: int, name: str) -> AskNames:
    """Return how to ask this resolver for this name."""
    return lambda: ask_names(resolver, port, name)


async def ask_names(resolver: str, port: int, name: str, allowed: timedelta = ANSWER) -> Answer:
    """Ask for the A records of a name, once. Raises NamesUnanswered."""
    loop = asyncio.get_running_loop()
    question = DNSRecord.question(name, "A")
    answered: asyncio.Future[bytes] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _OneAnswer(question.header.id, answered), remote_addr=(resolver, port)
        )
    except OSError as error:
        raise NamesUnanswered(f"the resolver {resolver} cannot be asked: {error}") from error
    try:
        transport.sendto(question.pack())
        async with asyncio.timeout(allowed.total_seconds()):
            return _read_answer(name, await answered)
    except TimeoutError:
        raise NamesUnanswered(f"the resolver {resolver} did not answer within {allowed.total_seconds():g} s") from None
    except OSError as error:
        raise NamesUnanswered(f"the resolver {resolver} cannot be asked: {error}") from error
    finally:
        transport.close()


class _OneAnswer(asyncio.DatagramProtocol):
    """Takes the first datagram that answers our question; anything else that arrives is not for us."""

    def __init__(self, question: int, answered: asyncio.Future[bytes]) -> None:
        self._question, self._answered = question, answered

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if int.from_bytes(data[:2], "big") == self._question and not self._answered.done():
            self._answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)


def _read_answer(name: str, data: bytes) -> Answer:
    try:
        reply = DNSRecord.parse(data)
        found = [(str(IPv4Address(str(record.rdata))), record.ttl) for record in reply.rr if record.rtype == QTYPE.A]
    except (DNSError, ValueError) as error:
        raise NamesUnanswered(f"{name}: the resolver's answer cannot be read: {error}") from error
    if reply.header.rcode != RCODE.NOERROR:
        raise NamesUnanswered(f"{name}: the resolver says {RCODE.get(reply.header.rcode)}")
    if not found:
        raise NamesUnanswered(f"{name} has no addresses")
    addresses, lives = zip(*found, strict=True)
    return Answer(addresses, timedelta(seconds=min(lives)))
