"""The lab's resolver: answers `relays.FLEET.lab.` and `REGION.relays.FLEET.lab.` with whom the controller's record publishes.

It answers as Route 53's multivalue records do: at most eight addresses, shuffled, with a short time to live. Who is published
comes from the record and is read anew with almost every question; where they are comes from the lab's cloud. Partners are not in
these names, and names of anything else are refused: this is no resolver for the world.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from dnslib import QTYPE, RCODE, RR, A, DNSHeader, DNSRecord
from dnslib.server import DNSLogger, DNSServer

from orchestrator.adapters.aws_requests import TAG_FLEET, TAG_GENERATION, TAG_RELAY
from orchestrator.adapters.store import read_record
from orchestrator.errors import FleetError
from orchestrator.lab.announced import find_store
from orchestrator.lab.cloud.instances import InstanceView
from orchestrator.lab.places import ZONE

TIME_TO_LIVE_SECONDS = 5
"""Short, so that a relay is out of everybody's sight soon; a drain waits for at least this long."""

MOST_ANSWERS = 8
"""As many as Route 53 gives of a multivalue record."""

RECORD_IS_NEW_SECONDS = 0.5
"""A hundred consumers that ask at once read the record once."""


@dataclass(frozen=True, slots=True)
class Published:
    """A relay that consumers are to find."""

    region: str
    address: IPv4Address


FindPublished = Callable[[str], tuple[Published, ...] | None]
"""Returns a fleet's published relays; None for a fleet that the lab knows nothing of. Raises FleetError."""


class PublishedRelays:
    """Whom the records publish, where the cloud has them. Used from the resolver's threads."""

    def __init__(
        self,
        lab_folder: Path,
        list_instances: Callable[[], Iterable[InstanceView]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lab_folder, self._list_instances, self._now = lab_folder, list_instances, now
        self._lock = threading.Lock()
        self._read: dict[str, tuple[float, frozenset[str] | None]] = {}

    def find(self, fleet: str) -> tuple[Published, ...] | None:
        """Return the relays that a fleet's record publishes and that have an address."""
        names = self._names(fleet)
        if names is None:
            return None
        return tuple(published for name, published in locate(self._list_instances(), fleet).items() if name in names)

    def _names(self, fleet: str) -> frozenset[str] | None:
        with self._lock:
            at, names = self._read.get(fleet, (float("-inf"), None))
            if self._now() - at >= RECORD_IS_NEW_SECONDS:
                names = self._read_names(fleet)
                if names is not None:
                    self._read[fleet] = self._now(), names
            return names

    def _read_names(self, fleet: str) -> frozenset[str] | None:
        url = find_store(self._lab_folder, fleet)
        record = read_record(url, fleet) if url is not None else None
        return record.evidence.published if record is not None else None


def locate(instances: Iterable[InstanceView], fleet: str) -> Mapping[str, Published]:
    """Return where each relay of a fleet is: at the public address of its newest generation that runs."""
    found: dict[str, Published] = {}
    generations: dict[str, int] = {}
    for instance in instances:
        tags = dict(instance.tags)
        relay = tags.get(TAG_RELAY)
        # The machine has its private address first; consumers use the other one.
        addresses = [address for address in instance.addresses if isinstance(address, IPv4Address)]
        if relay is None or tags.get(TAG_FLEET) != fleet or instance.state != "running" or not addresses:
            continue
        generation = int(tags.get(TAG_GENERATION, 0))
        if generation >= generations.get(relay, -1):
            generations[relay] = generation
            found[relay] = Published(instance.region, addresses[-1])
    return found


def answer(request: DNSRecord, find: FindPublished, choose: random.Random) -> DNSRecord:
    """Answer one question."""
    header = DNSHeader(id=request.header.id, bitmap=request.header.bitmap, qr=1, aa=1, ra=0)
    reply = DNSRecord(header, q=request.q)
    asked = _read_name(str(request.q.qname).lower())
    if asked is None:
        reply.header.rcode = RCODE.REFUSED
        return reply
    fleet, region = asked
    try:
        published = find(fleet)
    except FleetError:
        # The record cannot be read at this moment; that says nothing about any relay.
        reply.header.rcode = RCODE.SERVFAIL
        return reply
    if published is None:
        reply.header.rcode = RCODE.NXDOMAIN
    elif request.q.qtype in (QTYPE.A, QTYPE.ANY):
        addresses = [relay.address for relay in published if region in (None, relay.region)]
        for address in choose.sample(addresses, min(len(addresses), MOST_ANSWERS)):
            reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(str(address)), ttl=TIME_TO_LIVE_SECONDS))
    return reply


def _read_name(name: str) -> tuple[str, str | None] | None:
    """Return fleet and region of a name; None for what is no name of ours."""
    match name.rstrip(".").split("."):
        case ["relays", fleet, zone] if zone == ZONE:
            return fleet, None
        case [region, "relays", fleet, zone] if zone == ZONE:
            return fleet, region
        case _:
            return None


class NameServer:
    """A running resolver; closing it frees the port."""

    def __init__(self, find: FindPublished, address: str, port: int) -> None:
        self._find = find
        self._choose = random.Random()  # noqa: S311 - nothing secret
        quiet = DNSLogger(log="-request,-reply,-truncated,-error")
        self._server = DNSServer(self, address=address, port=port, logger=quiet)
        self._server.start_thread()

    def resolve(self, request: DNSRecord, _handler: object) -> DNSRecord:
        """Answer, as the server's threads ask it to."""
        return answer(request, self._find, self._choose)

    @property
    def port(self) -> int:
        """Return the port that it answers on."""
        return int(self._server.server.server_address[1])

    def close(self) -> None:
        """Stop answering."""
        self._server.stop()
        self._server.server.server_close()


def serve_names(find: FindPublished, address: str, port: int = 0) -> NameServer:
    """Answer questions in threads of their own; port 0 is any free one."""
    return NameServer(find, address, port)
