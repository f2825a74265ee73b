"""The metrics server, as strict as the real one, so that whoever reads it here can read it there.

New dialect (PrometheusSimple): only `/metrics`, no query; GET and HEAD; an Accept header without `text/`, `*/*` or
openmetrics is answered 415; a request has to arrive whole in one piece below 2048 bytes; 8 new connections a second, 5 at a
time from one host, 16 in all, 22 seconds of silence. The legacy server is an ordinary web server: none of that.
Which figures are shown is decided by `metrics`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate

LONGEST_REQUEST = 2048
SILENCE_SECONDS = 22.0
CONNECTIONS = 16
CONNECTIONS_OF_ONE_HOST = 5
SECONDS_BETWEEN_CONNECTIONS = 1 / 8
BURST = 8
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

TEXT = "text/plain;charset=utf-8"
PROMETHEUS = "text/plain;version=0.0.4;charset=utf-8"
OPENMETRICS = "application/openmetrics-text;version=1.0.0;charset=utf-8"


class MetricsServer:
    """Counts connections and hands each request to the rules below."""

    def __init__(self, render: Callable[[], str], *, legacy: bool) -> None:
        self._render = render
        self._legacy = legacy
        self._by_host: Counter[str] = Counter()
        self._next_turn = 0.0

    async def run(self, address: str, port: int, note: Callable[[str], None]) -> None:
        """Serve until cancelled. A port that is taken is told and tried again: a node without metrics is still a node."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                server = await asyncio.start_server(self._serve, address, port, limit=2 * LONGEST_REQUEST)
            except OSError as error:
                note(str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                async with server:
                    await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = str(writer.get_extra_info("peername")[0])
        try:
            if self._legacy:
                await self._answer_legacy(reader, writer)
            elif self._by_host[host] < CONNECTIONS_OF_ONE_HOST and self._by_host.total() < CONNECTIONS:
                self._by_host[host] += 1
                try:
                    await asyncio.sleep(self._wait_for_turn())
                    await self._answer_strictly(reader, writer)
                finally:
                    self._by_host[host] -= 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # The other side's business; the next connection is a new one.
        finally:
            writer.close()

    def _wait_for_turn(self) -> float:
        now = asyncio.get_running_loop().time()
        # Saved turns make a short burst free, as the real limiter's queue does.
        turn = max(self._next_turn, now - BURST * SECONDS_BETWEEN_CONNECTIONS)
        self._next_turn = turn + SECONDS_BETWEEN_CONNECTIONS
        return max(0.0, turn - now)

    async def _answer_strictly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                request = await reader.read(LONGEST_REQUEST)
            if not 0 < len(request) < LONGEST_REQUEST:
                return
            writer.write(answer_strictly(request, self._render))
            await writer.drain()

    async def _answer_legacy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ", 2)[1].partition(b"?")[0] if request.count(b" ") >= 2 else b""
            if path.rstrip(b"/") == b"/metrics":
                writer.write(_answer("200 OK", PROMETHEUS, self._render(), with_body=True))
            else:
                writer.write(_answer("404 Not Found", TEXT, "404 Not Found", with_body=True))
            await writer.drain()


def answer_strictly(request: bytes, render: Callable[[], str]) -> bytes:
    """Answer one request by the rules of PrometheusSimple."""
    request_line, *headers = request.split(b"\n")
    words = request_line.split()
    if len(words) < 2:
        return _refuse("400 Bad Request", with_body=False)
    method, route = words[0], words[1]
    with_body = method == b"GET"
    if route != b"/metrics":
        return _refuse("404 Not Found", with_body=with_body)
    if method not in (b"GET", b"HEAD"):
        return _refuse("405 Method Not Allowed", with_body=with_body)
    accept = next((line for line in headers if line.startswith((b"Accept:", b"accept:", b"ACCEPT:"))), b"*/*")
    if b"application/openmetrics-text" in accept:
        return _answer("200 OK", OPENMETRICS, render(), with_body=with_body)
    if b"text/" not in accept and b"*/*" not in accept:
        return _refuse("415 Unsupported Media Type", with_body=with_body)
    return _answer("200 OK", PROMETHEUS, render(), with_body=with_body)


def _refuse(status: str, *, with_body: bool) -> bytes:
    return _answer(status, TEXT, status if with_body else "", with_body=with_body)


def _answer(status: str, content_type: str, text: str, *, with_body: bool) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: {content_type}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
