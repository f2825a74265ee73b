"""The folder of a lab's releases over HTTP: files by name, and nothing else."""

from __future__ import annotations

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


class _Files(SimpleHTTPRequestHandler):
    """Files of one folder, without listings and without a word on stderr."""

    def list_directory(self, path: object) -> None:  # noqa: ARG002 - the base class's signature
        self.send_error(404, "File not found")

    def log_message(self, *_: object) -> None:
        """Say nothing: what was fetched is seen on the hosts."""


class ReleaseServer:
    """A running server; closing it frees the port."""

    def __init__(self, directory: Path, address: str, port: int) -> None:
        self._server = ThreadingHTTPServer(
            (address, port), lambda *arguments: _Files(*arguments, directory=str(directory))
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="releases", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return the address that files are found under."""
        address, port = self._server.server_address[:2]
        return f"http://{address!s}:{port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve_releases(directory: Path, address: str, port: int = 0) -> ReleaseServer:
    """Serve the files of a directory in a thread of their own; port 0 is any free one."""
    return ReleaseServer(directory, address, port)
