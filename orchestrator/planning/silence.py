"""What silence means: dead, missed for a moment, not to be talked to, or that it is the controller that is cut off. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.fleet.observation import Instance, InstanceState, InstanceStatus, Unreachable, Verdict, WrongHostKey
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning.look import Look, Tally, tally
from orchestrator.planning.plan import Phase, RelayView

ANSWERS = (Verdict.OK, Verdict.STALE_TIP)
"""Somebody is there and speaks our protocol."""

MOSTLY_UNKNOWN_SHARE = 3
"""When more than one in this many known relays is UNKNOWN, it is the controller that is cut off, not they."""


def why_dead(instance: Instance, look: Look) -> str | None:
    """Return the evidence that an instance is dead, or None. Being unreachable is none, unless it lasts while others answer."""
    match instance.state:
        case InstanceState.STOPPED | InstanceState.STOPPING:
            return f"the cloud says {instance.instance_id} is {instance.state.value}"
        case InstanceState.SHUTTING_DOWN | InstanceState.TERMINATED:
            return f"the cloud says {instance.instance_id} is {instance.state.value}"
        case InstanceState.PENDING | InstanceState.RUNNING:
            pass
    host = look.seen.hosts.get(instance.instance_id)
    never_known = not is_identified(instance, look.record)
    # A host that shows a wrong key is left alone, unless it never showed the right one: then its first boot went wrong.
    if not isinstance(host, Unreachable) and not (isinstance(host, WrongHostKey) and never_known):
        return None
    if instance.region in look.by.dark_regions and instance.status is not InstanceStatus.IMPAIRED:
        return None  # the whole region is gone: it is not this host that died
    if instance.status is InstanceStatus.IMPAIRED:
        return f"the cloud says {instance.instance_id} is impaired, and it does not answer"
    if not _others_answer(instance, look):
        return None
    sighting = look.seen.sightings.get(instance.relay)
    if sighting is not None and sighting.verdict in ANSWERS:
        return None
    if never_known and look.now - instance.launched_at > look.spec.rollout.boot_deadline:
        minutes = (look.now - instance.launched_at).total_seconds() / 60
        return f"{instance.instance_id} never answered in the {minutes:.0f} minutes since its launch"
    since = look.record.missed_since.get(instance.instance_id)
    if since is not None and look.now - since > look.spec.rollout.replace_after:
        minutes = (look.now - since).total_seconds() / 60
        return f"{instance.instance_id} has not answered for {minutes:.0f} minutes while others do"
    return None


def _others_answer(instance: Instance, look: Look) -> bool:
    """Whether a partner answers, and most other hosts of the region (of the fleet, where it is alone in its region)."""
    observation = look.seen
    partners = [observation.sightings.get(partner.name) for partner in look.spec.partners]
    if partners and not any(seen is not None and seen.verdict in ANSWERS for seen in partners):
        return False
    itself = tally((instance,), observation.hosts)
    peers = look.by.answers[instance.region] - itself
    if peers.present == 0:
        peers = sum(look.by.answers.values(), Tally()) - itself
    return peers.answering * 2 > peers.asked


def is_identified(instance: Instance, record: FleetRecord) -> bool:
    """Whether this host's own key is known: on record, in its tag, or pinned in the fleet file."""
    return instance.instance_id in record.identities or instance.host_key is not None


def why_keys_disagree(instance: Instance, record: FleetRecord) -> str | None:
    """Return the refusal if record and tag name different host keys: one of them was tampered with."""
    identity = record.identities.get(instance.instance_id)
    if identity is None or instance.host_key is None or identity.public_key == instance.host_key:
        return None
    return (
        f"the record pins {instance.instance_id} to {identity.public_key}, its tag says {instance.host_key}: "
        "not talked to until an operator has found out which is true"
    )


def is_missed_briefly(instance: Instance | None, look: Look) -> bool:
    """Whether a host has been missed for so short a time that it may be back by itself: sshd restarting, a lost packet."""
    if instance is None or not isinstance(look.seen.hosts.get(instance.instance_id), Unreachable):
        return False
    since = look.record.missed_since.get(instance.instance_id, look.now)
    return look.now - since < look.spec.rollout.retry_after


def is_mostly_unknown(views: Sequence[RelayView], look: Look) -> bool:
    """Whether so many relays are UNKNOWN that it is the controller that must be cut off.

    Those that count as dead for nothing but their silence are among them: many that fell silent are no reason to replace many.
    """
    known = [view for view in views if view.instance is not None or view.phase is Phase.UNKNOWN]
    unknown = sum(1 for view in known if view.phase is Phase.UNKNOWN or _fell_silent(view, look.record))
    return unknown * MOSTLY_UNKNOWN_SHARE > len(known)


def _fell_silent(view: RelayView, record: FleetRecord) -> bool:
    instance = view.instance
    if view.phase is not Phase.DEAD or instance is None or not is_identified(instance, record):
        return False
    return instance.state is InstanceState.RUNNING and instance.status is not InstanceStatus.IMPAIRED
