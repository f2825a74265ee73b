"""Estimates how long a plan takes. Rough on purpose: phases overlap between relays, disturbances do not."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.planning.plan import Action, Deploy, Furnish, Hold, Launch, Prepare, Stage, Stop
from orchestrator.rendering.values import ChangeClass
from orchestrator.spec.model import FleetSpec

BOOT = timedelta(seconds=90)
"""Launch until SSH answers: EC2 says running after 15 to 30 s, Debian's cloud image answers within a minute after."""

PREPARE = timedelta(seconds=60)
"""Packages, key exchange, disk."""

STAGE = timedelta(seconds=60)
"""Download and unpack of about 100 MB."""

RESTART = timedelta(minutes=5)
"""Clean stop and start with the ledger state at hand; operators report 3 minutes, replays take far longer."""

STOP = timedelta(minutes=1)
"""Clean stop of a node that leaves; it has ten minutes, and rarely needs one."""


def estimate_time(actions: tuple[Action, ...], holds: tuple[Hold, ...], spec: FleetSpec) -> timedelta:
    """Return the time of the longest path from the first action to the last, given the budget."""
    total = timedelta()
    if any(isinstance(action, Launch) for action in actions):
        total += BOOT
    if any(isinstance(action, Launch | Furnish | Prepare) for action in actions):
        total += PREPARE
    if any(isinstance(action, Launch | Furnish | Prepare | Stage) for action in actions):
        total += STAGE
    builds_up = any(isinstance(action, Launch | Furnish | Prepare | Stage) for action in actions)
    free = any(isinstance(a, Deploy) and not a.disturbs and a.change is ChangeClass.RESTART for a in actions)
    if builds_up or free:
        total += RESTART
    disturbed = sum(1 for a in actions if isinstance(a, Deploy) and a.disturbs)
    disturbed += sum(1 for hold in holds if hold.wanted == "restart")
    leaving = sum(1 for a in actions if isinstance(a, Stop)) + sum(1 for hold in holds if hold.wanted == "stop")
    at_once = spec.most_out()
    return total + -(-disturbed // at_once) * RESTART + -(-leaving // at_once) * STOP
