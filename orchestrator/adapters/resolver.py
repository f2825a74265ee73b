"""What a resolver answers, by dnspython: this machine's own, or one that the fleet file names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import dns.exception
import dns.resolver

from orchestrator.execution.ports_names import NoNames
from orchestrator.fleet.names import NO_ANSWERS, Answers
from orchestrator.planning.names import list_names
from orchestrator.spec.model import FleetSpec
from orchestrator.spec.policies import ResolverSpec

LIFETIME_SECONDS = 3.0
"""Of one question with all its repetitions: a look must end in bounded time."""

AT_ONCE = 16


class NamesElsewhere(NoNames):
    """A fleet whose records somebody keeps by hand, or by another tool: only what consumers are told can be looked at."""

    def __init__(self, spec: FleetSpec) -> None:
        self._spec = spec

    def observe_answers(self) -> Mapping[str, Answers]:
        """Ask the resolver what consumers would be told."""
        return ask_resolver(list_names(self._spec), self._spec.publish.resolver)


def ask_resolver(names: Sequence[str], place: ResolverSpec | None) -> Mapping[str, Answers]:
    """Ask for the IPv4 addresses of all names side by side."""
    if not names:
        return NO_ANSWERS
    try:
        resolver = dns.resolver.Resolver(configure=place is None)
    except dns.exception.DNSException as error:
        return dict.fromkeys(names, Answers(trouble=f"this machine has no resolver: {error}"))
    if place is not None:
        resolver.nameservers, resolver.port = [place.address], place.port
    with ThreadPoolExecutor(min(len(names), AT_ONCE), thread_name_prefix="names") as pool:
        return dict(zip(names, pool.map(lambda name: _ask(resolver, name), names), strict=True))


def _ask(resolver: dns.resolver.Resolver, name: str) -> Answers:
    try:
        found = resolver.resolve(f"{name}.", "A", lifetime=LIFETIME_SECONDS, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return Answers()
    except (dns.exception.DNSException, OSError) as error:
        return Answers(trouble=" ".join(str(error).split()))
    return Answers(frozenset(each.address for each in found.rrset or ()))
