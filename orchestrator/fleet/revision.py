"""What `apply` submits to a controller that runs by itself, and what that one tells of it. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """A fleet file and its network folder as an operator has applied them: all that a controller follows."""

    content: str
    """The fleet file, character by character; relative paths in it start from the folder of the controller's own one."""
    files: Mapping[str, str]
    """The network folder: file name → text."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A draft that was submitted."""

    number: int
    """1 for the first of a store; the newest is the one that is followed."""
    user: str
    at: datetime
    draft: Draft
    afresh: int = 1
    """How often this same draft was submitted in a row: each time asks for another try of what had failed."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a running controller last told of its work, for an `apply` that only follows."""

    holder: str
    """Whose lease it was."""
    revision: int
    afresh: int
    at: datetime
    ending: str
    """`converged`, `held`, `refused`, or nothing while work is under way."""
    document: str
    """JSON: `status` as `status --json` prints it, `summary` in words, `holds` and the last `events` in lines."""
