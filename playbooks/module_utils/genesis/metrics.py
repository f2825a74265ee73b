"""Metrics: what the node tells about itself on this host's loopback, asked as its strict server wants to be asked.

That server answers exactly `GET /metrics`, reads a request from one piece below 2048 bytes, and keeps the connection open
afterwards whatever it is asked. Which lines matter is said by the controller; what they mean is read there, too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

ADDRESS = "127.0.0.1"
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"
TIMEOUT_SECONDS = 2.0
"""For all of it. A node that collects garbage is silent for a moment; one that needs longer has something to hide."""
MOST_BYTES = 256 * 1024
MOST_KEPT = 32 * 1024
"""What a look may carry home from one host, if the node writes more than anybody asked for."""


def read_metrics(port: int, names: Sequence[str]) -> tuple[str, str]:
    """Return the lines whose name contains one of `names` (all of them without any) and "", or "" and why there are none."""
    if not port:
        return "", "no port was named"
    try:
        raw, ended = _ask(port)
    except ConnectionRefusedError:
        return "", f"nothing listens on {ADDRESS}:{port}"
    except TimeoutError:
        return "", f"{ADDRESS}:{port} did not answer within {TIMEOUT_SECONDS:.0f} s"
    except OSError as problem:
        return "", f"{ADDRESS}:{port}: {problem.strerror or problem}"
    return pick_lines(raw, names, ended=ended)


def pick_lines(raw: bytes, names: Sequence[str], *, ended: bool = True) -> tuple[str, str]:
    """Return the wanted lines of an HTTP answer, or why it has none. `ended` says that nothing was cut off its end."""
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        return "", "answered something else than HTTP"
    if words[1] != b"200":
        return "", f"answered {words[1][:20].decode(errors='replace')} to GET /metrics"
    if is_chunked(head):
        body = join_chunks(body)
    text = body.decode(errors="replace")
    # A line that was cut off may hold half a number.
    text = text + "\n" if ended else text[: text.rfind("\n") + 1]
    kept = [line for line in text.splitlines() if is_wanted(line, names)]
    return "".join(f"{line}\n" for line in kept)[:MOST_KEPT], ""


def is_wanted(line: str, names: Sequence[str]) -> bool:
    """Return whether a line is a sample of one of these names."""
    name = line.partition(" ")[0].partition("{")[0]
    return name not in {"", "#"} and (not names or any(each in name for each in names))


def is_chunked(head: bytes) -> bool:
    """Return whether the body comes in chunks: so the legacy dialect's web server sends what it makes on the way."""
    return any(
        line.lower().startswith(b"transfer-encoding:") and b"chunked" in line.lower() for line in head.splitlines()
    )


def join_chunks(body: bytes) -> bytes:
    """Return a chunked body in one piece, as far as it goes."""
    whole, place = [], 0
    while (line := body.find(b"\r\n", place)) >= 0:
        try:
            size = int(body[place:line].partition(b";")[0], 16)
        except ValueError:
            break
        if size <= 0:
            break
        whole.append(body[line + 2 : line + 2 + size])
        place = line + 2 + size + 2
    return b"".join(whole)


def _ask(port: int) -> tuple[bytes, bool]:
    """Return what came, and whether that is all of it. Raises OSError."""
    import socket  # here: a host whose node does not run has no use for it

    deadline = time.monotonic() + TIMEOUT_SECONDS
    with socket.create_connection((ADDRESS, port), TIMEOUT_SECONDS) as connection:
        connection.sendall(REQUEST)
        raw = b""
        while len(raw) < MOST_BYTES:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = connection.recv(64 * 1024)
            raw += piece
            if not piece or _is_complete(raw):
                return raw, True
            if time.monotonic() > deadline:
                raise TimeoutError
    return raw[:MOST_BYTES], False


def _is_complete(raw: bytes) -> bool:
    head, found, body = raw.partition(b"\r\n\r\n")
    if not found:
        return False
    if is_chunked(head):
        return body.endswith(b"0\r\n\r\n")
    for line in head.splitlines():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= (int(value) if value.strip().isdigit() else 0)
    return False
