"""Does to a simulated world what one step of a schedule says. Controllers and operators are not its business."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.fleet.observation import InstanceState
from orchestrator.simulation.chain import Branch
from orchestrator.simulation.schedule import Break, Hand, Mend, Step
from orchestrator.simulation.world import World

OLD_LISTS = timedelta(seconds=40)
"""With the longest time that a new instance is missing from lists, less than the 90 s for which a controller waits for it."""

SLOW_WORK = 12.0


def let_happen(step: Step, world: World) -> None:
    """Break something, mend it, or take an instance away."""
    match step:
        case Break():
            _break(step, world)
        case Mend():
            _mend(step, world)
        case Hand(act, relay):
            _take_away(act, relay, world)
        case _:
            raise ValueError(f"a world knows nothing of {step}")


def _break(step: Break, world: World) -> None:
    faults, name = world.faults, step.name
    slot = int(world.clock.now().timestamp())
    match step.fault:
        case "fork":
            world.chain.branches[name] = Branch(f"branch of {name}", slot)
        case "stall":
            world.chain.stalled_at[name] = slot
        case "told_by_probe":
            if step.told is not None:
                faults.told_by_probe[name] = step.told
        case "old_lists":
            faults.old_lists = OLD_LISTS
        case "slow_work":
            faults.slow_work = SLOW_WORK
        case "ansible_never_runs" | "zone_silent" | "zone_refuses":
            setattr(faults, step.fault, True)
        case fault if fault.startswith("lost_during "):
            faults.lost_during.add((fault.removeprefix("lost_during "), name))
        case fault:
            getattr(faults, fault).add(name)


def _mend(step: Mend, world: World) -> None:
    faults, name = world.faults, step.name
    match step.fault:
        case "fork":
            world.chain.branches.pop(name, None)
        case "stall":
            world.chain.stalled_at.pop(name, None)
        case "told_by_probe":
            faults.told_by_probe.pop(name, None)
        case "old_lists":
            faults.old_lists = timedelta()
        case "slow_work":
            faults.slow_work = 1.0
        case "ansible_never_runs" | "zone_silent" | "zone_refuses":
            setattr(faults, step.fault, False)
        case fault if fault.startswith("lost_during "):
            faults.lost_during.discard((fault.removeprefix("lost_during "), name))
        case fault:
            getattr(faults, fault).discard(name)


def _take_away(act: str, relay: str, world: World) -> None:
    if act == "stop":
        world.stop_instance(relay)
        return
    for host in list(world.hosts.values()):
        if host.instance.relay == relay and host.instance.state is InstanceState.RUNNING:
            if act == "kill":
                world.kill_node(host)
            else:
                world.terminate(host.instance.instance_id)
