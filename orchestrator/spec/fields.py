"""The kinds of single values in a fleet file: what each may be, and that in words.

What a pattern means stands beside it, as the schema's `errorMessage`: editors show it, and so do our findings. Which values a
fleet has is in `model.py`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

# Six digits are plenty, and keep every sum with a date within what Python's dates can say.
_DURATION_PATTERN = r"([1-9][0-9]{0,5})([smhd])"
_DURATION = re.compile(_DURATION_PATTERN)
_DURATION_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(value: object) -> timedelta:
    """Read `90s`, `15m`, `2h` or `3d`. Raises ValueError for anything else, bare numbers included."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a duration such as 90s, 15m, 2h or 3d, above zero")
    return timedelta(**{_DURATION_UNITS[match[2]]: int(match[1])})


def render_duration(value: timedelta) -> str:
    """Write a duration in the largest unit that keeps it whole."""
    seconds = int(value.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _parse_cidr(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a network such as 203.0.113.0/24")  # noqa: TRY004 - pydantic reports ValueError only
    try:
        ip_network(value)
    except ValueError:
        raise ValueError("expected a network such as 203.0.113.0/24, with no bits set behind its prefix") from None
    return value


_DNS_NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*(?![0-9]+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)


def _parse_host(value: object) -> str:
    """An address or a DNS name, never a URL, never `host:port`; 10.0.0.256 is neither."""
    if not isinstance(value, str):
        raise ValueError("expected an IP address or a DNS name")  # noqa: TRY004 - pydantic reports ValueError only
    try:
        address = ip_address(value)
    except ValueError:
        if _DNS_NAME.fullmatch(value):
            return value
        raise ValueError("expected an IP address or a DNS name in lower case, without port") from None
    if address.is_unspecified or "%" in value:
        raise ValueError("expected an address that others can connect to")
    return value


def _expected(text: str) -> object:
    """Say in words what a value must be, for the schema and for findings."""
    return Field(json_schema_extra={"errorMessage": f"expected {text}"})


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(render_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{_DURATION_PATTERN}$",
            "errorMessage": "expected a duration such as 90s, 15m, 2h or 3d, above zero",
            "examples": ["90s", "15m"],
        }
    ),
]
Cidr = Annotated[str, BeforeValidator(_parse_cidr), _expected("a network such as 203.0.113.0/24")]
Host = Annotated[str, BeforeValidator(_parse_host), _expected("an IP address or a DNS name")]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Count = Annotated[int, Field(ge=0, le=1000, strict=True)]
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=24),
    _expected("lower-case letters, digits and single hyphens, a letter first, at most 24 characters"),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), _expected("64 hexadecimal digits in lower case")]
Version = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){2,3}(-[a-z0-9.]{1,20})?$"),
    _expected("a version such as 10.5.1"),
]
Architecture = Literal["x86_64", "aarch64"]
SshPublicKey = Annotated[
    str,
    StringConstraints(pattern=r"^ssh-ed25519 [A-Za-z0-9+/=]{68}( .*)?$"),
    _expected("the one line of /etc/ssh/ssh_host_ed25519_key.pub, which begins with ssh-ed25519"),
]
Url = Annotated[
    str, StringConstraints(pattern=r"^https?://[^\s/]+/[^\s]+$"), _expected("a URL that begins with https://")
]
Image = Annotated[
    str, StringConstraints(pattern=r"^ami-[0-9a-f]{8,17}$"), _expected("an image such as ami-0123456789abcdef0")
]
InstanceType = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$"), _expected("an instance type such as r6a.large")
]
Subnet = Annotated[
    str,
    StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$"),
    _expected("a subnet such as subnet-0123456789abcdef0"),
]
HostedZone = Annotated[
    str,
    StringConstraints(pattern=r"^Z[0-9A-Z]{3,31}$"),
    _expected("the id of a hosted zone such as Z0123456789ABCDEFGHIJ"),
]
UserName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,30}$"),
    _expected("a Unix user name in lower case, at most 31 characters"),
]
_SHARE = re.compile(r"([1-9][0-9]?|100)%")
_SHARE_IN_WORDS = "a number of relays from 1 to 1000, or a share such as 20%"


def _parse_share(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return value
    if isinstance(value, str) and _SHARE.fullmatch(value):
        return value
    raise ValueError(f"expected {_SHARE_IN_WORDS}")


def count_share(share: int | str, of: int) -> int:
    """Return how many a number or a share such as `20%` comes to: rounded down, at least one."""
    if isinstance(share, int):
        return share
    return max(1, of * int(share.removesuffix("%")) // 100)


Share = Annotated[
    int | str,
    BeforeValidator(_parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 1000},
                {"type": "string", "pattern": f"^({_SHARE.pattern})$", "errorMessage": f"expected {_SHARE_IN_WORDS}"},
            ],
            "errorMessage": f"expected {_SHARE_IN_WORDS}",
            "examples": [2, "20%"],
        }
    ),
]
# A path or a name as written: never empty, which would mean the folder of the fleet file itself.
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000), _expected("text that is not empty")]
