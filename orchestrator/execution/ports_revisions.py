"""The port between who submits what is wanted and who runs by itself: one table of each direction in the common store."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from orchestrator.fleet.revision import Draft, Revision, Told


class RevisionsPort(Protocol):
    """Submitted revisions, and what came of the newest. Needs no lease. Raises StoreRefused."""

    def submit(self, draft: Draft, user: str, at: datetime) -> Revision:
        """Keep a draft as the newest revision; the same draft again keeps its number and is one try more."""

    def newest(self) -> Revision | None:
        """Return the revision that is to be followed; None if nothing was ever submitted."""

    def newest_try(self) -> tuple[int, int]:
        """Return number and tries of the newest revision, (0, 0) without any; cheap enough to ask every second."""

    def tell(self, told: Told) -> None:
        """Replace what a running controller has told."""

    def told(self) -> Told | None:
        """Return what a running controller has told last."""
