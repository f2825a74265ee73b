"""Lines on stdout as the node's tracing prints them, in the style and above the severity that config.json asks for.

The severity matters: with the networks' own config.json, which shows notices and up, a reload prints that it is being
performed, but not the topology that came of it, which is only information. A line that the real node would keep to itself is not printed here.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from .config import LogFormat

SEVERITIES = ("Debug", "Info", "Notice", "Warning", "Error", "Critical", "Alert", "Emergency", "Silence")
COLOURS = {"Info": "34", "Notice": "35", "Warning": "33", "Error": "31", "Critical": "31"}

# A thread's number stands in every line of the real node; here there is one thread.
THREAD = 1


class Log:
    """Where lines go; one for the whole program."""

    def __init__(self, style: LogFormat, stream: TextIO = sys.stdout, host: str | None = None) -> None:
        self._style = style
        self._stream = stream
        self._host = host or socket.gethostname()

    def write(self, namespace: str, severity: str, text: str, **data: object) -> None:
        """Print one line, unless the configuration silences it; `data` is what the machine format adds."""
        if SEVERITIES.index(severity) < SEVERITIES.index(least_severity(self._style.severities, namespace)):
            return
        line = format_line(self._style.style, datetime.now(UTC), self._host, namespace, severity, text, data)
        if line is not None:
            print(line, file=self._stream, flush=True)


def least_severity(severities: Mapping[str, str], namespace: str) -> str:
    """Return the severity set for the longest prefix of a namespace; unknown words count as Info."""
    while namespace not in severities and namespace:
        namespace = namespace.rpartition(".")[0]
    severity = severities.get(namespace, "Info")
    return severity if severity in SEVERITIES else "Info"


def format_line(
    style: str, now: datetime, host: str, namespace: str, severity: str, text: str, data: Mapping[str, object]
) -> str | None:
    """Render a line, None in a style that prints nothing."""
    match style:
        case "legacy":
            stamp = now.strftime("%Y-%m-%d %H:%M:%S.") + f"{now.microsecond // 10000:02d} UTC"
            return f"[{host}:cardano.node.{legacy_name(namespace)}:{severity}:{THREAD}] [{stamp}] {text}"
        case "machine":
            at = now.isoformat().replace("+00:00", "Z")
            kind = {"kind": namespace.rpartition(".")[2], **data}
            line = {"at": at, "ns": namespace, "data": kind, "sev": severity, "thread": str(THREAD), "host": host}
            return json.dumps(line, separators=(",", ":"))
        case "human" | "human-coloured":
            stamp = now.strftime("%Y-%m-%d %H:%M:%S.") + f"{now.microsecond // 100:04d}Z"
            prefix = f"[{stamp}][{host}:{namespace}]({severity},{THREAD})"
            colour = COLOURS.get(severity) if style == "human-coloured" else None
            return f"\x1b[{colour}m{prefix}\x1b[0m {text}" if colour else f"{prefix} {text}"
        case _:
            return None


def legacy_name(namespace: str) -> str:
    """Return the legacy logger's name: only the outermost part, the start-up's in small letters."""
    outermost = namespace.partition(".")[0]
    return "startup" if outermost == "Startup" else outermost
