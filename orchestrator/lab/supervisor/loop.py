"""Makes the machines of the lab agree with what its AWS API says, and the API admit what became of machines.

Level-triggered: each look compares all instances with all machines, and starts at most one piece of work an instance
(`work` decides which). Work goes on in the background, and few machines start at once on a small host.
How a machine is made is the machine layer's, behind `port.MachinePort`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Event, Lock, Thread

from orchestrator.lab.cloud.instances import INSTANCE_SHUTDOWN, InstanceView

from .port import Instances, MachinePort, MachineView
from .work import Adjust, Delete, PowerOff, Report, Start, Work, plan_work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """How eager the supervisor is."""

    starts_at_once: int = 4
    """Booting is work for the processor: with two cores, more at once only makes each slower."""
    look_every: timedelta = timedelta(seconds=1)
    """A change through the API is seen at once; this is for machines that change by themselves."""
    poweroff_deadline: timedelta = timedelta(seconds=90)
    """A machine that does not shut down by then is killed, as AWS does."""


class Supervisor:
    """Looks again and again until stopped. `now` is monotonic seconds."""

    def __init__(
        self,
        regions: Mapping[str, Instances],
        machines: MachinePort,
        settings: SupervisorSettings,
        now: Callable[[], float],
    ) -> None:
        self._regions, self._machines, self._settings, self._now = regions, machines, settings, now
        self._starting = ThreadPoolExecutor(settings.starts_at_once, thread_name_prefix="lab-start")
        self._others = ThreadPoolExecutor(settings.starts_at_once, thread_name_prefix="lab-change")
        self._at_work: dict[str, Future[None]] = {}
        self._deadlines: dict[str, float] = {}
        self.cut_regions: frozenset[str] = frozenset()
        # None: unknown, since an earlier process of this lab may have cut what it liked.
        self._cut: dict[str, frozenset[str]] | None = None
        self._wake, self._stopping, self._looking = Event(), Event(), Lock()
        self._thread = Thread(target=self._run, name="lab-supervisor", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; wait for what is being done. Machines are left as they are."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._starting.shutdown(cancel_futures=True)
        self._others.shutdown(cancel_futures=True)

    def wake(self) -> None:
        """Look now: something changed."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.look()
            except Exception:  # a look that failed is repeated; the lab must not end with it
                log.exception("the supervisor could not look; it tries again")
            self._wake.wait(self._settings.look_every.total_seconds())

    def look(self) -> None:
        """Compare everything once, and start what follows. Returns without waiting for it."""
        with self._looking:
            idle = {key for key, future in self._at_work.items() if future.done()}
            for key in idle:
                del self._at_work[key]
            machines = self._machines.observe()
            known: set[str] = set()
            for region in self._regions.values():
                for instance in region.views():
                    known.add(instance.instance_id)
                    self._begin(region, instance, machines.get(instance.instance_id))
            for orphan in machines.keys() - known:
                self._submit(self._others, orphan, partial(self._machines.delete, orphan))
            self._forget_volumes()
            self._cut_off(machines)

    def _cut_off(self, machines: Mapping[str, MachineView]) -> None:
        """Have the cut regions be those that are wanted, with all machines that they have by now."""
        running = {instance_id for instance_id, machine in machines.items() if machine.running}
        wanted = {
            name: frozenset(view.instance_id for view in self._regions[name].views()) & running
            for name in self.cut_regions
        }
        if wanted != self._cut:
            self._machines.cut(wanted)
            self._cut = wanted

    def _begin(self, region: Instances, instance: InstanceView, machine: MachineView | None) -> None:
        if instance.instance_id in self._at_work:
            return
        work = plan_work(instance, machine)
        if isinstance(work, Report):  # instant, and the order of reports matters more than speed
            self._report(region, instance, work)
        elif work is not None and not (isinstance(work, PowerOff) and self._is_leaving(instance.instance_id)):
            pool = self._starting if isinstance(work, Start) else self._others
            self._submit(pool, instance.instance_id, lambda: self._do(region, instance, work))

    def _is_leaving(self, instance_id: str) -> bool:
        """Say whether a machine was asked to shut down and still has time to."""
        return self._now() < self._deadlines.get(instance_id, 0.0)

    def _submit(self, pool: ThreadPoolExecutor, key: str, work: Callable[[], None]) -> None:
        if key not in self._at_work and not self._stopping.is_set():
            self._at_work[key] = future = pool.submit(self._guard, key, work)
            future.add_done_callback(lambda _: self._wake.set())

    def _guard(self, key: str, work: Callable[[], None]) -> None:
        """Log what failed; it is looked at again, but not at once."""
        try:
            work()
        except Exception:
            log.exception("work on %s failed; it is looked at again", key)
            self._stopping.wait(self._settings.look_every.total_seconds())

    def _report(self, region: Instances, instance: InstanceView, report: Report) -> None:
        instance_id = instance.instance_id
        match report.state:
            case "running":
                region.mark_running(instance_id)
            case "stopped":
                self._deadlines.pop(instance_id, None)
                region.mark_stopped(instance_id, INSTANCE_SHUTDOWN)
            case "terminated":
                region.mark_terminated(instance_id)
            case "launch-failed":
                region.mark_launch_failed(instance_id)
            case unknown:
                raise ValueError(f"no such report: {unknown}")
        log.info("instance %s of %s is %s", instance_id, instance.region, report.state)
        self._wake.set()

    def _do(self, region: Instances, instance: InstanceView, work: Work) -> None:
        try:
            self._work(region, instance, work)
        except Exception:
            # A launch is given up, as AWS does; anything else is looked at again.
            if not isinstance(work, Start):
                raise
            log.exception("instance %s of %s could not be started", instance.instance_id, instance.region)
            region.mark_launch_failed(instance.instance_id)

    def _work(self, region: Instances, instance: InstanceView, work: Work) -> None:
        instance_id, machines = instance.instance_id, self._machines
        match work:
            case Start():
                machines.start(instance)
                for volume in instance.volumes:
                    if volume.wanted:
                        machines.attach(instance_id, volume)
                        region.mark_attached(volume.volume_id)
                self._deadlines.pop(instance_id, None)
                region.mark_rebooted(instance_id)
                region.mark_running(instance_id)
            case PowerOff():
                self._power_off(instance_id)
            case Delete():
                machines.delete(instance_id)
            case Adjust():
                self._adjust(region, instance_id, work)
            case Report():
                self._report(region, instance, work)

    def _power_off(self, instance_id: str) -> None:
        """Ask once, then wait for looks; kill what has not gone by the deadline."""
        if instance_id in self._deadlines:
            self._machines.kill(instance_id)
        else:
            self._deadlines[instance_id] = self._now() + self._settings.poweroff_deadline.total_seconds()
            self._machines.poweroff(instance_id)

    def _adjust(self, region: Instances, instance_id: str, work: Adjust) -> None:
        for volume in work.attach:
            self._machines.attach(instance_id, volume)
            region.mark_attached(volume.volume_id)
        for volume_id in work.detach:
            self._machines.detach(instance_id, volume_id)
            region.mark_detached(volume_id)
        for address in work.remove:
            self._machines.remove_address(instance_id, address)
        for address in work.add:
            self._machines.add_address(instance_id, address)
        if work.isolated is not None:
            (self._machines.isolate if work.isolated else self._machines.heal)(instance_id)

    def _forget_volumes(self) -> None:
        """Delete the bytes of volumes that the API does not know any more."""
        known = frozenset[str]().union(*(region.volume_ids() for region in self._regions.values()))
        for volume_id in self._machines.observe_volumes() - known:
            self._submit(self._others, volume_id, partial(self._machines.delete_volume, volume_id))
