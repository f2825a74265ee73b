"""What a host is told when it cannot run a lab, and how its cgroup trees are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.cgroups import find_hierarchies
from orchestrator.lab.machines.host import COMMANDS, why_no_commands, why_not_so_many
from orchestrator.lab.machines.layout import check_name


def test_missing_commands_come_with_the_command_that_installs_them() -> None:
    whys = why_no_commands(lambda command: None if command in {"nft", "ip"} else f"/usr/bin/{command}")
    assert whys == ("missing commands: ip, nft. Install them: apt-get install iproute2 nftables",)


def test_a_host_with_all_commands_lacks_none() -> None:
    assert why_no_commands(lambda command: f"/usr/bin/{command}") == ()


def test_each_package_is_named_once() -> None:
    (why,) = why_no_commands(lambda _: None)
    packages = why.rpartition("install ")[2].split()
    assert sorted(packages) == sorted(set(COMMANDS.values()))


def test_more_machines_than_the_kernel_can_watch_are_refused_with_the_setting() -> None:
    why = why_not_so_many(40, 128)
    assert why is not None
    assert "fs.inotify.max_user_instances=512" in why


def test_twenty_machines_fit_into_the_kernels_default() -> None:
    assert why_not_so_many(20, 128) is None


HYBRID = """\
cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""


@pytest.mark.parametrize(
    ("mounts", "places"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", ["/sys/fs/cgroup"]),
        (HYBRID, ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"]),
        ("tmpfs /tmp tmpfs rw 0 0", []),
    ],
    ids=["unified", "hybrid", "none"],
)
def test_the_cgroup_trees_that_matter_are_found(mounts: str, places: list[str]) -> None:
    assert find_hierarchies(mounts) == tuple(Path(place) for place in places)


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "UPPER", "-x", "a b", "a,b"])
def test_a_name_that_is_unsafe_in_a_path_is_refused(name: str) -> None:
    with pytest.raises(LabUnavailable, match="cannot name"):
        check_name(name)
