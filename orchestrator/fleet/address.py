"""One way to write an address, so that what a host lists and what a cloud or a fleet file says can be compared."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=32_768)
def plain_address(text: str) -> str | None:
    """Return an IP address as everybody else writes it; None for a name."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)
