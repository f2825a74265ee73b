"""Drops from the record what nobody needs any more, above all private keys. Forgets only what a look has disproved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.execution.ports import StorePort
from orchestrator.fleet.record import Identity, LaunchIntent
from orchestrator.planning.launching import VISIBILITY
from orchestrator.planning.look import GONE, Look

UNLAUNCHED = "nothing was launched by it, and its relay is no longer wanted"


def forget_what_nobody_needs(store: StorePort, look: Look, confirmed: Sequence[Identity]) -> None:
    """Drop one-time keys that nobody accepts any more, and instances that are gone; also what an earlier run left."""
    sure = {i.instance_id for i in (*look.record.identities.values(), *confirmed) if i.confirmed}
    for intent in look.record.intents:
        if intent.instance_id in sure and intent.request_json:
            store.save_intent(replace(intent, request_json=""))
    for intent in _unlaunched(look):
        store.save_intent(replace(intent, refused=UNLAUNCHED, request_json="", subnet=""))
    for intent in _ended_early(look):
        store.save_intent(replace(intent, request_json=""))
    for instance_id in _vanished(look):
        store.delete_instance(instance_id)
    known = {*look.record.identities, *(i.instance_id for i in look.record.intents if i.request_json)}
    for instance in look.seen.cloud.instances:
        if instance.state in GONE and instance.instance_id in known:
            store.delete_instance(instance.instance_id)


def _unlaunched(look: Look) -> list[LaunchIntent]:
    """List launches without an answer that nobody will repeat and of which nothing came: their region was looked at."""
    wanted = {relay.name for relay in look.wanted.relays}
    tokens = {instance.launch_token for instance in look.seen.cloud.instances}
    return [
        intent
        for intent in look.record.intents
        if intent.instance_id is None
        and intent.refused is None
        and intent.token not in tokens
        and intent.relay not in wanted
        and intent.relay not in look.seen.in_flight
        and _was_looked_at(intent, look)
    ]


def _ended_early(look: Look) -> list[LaunchIntent]:
    """List launches whose instance is gone from the cloud's list while an earlier one of its relay lives: nobody repeats them.

    What was known of the instance stays, should it be listed again; its private key is needed for nothing.
    """
    listed = {instance.instance_id for instance in look.seen.cloud.instances}
    living = {i.relay for i in look.seen.cloud.instances if i.state not in GONE}
    return [
        intent
        for intent in look.record.intents
        if intent.request_json and intent.instance_id is not None and intent.instance_id not in listed
        if intent.relay in living and _was_looked_at(intent, look)
    ]


def _vanished(look: Look) -> list[str]:
    """List instances with keys on record that the cloud no longer lists, where a later one lives or nobody wants the relay.

    One that is merely missing from a list keeps its key: forgotten too early, it could not be told from an impostor.
    """
    wanted = {relay.name for relay in look.wanted.relays}
    listed = {instance.instance_id for instance in look.seen.cloud.instances}
    living = {(i.relay, i.generation) for i in look.seen.cloud.instances if i.state not in GONE}
    return [
        intent.instance_id
        for intent in look.record.intents
        if intent.instance_id is not None
        and (intent.instance_id in look.record.identities or intent.request_json)
        and intent.instance_id not in listed
        and _was_looked_at(intent, look)
        and (
            intent.relay not in wanted
            or any(relay == intent.relay and generation > intent.generation for relay, generation in living)
        )
    ]


def _was_looked_at(intent: LaunchIntent, look: Look) -> bool:
    """Whether this look would show what a launch made: its region answered, and the cloud had time to list it."""
    return intent.region not in look.seen.cloud.silent_regions and look.now - intent.at > VISIBILITY
