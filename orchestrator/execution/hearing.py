"""An operator's word comes before what an older plan says: told right before each effect that takes a node out.

What the word means is for the next plan to say. Effects that disturb nobody go on: staging, reloads, launches.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.execution.ports import StorePort
from orchestrator.planning.plan import Action, Deploy, Retire, Stop
from orchestrator.rendering.values import ChangeClass

DEFERRED = "deferred"
OVERTAKEN = "an operator's request came in; looking again"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a plan had heard of operators when it was made."""

    store: StorePort
    heard: int
    """Number of the newest order that it knew."""

    def must_wait(self, action: Action) -> bool:
        """Return whether an action must not start, because an order came after its plan was made. Raises StoreRefused."""
        return disturbs(action) and self.store.newest_order() > self.heard


def disturbs(action: Action) -> bool:
    """Return whether an action takes the node out while it is under way."""
    restarts = isinstance(action, Deploy) and action.change >= ChangeClass.RESTART
    return restarts or isinstance(action, Stop | Retire)
