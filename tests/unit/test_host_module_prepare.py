"""Preparing a host: a disk is formatted only when it is empty, a key is made once, the one-time key is wiped everywhere."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from playbooks.module_utils.genesis.disk import settle_disk
from playbooks.module_utils.genesis.identity import is_wiped, make_key, read_public_key, switch_key, wipe_one_time_key
from playbooks.module_utils.genesis.machine import HOST_KEY, PINNED, Machine, Ran, Refused
from playbooks.module_utils.genesis.preparing import Preparation, parse_preparation, prepare

ME = pwd.getpwuid(os.geteuid()).pw_name
MOUNT = "/var/lib/cardano-node"
ONE_TIME = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\nBBBB\nSECRETMIDDLE\nCCCC\n-----END OPENSSH PRIVATE KEY-----\n"


@dataclass
class Programs:
    """blkid and its like, played from a table of answers; everything asked is taken down."""

    answers: dict[str, list[Ran]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
        self.asked.append(" ".join(argv))
        queue = self.answers.get(argv[0], [])
        if len(queue) > 1:
            return queue.pop(0)
        return queue[0] if queue else Ran(0, "", "")

    def formatted(self) -> bool:
        return any(word.startswith("mkfs") for word in self.asked)


EXT4 = Ran(0, "UUID=1234\nTYPE=ext4\n", "")
EMPTY = Ran(2, "", "")


def disk_host(tmp_path: Path, *blkid: Ran) -> tuple[Machine, Programs]:
    programs = Programs({"blkid": list(blkid), "systemd-escape": [Ran(0, "chain.mount\n", "")]})
    links = tmp_path / "dev/disk/by-id"
    links.mkdir(parents=True)
    (tmp_path / "dev/nvme1n1").write_text("")
    (links / "nvme-Amazon_Elastic_Block_Store_vol0a").symlink_to(tmp_path / "dev/nvme1n1")
    return Machine(tmp_path, programs), programs


def test_an_empty_disk_is_formatted_and_mounted(tmp_path: Path) -> None:
    machine, _ = disk_host(tmp_path, EMPTY, EXT4)
    done = settle_disk(machine, "vol-0a", MOUNT)
    assert done == ["formatted /dev/nvme1n1", "wrote chain.mount", f"mounted /dev/nvme1n1 on {MOUNT}"]


def test_a_disk_with_a_chain_is_mounted_and_never_formatted(tmp_path: Path) -> None:
    machine, programs = disk_host(tmp_path, EXT4)
    settle_disk(machine, "vol-0a", MOUNT)
    assert not programs.formatted()


def test_a_disk_is_mounted_by_the_id_of_its_volume_whatever_links_its_file_system_has(tmp_path: Path) -> None:
    machine, _ = disk_host(tmp_path, EXT4)
    machine.at("/dev/disk/by-uuid").mkdir()
    machine.at("/dev/disk/by-uuid/1234").write_text("")
    settle_disk(machine, "vol-0a", MOUNT)
    text = machine.read_text("/etc/systemd/system/chain.mount")
    assert "What=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0a\n" in text


def test_a_disk_known_to_the_kernel_alone_is_mounted_by_its_file_system(tmp_path: Path) -> None:
    machine, _ = disk_host(tmp_path, EXT4)
    for folder in ("sys/class/block/nvme2n1/device", "dev/disk/by-uuid"):
        machine.at(folder).mkdir(parents=True)
    machine.at("/sys/class/block/nvme2n1/device/serial").write_text("vol0c\n")
    machine.at("/dev/disk/by-uuid/1234").write_text("")
    settle_disk(machine, "vol-0c", MOUNT)
    assert "What=/dev/disk/by-uuid/1234\n" in machine.read_text("/etc/systemd/system/chain.mount")


def test_links_are_awaited_before_a_disk_is_looked_for_and_after_it_was_formatted(tmp_path: Path) -> None:
    machine, programs = disk_host(tmp_path, EMPTY, EXT4)
    settle_disk(machine, "vol-0a", MOUNT)
    order = [word.split()[0] for word in programs.asked if word.startswith(("udevadm settle", "blkid", "mkfs"))]
    assert order == ["udevadm", "blkid", "mkfs.ext4", "udevadm", "blkid"]


@pytest.mark.parametrize(
    "found",
    [
        Ran(0, "TYPE=xfs\nUUID=1\n", ""),
        Ran(0, "PTTYPE=gpt\n", ""),
        Ran(8, "", "ambivalent result"),
        Ran(127, "", "blkid is not installed"),
    ],
    ids=["another file system", "partitions", "ambivalent", "no blkid"],
)
def test_a_disk_that_is_not_surely_empty_is_left_alone(tmp_path: Path, found: Ran) -> None:
    machine, programs = disk_host(tmp_path, found)
    with pytest.raises(Refused):
        settle_disk(machine, "vol-0a", MOUNT)
    assert not programs.formatted()


def test_a_disk_that_is_not_attached_yet_is_named(tmp_path: Path) -> None:
    machine, _ = disk_host(tmp_path, EMPTY)
    with pytest.raises(Refused, match="vol-0b is not attached"):
        settle_disk(machine, "vol-0b", MOUNT)


def test_a_folder_with_something_in_it_is_not_hidden_by_a_mount(tmp_path: Path) -> None:
    machine, _ = disk_host(tmp_path, EXT4)
    machine.at(f"{MOUNT}/db").mkdir(parents=True)
    with pytest.raises(Refused, match="not empty on the root disk"):
        settle_disk(machine, "vol-0a", MOUNT)


def keyed_host(tmp_path: Path, presented: str = HOST_KEY) -> tuple[Machine, Programs]:
    """A host that cloud-init set up, with its permanent key made already."""
    programs = Programs({"sshd": [Ran(0, f"port 22\nhostkey {presented}\n", "")]})
    machine = Machine(tmp_path, programs)
    files = {
        "/etc/ssh/ssh_host_ed25519_key": ONE_TIME,
        "/etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 onetime",
        HOST_KEY: "-----BEGIN OPENSSH PRIVATE KEY-----\npermanent\n",
        f"{HOST_KEY}.pub": "ssh-ed25519 permanent genesis-fleet\n",
        "/var/lib/cloud/instances/i-1/user-data.txt": f"#cloud-config\n{ONE_TIME}",
        "/var/lib/cloud/instances/i-1/obj.pkl": f"pickle {ONE_TIME}",
        "/run/cloud-init/instance-data-sensitive.json": '{"k": "AAAA\\nBBBB\\nSECRETMIDDLE\\nCCCC"}',
        "/var/lib/cloud/instances/i-1/datasource": "harmless",
        "/etc/cloud/cloud.cfg": "harmless",
    }
    for path, text in files.items():
        machine.at(path).parent.mkdir(parents=True, exist_ok=True)
        machine.at(path).write_text(text)
    return machine, programs


def test_the_one_time_key_is_wiped_wherever_it_lies_and_nothing_else(tmp_path: Path) -> None:
    machine, _ = keyed_host(tmp_path)
    assert not is_wiped(machine)
    wipe_one_time_key(machine)
    assert is_wiped(machine)
    left = sorted(f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*") if path.is_file())
    assert left == [
        "/etc/cloud/cloud.cfg",
        HOST_KEY,
        f"{HOST_KEY}.pub",
        "/var/lib/cloud/instances/i-1/datasource",
    ]


def test_sshd_is_switched_to_the_permanent_key_and_reloaded(tmp_path: Path) -> None:
    machine, programs = keyed_host(tmp_path)
    assert switch_key(machine)
    assert f"HostKey {HOST_KEY}" in machine.read_text("/etc/ssh/sshd_config.d/00-genesis-fleet-identity.conf")
    assert programs.asked[-1] == "systemctl reload ssh.service"


def test_sshd_that_would_not_present_the_permanent_key_is_left_as_it_was(tmp_path: Path) -> None:
    machine, programs = keyed_host(tmp_path, presented="/etc/ssh/ssh_host_rsa_key")
    with pytest.raises(Refused, match="ssh_host_rsa_key"):
        switch_key(machine)
    assert not machine.at("/etc/ssh/sshd_config.d/00-genesis-fleet-identity.conf").exists()
    assert "systemctl reload ssh.service" not in programs.asked


def test_a_host_without_a_permanent_key_is_not_switched(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="identify"):
        switch_key(Machine(tmp_path, Programs()))


def test_a_key_that_exists_is_never_made_again(tmp_path: Path) -> None:
    machine, programs = keyed_host(tmp_path)
    assert not make_key(machine)
    assert programs.asked == []
    assert read_public_key(machine) == "ssh-ed25519 permanent"


def test_a_host_whose_key_the_operator_pinned_has_no_one_time_key(tmp_path: Path) -> None:
    machine, _ = keyed_host(tmp_path)
    machine.at(PINNED).parent.mkdir(parents=True)
    machine.at(PINNED).write_text("")
    assert is_wiped(machine)


def settle_host(tmp_path: Path) -> tuple[Machine, Programs]:
    """A host that identified itself and has a disk, still empty."""
    machine, programs = keyed_host(tmp_path)
    disk_host(tmp_path, EMPTY)
    programs.answers |= {
        "blkid": [EMPTY, EMPTY, EXT4],
        "systemd-escape": [Ran(0, "chain.mount\n", "")],
        "dpkg-query": [Ran(0, "nftables installed\nchrony config-files\n", "")],
    }
    return machine, programs


def preparation(step: str = "settle", **changes: Any) -> Preparation:
    known = {"volume_id": "vol-0a", "mount": MOUNT, "packages": ["chrony", "nftables"], "user": ME}
    return parse_preparation(
        {"step": step, "token": 1, "store_id": "s", "baseline_digest": "b", **known, **changes},
    )


def test_check_mode_foretells_all_that_settling_does_and_touches_nothing(tmp_path: Path) -> None:
    machine, programs = settle_host(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    changed, foretold = prepare(machine, preparation(), check=True)
    assert changed
    assert sorted(tmp_path.rglob("*")) == before
    assert {word.split()[0] for word in programs.asked} == {"blkid", "dpkg-query", "systemd-escape"}
    # What systemd does when it mounts.
    machine.at(MOUNT).mkdir(parents=True)
    _, facts = prepare(machine, preparation())
    assert foretold["done"] == facts["done"]
    assert {"installed chrony", "formatted /dev/nvme1n1", "prepared"} <= set(facts["done"])


def test_check_mode_of_a_prepared_host_foretells_nothing(tmp_path: Path) -> None:
    machine, programs = settle_host(tmp_path)
    programs.answers["blkid"] = [EXT4]
    machine.at(MOUNT).mkdir(parents=True)
    prepare(machine, preparation())
    programs.answers["dpkg-query"] = [Ran(0, "nftables installed\nchrony installed\n", "")]
    machine.at("/proc/self").mkdir(parents=True)
    machine.at("/proc/self/mounts").write_text(f"/dev/nvme1n1 {MOUNT} ext4 rw 0 0\n")
    assert prepare(machine, preparation(), check=True) == (
        False,
        {"host_key": "ssh-ed25519 permanent", "done": [], "summary": "nothing to do"},
    )


@pytest.mark.parametrize(
    ("path", "foretold"),
    [
        (MOUNT, f"gave {MOUNT} to {ME}"),
        ("/etc/ssh/sshd_config.d/00-genesis-fleet-identity.conf", "switched sshd to the permanent host key"),
    ],
)
def test_check_mode_sees_what_was_changed_since_by_hand(tmp_path: Path, path: str, foretold: str) -> None:
    machine, _ = settle_host(tmp_path)
    prepare(machine, preparation(volume_id=""))
    machine.at(path).chmod(0o700)
    changed, facts = prepare(machine, preparation(volume_id="", packages=[]), check=True)
    assert (changed, facts["done"]) == (True, [foretold])


def test_check_mode_of_the_first_step_foretells_the_key(tmp_path: Path) -> None:
    machine, programs = keyed_host(tmp_path)
    machine.at(f"{HOST_KEY}.pub").unlink()
    foretold = prepare(machine, preparation("identify"), check=True)[1]["done"]
    assert programs.asked == []
    assert foretold == prepare(machine, preparation("identify"))[1]["done"]
    assert "made the permanent host key" in foretold


def test_check_mode_refuses_a_disk_that_settling_would_refuse(tmp_path: Path) -> None:
    machine, programs = settle_host(tmp_path)
    programs.answers["blkid"] = [Ran(0, "TYPE=xfs\nUUID=1\n", "")]
    with pytest.raises(Refused, match="holds xfs"):
        prepare(machine, preparation(), check=True)
