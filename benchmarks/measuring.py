"""Takes times: rounds in which every case has its turn, in another order each time, so that a busy moment hits all alike.

Processor time is taken as well: it says more than a clock does on a machine that others use too.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CGROUPS = (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is measured. `prepare` is not; it brings about what the name promises."""

    name: str
    tool: str
    connections: str
    """`cold`: none are open. `warm`: persistent ones are."""
    prepare: Callable[[], None]
    run: Callable[[], None]
    finish: Callable[[], None] = field(default=lambda: None)
    slow: bool = False
    """Takes minutes, so it is measured in fewer rounds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a case."""

    wall_seconds: float
    controller_cpu_seconds: float
    hosts_cpu_seconds: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs of one case."""

    case: Case
    samples: tuple[Sample, ...]

    @property
    def median_seconds(self) -> float:
        """The median wall-clock time."""
        return statistics.median(sample.wall_seconds for sample in self.samples)

    @property
    def range_seconds(self) -> tuple[float, float]:
        """The quickest and the slowest run."""
        walls = [sample.wall_seconds for sample in self.samples]
        return min(walls), max(walls)

    @property
    def cpu_seconds(self) -> float | None:
        """The median of the processor time on controller and hosts together, where the hosts' is known."""
        known = [
            sample.controller_cpu_seconds + sample.hosts_cpu_seconds
            for sample in self.samples
            if sample.hosts_cpu_seconds is not None
        ]
        return statistics.median(known) if known else None


def measure(
    cases: Sequence[Case], rounds: int, slow_rounds: int, cgroup: str, report: Callable[[int, Case, Sample], None]
) -> tuple[Measured, ...]:
    """Run every case once a round (slow ones in the first rounds only) and return all samples, in the order of the cases."""
    idle_share = _measure_idle(cgroup)
    samples: dict[str, list[Sample]] = {case.name: [] for case in cases}
    for number in range(rounds):
        begin = number * 3 % len(cases)
        for case in (*cases[begin:], *cases[:begin]):
            if case.slow and number >= slow_rounds:
                continue
            case.prepare()
            try:
                sample = _take(case, cgroup, idle_share)
            finally:
                case.finish()
            samples[case.name].append(sample)
            report(number, case, sample)
    return tuple(Measured(case, tuple(samples[case.name])) for case in cases if samples[case.name])


def _take(case: Case, cgroup: str, idle_share: float) -> Sample:
    hosts, controller, began = read_hosts_cpu(cgroup), _own_cpu(), time.monotonic()
    case.run()
    wall = time.monotonic() - began
    controller_cpu, after = _own_cpu() - controller, read_hosts_cpu(cgroup)
    used = None if hosts is None or after is None else max(0.0, after - hosts - idle_share * wall)
    return Sample(wall, controller_cpu, used)


def _own_cpu() -> float:
    uses = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _measure_idle(cgroup: str) -> float:
    """Return the processor time a second that the hosts take by themselves: twenty nodes following a chain."""
    before, began = read_hosts_cpu(cgroup), time.monotonic()
    time.sleep(3)
    after = read_hosts_cpu(cgroup)
    return 0.0 if before is None or after is None else (after - before) / (time.monotonic() - began)


def read_hosts_cpu(cgroup: str) -> float | None:
    """Return the processor time that the lab's machines have taken so far; None where the kernel does not count it."""
    for place in CGROUPS:
        if (usage := place / cgroup / "cpuacct.usage").exists():
            return int(usage.read_text()) / 1e9
        if (stat := place / cgroup / "cpu.stat").exists():
            lines = dict(line.split() for line in stat.read_text().splitlines())
            if "usage_usec" in lines:
                return int(lines["usage_usec"]) / 1e6
    return None
