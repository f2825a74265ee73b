"""Fetching one archive, in bounded time, to be gone on with at the next attempt.

The partial file is named by the wanted checksum, so whatever was fetched before counts; the checksum over the whole
file is what decides in the end.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO

from .machine import Refused

_CHUNK = 1024 * 1024
_SILENCE_SECONDS = 30
SPARE_BYTES = 64 * 1024 * 1024
"""Left free on the disk whatever is staged: the system and the node's own files need room."""


class _SecureOnly(urllib.request.HTTPRedirectHandler):
    """Refuses to be led from https to anything else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow only to https."""
        if not newurl.startswith("https://"):
            raise Refused(f"{req.full_url} redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str, *, allow_http: bool) -> None:
    """Raise Refused unless the address is https, or http where that is allowed (the lab)."""
    if not url.startswith(("https://", "http://") if allow_http else ("https://",)):
        raise Refused(f"{url}: only https is downloaded from")


def download(
    url: str,
    sha256: str,
    partial: Path,
    *,
    allow_http: bool = False,
    limit_seconds: float = 600,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Fetch into `partial`, going on where it ended. Raises Refused; a wrong checksum removes the partial file."""
    check_url(url, allow_http=allow_http)
    deadline = now() + limit_seconds
    if sha256_of(partial) != sha256:
        try:
            _fetch(url, partial, allow_http=allow_http, late=lambda: now() > deadline)
        except urllib.error.HTTPError as problem:
            if problem.code == 416:  # longer than the archive is: not ours
                partial.unlink(missing_ok=True)
            raise Refused(f"{url}: the server answered {problem.code} {problem.reason}") from None
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as problem:
            raise Refused(f"{url}: {getattr(problem, 'reason', problem)}; the next attempt goes on from here") from None
    found = sha256_of(partial)
    if found != sha256:
        partial.unlink(missing_ok=True)
        raise Refused(f"{url}: checksum mismatch, expected sha256 {sha256}, got {found}; nothing was unpacked")


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, read in pieces; empty if it does not exist."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def check_space(folder: Path, wanted_bytes: int, what: str) -> None:
    """Raise Refused unless that much fits beside the spare room."""
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes + SPARE_BYTES:
        raise Refused(
            f"disk full: {what} needs {wanted_bytes} bytes and {SPARE_BYTES} to spare, {free} are free in {folder}"
        )


def _fetch(url: str, partial: Path, *, allow_http: bool, late: Callable[[], bool]) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "genesis-fleet", **({"Range": f"bytes={have}-"} if have else {})}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    opener = urllib.request.build_opener(*([] if allow_http else [_SecureOnly()]))
    with opener.open(request, timeout=_SILENCE_SECONDS) as answer:
        length = int(answer.headers.get("Content-Length") or 0)
        check_space(partial.parent, length, url)
        # A server that does not know ranges sends the whole.
        with partial.open("ab" if answer.status == 206 else "wb") as file:
            _copy(answer, file, url, late)
            file.flush()
            os.fsync(file.fileno())
            got = file.tell() - (have if answer.status == 206 else 0)
    if length and got < length:
        raise Refused(f"{url}: the connection ended after {got} of {length} bytes; the next attempt goes on from here")


def _copy(source: HTTPResponse, target: IO[bytes], url: str, late: Callable[[], bool]) -> None:
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        if late():
            raise Refused(
                f"{url}: not finished in the time allowed, {target.tell()} bytes are here; the next attempt goes on"
            )
