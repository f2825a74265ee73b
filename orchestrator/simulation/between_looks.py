"""What may come between two looks of a controller: steps, Ctrl-C, a freeze. A clock that lets it, while the cycle waits."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.simulation.time import VirtualClock


class Interrupted(BaseException):
    """The operator presses Ctrl-C: what was started ends, and nothing more begins."""


class Frozen(BaseException):
    """The controller stands still."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class StoryClock(VirtualClock):
    """A clock to which something happens whenever the controller waits between two looks."""

    between_looks: Callable[[], None] = staticmethod(lambda: None)

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """Wait, as the cycle does between two rounds."""
        self.between_looks()
        super().wait(seconds, until)

    def pass_by(self, seconds: float) -> None:
        """Let time pass while nobody waits."""
        super().wait(seconds, until=lambda: False)
