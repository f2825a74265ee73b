"""Signature Version 4, the receiving side: whether a request was signed with a key that the lab gave out.

Rule: AWS's "Create a signed API request". Nothing here looks at the date: the lab's clock is its clients' clock.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, *"
    r"SignedHeaders=([^,]+), *Signature=([0-9a-f]+)"
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What an Authorization header claims."""

    key_id: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    digest: str


def read_signature(authorization: str) -> Signature | None:
    """Read an Authorization header; nothing if there is none, or of another kind."""
    match = _AUTHORIZATION.match(authorization)
    if match is None:
        return None
    key_id, date, region, service, headers, digest = match.groups()
    return Signature(key_id, date, region, service, tuple(headers.split(";")), digest)


def why_not_signed(
    signature: Signature, environ: Mapping[str, Any], body: bytes, secrets: Mapping[str, str]
) -> str | None:
    """Say what is wrong with a signature, or nothing. S3 signs in pieces; there only the key is looked at."""
    secret = secrets.get(signature.key_id)
    if secret is None:
        return f"the lab gave out no key {signature.key_id}"
    if signature.service == "s3" or hmac.compare_digest(_sign(signature, environ, body, secret), signature.digest):
        return None
    return "the signature does not match: another secret"


def _sign(signature: Signature, environ: Mapping[str, Any], body: bytes, secret: str) -> str:
    scope = f"{signature.date}/{signature.region}/{signature.service}/aws4_request"
    canonical = hashlib.sha256(_canonical_request(signature, environ, body).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", str(environ.get("HTTP_X_AMZ_DATE", "")), scope, canonical])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _canonical_request(signature: Signature, environ: Mapping[str, Any], body: bytes) -> str:
    query = sorted(parse_qsl(str(environ.get("QUERY_STRING", "")), keep_blank_values=True))
    headers = [f"{name}:{' '.join(_header(environ, name).split())}\n" for name in signature.headers]
    return "\n".join(
        [
            str(environ.get("REQUEST_METHOD", "")),
            quote(str(environ.get("PATH_INFO", "/")), safe="/-_.~"),
            "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query),
            "".join(headers),
            ";".join(signature.headers),
            hashlib.sha256(body).hexdigest(),
        ]
    )


def _header(environ: Mapping[str, Any], name: str) -> str:
    key = name.upper().replace("-", "_")
    return str(environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", ""))
