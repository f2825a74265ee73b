"""The lab's resolver: answers from the emulated hosted zone as Route 53 would, and for nothing else in the world.

A multivalue record gives at most eight answers, another choice each time. A latency record gives the region that is nearest to
whoever asks; consumers of the lab stand for the whole world, so each question comes from a place of its own, by chance.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from dnslib import AAAA, QTYPE, RCODE, RR, TXT, A, DNSHeader, DNSRecord
from dnslib.server import DNSLogger, DNSServer

from orchestrator.lab.cloud.zone import ZoneRecord
from orchestrator.lab.places import ZONE

MOST_ANSWERS = 8
"""As many as Route 53 gives of multivalue records."""

LONGEST_CHAIN = 4
"""Aliases that are followed; ours are one."""

ListRecords = Callable[[], Iterable[ZoneRecord]]

_DATA = {"A": A, "AAAA": AAAA, "TXT": TXT}


def answer(request: DNSRecord, list_records: ListRecords, choose: random.Random) -> DNSRecord:
    """Answer one question."""
    header = DNSHeader(id=request.header.id, bitmap=request.header.bitmap, qr=1, aa=1, ra=0)
    reply = DNSRecord(header, q=request.q)
    name = str(request.q.qname).lower().rstrip(".")
    if name != ZONE and not name.endswith(f".{ZONE}"):
        reply.header.rcode = RCODE.REFUSED
        return reply
    records = tuple(list_records())
    if not any(each.name == name or each.name.endswith(f".{name}") for each in records):
        reply.header.rcode = RCODE.NXDOMAIN
        return reply
    kind = QTYPE.get(request.q.qtype)
    for value, ttl in _look_up(name, kind, records, choose):
        text = value.strip('"') if kind == "TXT" else value
        reply.add_answer(RR(request.q.qname, request.q.qtype, rdata=_DATA[kind](text), ttl=ttl))
    return reply


def _look_up(
    name: str, kind: str, records: Sequence[ZoneRecord], choose: random.Random, links: int = LONGEST_CHAIN
) -> list[tuple[str, int]]:
    """Return values and their time to live."""
    found = [each for each in records if (each.name, each.kind) == (name, kind)]
    if not found or kind not in _DATA:
        return []
    if found[0].multivalue:
        chosen = choose.sample(found, min(len(found), MOST_ANSWERS))
        return [(value, each.ttl) for each in chosen for value in each.values]
    one = choose.choice(found)
    if one.alias and links:
        return _look_up(one.alias, kind, records, choose, links - 1)
    return [(value, one.ttl) for value in one.values]


class NameServer:
    """A running resolver; closing it frees the port."""

    def __init__(self, list_records: ListRecords, address: str, port: int) -> None:
        self._list_records = list_records
        self._choose = random.Random()  # noqa: S311 - nothing secret
        quiet = DNSLogger(log="-request,-reply,-truncated,-error")
        self._server = DNSServer(self, address=address, port=port, logger=quiet)
        self._server.start_thread()

    def resolve(self, request: DNSRecord, _handler: object) -> DNSRecord:
        """Answer, as the server's threads ask it to."""
        return answer(request, self._list_records, self._choose)

    @property
    def port(self) -> int:
        """Return the port that it answers on."""
        return int(self._server.server.server_address[1])

    def close(self) -> None:
        """Stop answering."""
        self._server.stop()
        self._server.server.server_close()


def serve_names(list_records: ListRecords, address: str, port: int = 0) -> NameServer:
    """Answer questions in threads of their own; port 0 is any free one."""
    return NameServer(list_records, address, port)
