"""A new release reaches the fleet: not while it is wrong or missing, never past a full disk, and one relay at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab_fleet import Ended, Fleet

pytestmark = pytest.mark.lab

NEW, OLD = "10.6.2", "10.5.1"
FULL = "e2e-us-east-1-02"
STATE = (
    "readlink /opt/cardano-node/current; ls -A /opt/cardano-node/releases; "
    "systemctl show cardano-node.service --property=ExecMainStartTimestampMonotonic,ActiveState"
)

# Room for a release and the 64 MiB that staging leaves free, all of it taken. Copied with the times to the nanosecond:
# by them a folder is known to be as it was unpacked.
SMALL_DISK = """
if ! mountpoint -q /opt/cardano-node; then
  mount -t tmpfs -o size=96m tmpfs /mnt
  cp -a /opt/cardano-node/. /mnt/
  mount --bind /mnt /opt/cardano-node
  umount /mnt
fi
dd if=/dev/zero of=/opt/cardano-node/ballast bs=64k status=none 2>/root/ballast.log || grep -q 'No space' /root/ballast.log
"""


@pytest.fixture(scope="module", autouse=True)
def without_the_new_release(serving: Fleet) -> None:
    """Hosts of a lab that was kept may have it from the last time."""
    serving.shells(f"rm -rf /opt/cardano-node/releases/{NEW}-*")


def states(fleet: Fleet) -> dict[str, str]:
    """What runs on each host, since when, and what lies beside it."""
    return fleet.shells(STATE)


def wanting_new(change: Callable[[dict[str, Any]], None] = lambda _build: None) -> Callable[[dict[str, Any]], None]:
    """A fleet file that wants the new release, described so or otherwise."""

    def edit(document: dict[str, Any]) -> None:
        document["release"] = NEW
        change(document["releases"][NEW]["x86_64"])

    return edit


def test_a_release_with_another_checksum_leaves_every_host_as_it_was(serving: Fleet) -> None:
    before = states(serving)
    file = serving.variant("wrong", wanting_new(lambda build: build.update(sha256="0" * 64)))
    ended = serving.apply(file=file)
    assert ended.code == 2
    assert "stage failed" in ended.err
    assert "checksum" in ended.err or "sha256" in ended.err
    assert "deploy started" not in ended.err
    assert states(serving) == before


def test_a_release_that_is_not_there_leaves_every_host_as_it_was(serving: Fleet) -> None:
    before = states(serving)
    file = serving.variant("missing", wanting_new(lambda build: build.update(url=f"{build['url']}.gone")))
    ended = serving.apply(file=file)
    assert ended.code == 2
    assert "404" in ended.err
    assert "deploy started" not in ended.err
    assert states(serving) == before


@dataclass(frozen=True)
class Rollout:
    """A change of release while one host's disk is full."""

    ended: Ended
    links_before: dict[str, str]
    links_while_full: dict[str, str]
    serving_at_least: int
    said_of_full: str
    healed: Ended
    releases_healed: dict[str, str]


@pytest.fixture(scope="module")
def rollout(serving: Fleet) -> Rollout:
    """Fill a disk, ask for the new release, then make room."""
    # A file system of its own: the machine's root is the disk of the host that runs the tests.
    serving.shell(FULL, SMALL_DISK)
    before = {name: state.splitlines()[0] for name, state in states(serving).items()}
    # From here on the fleet's own file wants the new release.
    serving.variant("fleet", wanting_new())
    ended = serving.apply()
    stayed = {name: state.splitlines()[0] for name, state in states(serving).items()}
    serving.shell(FULL, "rm /opt/cardano-node/ballast")
    with serving.sampling() as samples:
        healed = serving.apply()
    after = {relay["name"]: relay["release"] for relay in healed.document["relays"]}
    said = "\n".join(line for line in ended.err.splitlines() if f"{FULL}: stage" in line)
    return Rollout(ended, before, stayed, min(samples), said, healed, after)


def test_a_full_disk_is_reported_and_the_others_are_made_ready(rollout: Rollout) -> None:
    assert rollout.ended.code == 2
    assert "disk full" in rollout.said_of_full
    assert rollout.ended.err.count("stage done: release") == 4


def test_nobody_is_disturbed_for_a_release_that_one_host_cannot_take(rollout: Rollout) -> None:
    assert "deploy started" not in rollout.ended.err
    assert rollout.links_while_full == rollout.links_before


def test_a_release_goes_out_one_relay_at_a_time(rollout: Rollout) -> None:
    assert rollout.serving_at_least >= 4


def test_the_release_reaches_everybody_once_there_is_room(rollout: Rollout) -> None:
    assert rollout.healed.code == 0
    assert set(rollout.releases_healed.values()) == {NEW}
