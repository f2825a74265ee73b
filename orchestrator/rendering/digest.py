"""Digests of files: of rendered ones and of those seen on a host, computed alike. What to do about a difference is planned elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from orchestrator.fleet.observation import FileState
from orchestrator.rendering.layout import change_class_of
from orchestrator.rendering.values import RenderedFile, RenderedRelay, digest_of_text

__all__ = ["change_class_of", "compare_files", "digest_of_files", "file_state", "file_states"]


def file_states(rendered: Iterable[RenderedFile]) -> dict[str, FileState]:
    """Return how rendered files would look on a host, by path."""
    return {file.path: file_state(file.content, file.owner, file.group, file.mode) for file in rendered}


@lru_cache(maxsize=32_768)  # most files are the same on many relays
def file_state(content: str, owner: str, group: str, mode: str) -> FileState:
    """Return how a file of this content looks on a host."""
    return FileState(digest_of_text(content), owner, group, mode)


@lru_cache(maxsize=32_768)  # every look compares every relay's files with what lies on its host
def _wanted_states(rendered: RenderedRelay) -> Mapping[str, FileState]:
    return file_states(rendered.files)


def digest_of_files(files: Mapping[str, FileState], *also: str) -> str:
    """Digest files by path, owner, group, mode and content, whatever their order, and further facts in the order given."""
    lines = (*also, *(f"{path}\0{f.owner}\0{f.group}\0{f.mode}\0{f.sha256}" for path, f in sorted(files.items())))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def compare_files(rendered: RenderedRelay, observed: Mapping[str, FileState]) -> tuple[RenderedFile, ...]:
    """Return the files that are absent or differ, in rendered order.

    Files on the host that nobody renders any more are not looked at: nothing refers to them.
    """
    wanted = _wanted_states(rendered)
    if observed == wanted:
        return ()  # as in nearly every look
    return tuple(file for file in rendered.files if observed.get(file.path) != wanted[file.path])
