"""Folders of earlier runs: old ones go, and one that vanishes meanwhile is no error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.adapters.ansible import remove_leftovers


class Vanishing(type(Path())):  # type: ignore[misc]
    """A folder that lists one that another thread has just removed."""

    def iterdir(self) -> Iterator[Path]:
        yield Path(self) / "gone"
        yield from super().iterdir()


def test_a_folder_that_vanishes_meanwhile_keeps_no_old_one_alive(tmp_path: Path) -> None:
    old = tmp_path / "deploy-1-x"
    old.mkdir()
    os.utime(old, (0, 0))
    remove_leftovers(Vanishing(tmp_path), now=7200)
    assert not old.exists()


def test_a_folder_in_use_stays(tmp_path: Path) -> None:
    fresh = tmp_path / "deploy-1-x"
    fresh.mkdir()
    os.utime(fresh, (7000, 7000))
    remove_leftovers(tmp_path, now=7200)
    assert fresh.exists()
