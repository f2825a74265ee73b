"""Which of several running instances of one relay is the relay, as far as the cloud's list tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.fleet.observation import Instance


def pick_standing(instances: Iterable[Instance]) -> Mapping[str, Instance]:
    """Return relay → the instance that stands for it: its newest generation.

    But one that was launched from another image, or as another type, than an older one that still runs is only meant to follow
    it: then the older one stands until it is gone.
    """
    standing: dict[str, Instance] = {}
    for instance in sorted(instances, key=lambda i: (i.generation, i.launched_at, i.instance_id)):
        older = standing.get(instance.relay)
        if older is None or not follows(instance, older):
            standing[instance.relay] = instance
    return standing


def follows(newer: Instance, older: Instance) -> bool:
    """Whether an instance was launched to take the place of another that is of another kind."""
    kind = (newer.image, newer.instance_type)
    return newer.generation > older.generation and kind != (older.image, older.instance_type)
