"""How an instance of the lab lives: the verbs of the API that begin something, and the reports that end it.

moto does everything at once, whatever state an instance is in. Here a verb names the wish; the supervisor makes it
true and reports by a `mark_…` function.
"""

from __future__ import annotations

import copy
from ipaddress import ip_address
from typing import Any

from moto.ec2.models.instances import Instance

from .elastic import ElasticAddresses
from .instances import INTERNAL_ERROR, USER_SHUTDOWN, LabInstance
from .region import ApiError

Changes = list[tuple[Any, Any]]


class Lifecycle(ElasticAddresses):
    """Starting, stopping, rebooting, terminating."""

    def terminate_instances(self, instance_ids: list[str]) -> Changes:
        """Begin to terminate. moto is done at once, and leaves elastic addresses on the dead."""
        found = self._named(instance_ids)
        previous = [(instance, copy.copy(instance.instance_state)) for instance in found]
        for instance in found:
            self.begin_termination(instance)
        return list(previous)

    def begin_termination(self, instance: LabInstance) -> None:
        """Begin to terminate one instance, seen by the API or not; to repeat it changes nothing."""
        if instance.state not in ("shutting-down", "terminated"):
            self.release_elastic_addresses_of(instance)
            instance.enter("shutting-down", USER_SHUTDOWN)
        self.setup.changed()

    def stop_instances(self, instance_ids: list[str]) -> Changes:
        """Begin to stop. moto stops anything, at once."""
        found = self._named(instance_ids, "running", "stopping", "stopped")
        previous = [(instance, copy.copy(instance.instance_state)) for instance in found]
        for instance in found:
            if instance.state == "running":
                instance.enter("stopping", USER_SHUTDOWN)
        self.setup.changed()
        return list(previous)

    def start_instances(self, instance_ids: list[str]) -> Changes:
        """Begin to start what is stopped. moto starts even what is terminated."""
        found = self._named(instance_ids, "stopped", "pending", "running")
        previous = [(instance, copy.copy(instance.instance_state)) for instance in found]
        for instance in found:
            if instance.state == "stopped":
                instance.note.broken = False
                instance.enter("pending")
                self.give_automatic_address(instance)
        self.setup.changed()
        return list(previous)

    def reboot_instances(self, instance_ids: list[str]) -> list[Instance]:
        """Ask for a reboot; what was impaired gets its machine back. moto only says running."""
        found = self._named(instance_ids, "running")
        for instance in found:
            instance.note.reboot_asked = instance.note.never_boots is None
        self.setup.changed()
        return list(found)

    def _named(self, instance_ids: list[str], *allowed: str) -> list[LabInstance]:
        if not instance_ids:
            raise ApiError("MissingParameter", "The request must contain the parameter InstanceId")
        found = [each for each in self.get_multi_instances_by_id(instance_ids) if isinstance(each, LabInstance)]
        for instance in found:
            if allowed and instance.state not in allowed:
                text = f"The instance '{instance.id}' is {instance.state}: it has to be {' or '.join(allowed)}."
                raise ApiError("IncorrectInstanceState", text)
        return found

    # Reports of the supervisor. An instance may have been changed since; a report that is out of date is dropped.

    def mark_running(self, instance_id: str) -> None:
        """A pending instance's machine runs."""
        with self.lock:
            instance = self.lab_instance(instance_id)
            if instance and instance.state == "pending":
                instance.enter("running")
                self._restart_checks(instance)

    def mark_rebooted(self, instance_id: str) -> None:
        """The machine was started anew."""
        with self.lock:
            if instance := self.lab_instance(instance_id):
                instance.note.reboot_asked = instance.note.broken = False
                self._restart_checks(instance)

    def mark_stopped(self, instance_id: str, reason: tuple[str, str]) -> None:
        """There is no running machine any more; an automatic address goes with it."""
        with self.lock:
            instance = self.lab_instance(instance_id)
            if instance and instance.state in ("pending", "running", "stopping"):
                if instance.state == "running" and instance.instance_initiated_shutdown_behavior == "terminate":
                    self.begin_termination(instance)
                    instance.enter("shutting-down", reason)
                    return
                instance.enter("stopped", USER_SHUTDOWN if instance.state == "stopping" else reason)
                self.take_automatic_address(instance)

    def mark_broken(self, instance_id: str) -> None:
        """The machine is dead, and the API shall say running and impaired."""
        with self.lock:
            if instance := self.lab_instance(instance_id):
                instance.note.broken = True

    def mark_isolated(self, instance_id: str, *, isolated: bool) -> None:
        """Wish a machine away from the network, or back. The API, as AWS, does not know."""
        with self.lock:
            if instance := self.lab_instance(instance_id):
                instance.note.isolated = isolated

    def mark_launch_failed(self, instance_id: str) -> None:
        """The machine could not be made: AWS terminates such an instance by itself."""
        with self.lock:
            if instance := self.lab_instance(instance_id):
                self.begin_termination(instance)
                instance.enter("shutting-down", INTERNAL_ERROR)

    def mark_terminated(self, instance_id: str) -> None:
        """The machine is gone: give its addresses back, free or delete its volumes, keep the record for a while."""
        with self.lock:
            instance = self.lab_instance(instance_id)
            if instance is None or instance.state != "shutting-down":
                return
            reason = (instance.state_reason.code, instance.state_transition_reason or "")
            self.take_automatic_address(instance)
            for nic in instance.nics.values():
                for address in nic.ipv6_addresses:
                    self.setup.allocator.give_back(ip_address(address))
            instance.terminate()
            instance.nics = {}
            instance.enter("terminated", reason)
            instance.note.terminated_at = self.setup.now()

    def _restart_checks(self, instance: LabInstance) -> None:
        instance.note.checks_at = self.setup.now() + self.setup.settings.status_checks_after.total_seconds()
