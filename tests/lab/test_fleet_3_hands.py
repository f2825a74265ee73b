"""Hands on hosts that are not ours: files edited, keys swapped, cables pulled, firewalls that would lock us out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab_fleet import Fleet, recap

pytestmark = pytest.mark.lab

CONFIG, UNIT = "/etc/cardano-node/config.json", "/etc/systemd/system/cardano-node.service"
TOPOLOGY, JOURNALD = "/etc/cardano-node/topology.json", "/etc/systemd/journald.conf.d/genesis-fleet.conf"
FIREWALL = "/etc/nftables.d/genesis-fleet.nft"
FIRST, SECOND, THIRD = (f"e2e-eu-central-1-{number:02d}" for number in (1, 2, 3))
FAR, FARTHER = "e2e-us-east-1-01", "e2e-us-east-1-02"
HOST_KEY = "/etc/ssh/genesis_fleet_host_ed25519_key"
# Longer than a look takes on a busy machine, or nobody would see it.
SLOW_STOP_SECONDS = 15


# --- files edited by hand --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mended:
    """A fleet whose files were edited by hand, before and after an apply."""

    planned: dict[str, Any]
    plan_code: int
    checked: dict[str, dict[str, int]]
    check_text: str
    edited_after_check: str
    started_before: dict[str, str]
    started_after: dict[str, str]
    out_at_once: int
    stopping_seen: str
    lines: str


def started(fleet: Fleet) -> dict[str, str]:
    """When each relay's node was started."""
    return fleet.shells("systemctl show cardano-node.service --property=ExecMainStartTimestampMonotonic --value")


@pytest.fixture(scope="module")
def mended(serving: Fleet) -> Mended:
    """Edit five hosts by hand, one of which stops slowly; look, check with plain Ansible, apply."""
    fleet = serving
    fleet.shell(
        FIRST,
        f"sed -i 's/MemoryMax=.*/MemoryMax=1G/' {UNIT}; echo {SLOW_STOP_SECONDS} > "
        "/var/lib/cardano-node/db/lab-stop-seconds",
    )
    fleet.shell(SECOND, f"echo '{{}}' > {CONFIG}")
    fleet.shell(THIRD, f"rm {JOURNALD}; chmod 600 {CONFIG}")
    fleet.shell(FAR, f"echo >> {TOPOLOGY}")
    before = started(fleet)
    planned = fleet.run("plan", "--json")
    check = fleet.ansible("deploy", "--check", "--diff", "--limit", "eu_central_1")
    edited = fleet.shell(SECOND, f"cat {CONFIG}")
    with fleet.sampling() as serving_at_once:
        run = fleet.start_apply()
        run.wait_line(f"{FIRST}: deploy done")
        stopping = run.wait_line(f"{FIRST}.* the node stops")
        ended = run.end()
    assert ended.code == 0, ended.err
    fleet.shell(FIRST, "rm /var/lib/cardano-node/db/lab-stop-seconds")
    return Mended(
        planned.document,
        planned.code,
        recap(check.stdout),
        check.stdout,
        edited,
        before,
        started(fleet),
        len(before) - min(serving_at_once),
        stopping,
        ended.err,
    )


def test_a_plan_shows_what_differs_on_a_host_edited_by_hand(mended: Mended) -> None:
    drift = {relay["name"]: relay["drift"] for relay in mended.planned["relays"]}
    assert mended.plan_code == 2
    assert drift[FIRST] == [UNIT]
    assert drift[SECOND] == [CONFIG]
    assert sorted(drift[THIRD]) == sorted([CONFIG, JOURNALD])
    assert drift[FAR] == [TOPOLOGY]
    assert drift[FARTHER] == []


def test_check_mode_of_plain_ansible_is_true_to_what_would_happen(mended: Mended) -> None:
    assert {host: counts["changed"] for host, counts in mended.checked.items()} == {FIRST: 1, SECOND: 1, THIRD: 1}
    assert "-MemoryMax=1G" in mended.check_text
    assert mended.edited_after_check == "{}"


def test_an_apply_mends_what_was_edited(serving: Fleet, mended: Mended) -> None:
    assert serving.run("plan", "--json").code == 0
    assert "MemoryMax=1G" not in serving.shell(FIRST, f"cat {UNIT}")
    assert serving.shell(THIRD, f"stat -c %a {CONFIG}") != "600"


def test_only_nodes_that_ask_for_it_are_restarted(mended: Mended) -> None:
    restarted = {name for name, when in mended.started_after.items() if mended.started_before[name] != when}
    assert restarted == {FIRST, SECOND}


def test_restarts_go_one_at_a_time(mended: Mended) -> None:
    assert mended.out_at_once <= 1


def test_a_slow_stop_is_shown_and_holds_up_nobody_else(mended: Mended) -> None:
    assert "the node stops" in mended.stopping_seen
    lines = mended.lines
    the_next_in_turn = lines.index(f"{SECOND}: deploy started")
    assert lines.index(f"{THIRD}: deploy done") < the_next_in_turn
    assert lines.index(f"{FAR}: deploy done") < the_next_in_turn


# --- hosts that cannot be believed or reached ------------------------------------------------------------------------


def test_a_host_with_another_key_is_refused_named_and_left_alone(serving: Fleet) -> None:
    swap = f"cp -p {HOST_KEY} /root/kept; rm {HOST_KEY}; ssh-keygen -q -t ed25519 -N '' -f {HOST_KEY}"
    # Open connections were made under the right key, and end with the host that is not the same any more.
    serving.shell(FIRST, f"{swap}; systemctl reload ssh; pkill -f '^sshd: admin' || true")
    serving.shell(FIRST, f"echo >> {TOPOLOGY}; cp {TOPOLOGY} /root/topology")
    try:
        ended = serving.apply()
        relay = {r["name"]: r for r in ended.document["relays"]}[FIRST]
        untouched = serving.shell(FIRST, f"cmp {TOPOLOGY} /root/topology && echo same")
    finally:
        serving.shell(
            FIRST, f"cp -p /root/kept {HOST_KEY}; ssh-keygen -y -f {HOST_KEY} > {HOST_KEY}.pub; systemctl reload ssh"
        )
    assert ended.code == 2
    assert (relay["phase"], relay["health"]) == ("unknown", "unknown")
    assert "refused to talk to" in relay["reason"]
    assert untouched == "same"
    serving.converge()


@dataclass(frozen=True)
class CutOff:
    """An apply in the middle of which one host was cut off, and the one after."""

    code: int
    relays: dict[str, dict[str, Any]]
    lines: str
    left_alone: bool
    again: str


@pytest.fixture(scope="module")
def wider(serving: Fleet) -> Path:
    """A fleet file that lets one more network in: new firewall rules on every host, and nobody disturbed."""
    return serving.variant("wider", lambda document: document["ssh"]["allowed_from"].append("192.0.2.0/24"))


@pytest.fixture(scope="module")
def cut_off(serving: Fleet, wider: Path) -> CutOff:
    """Cut a host off while the new rules are on their way to all of them."""
    before = serving.instance(FAR)["instance_id"]
    run = serving.start_apply(file=wider)
    run.wait_line(f"{FAR}: deploy started")
    serving.ask("POST", f"instances/{FAR}/isolate")
    ended = run.end()
    waiting = serving.apply(file=wider)
    alone = serving.instance(FAR)["instance_id"] == before and waiting.code == 2 and " started: " not in waiting.err
    serving.ask("POST", f"instances/{FAR}/heal")
    again = serving.converge(file=wider)
    relays = {relay["name"]: relay for relay in ended.document["relays"]}
    return CutOff(ended.code, relays, ended.err, alone, again.err)


def test_the_others_finish_when_one_host_is_lost_in_the_middle(cut_off: CutOff) -> None:
    assert cut_off.code == 2
    assert f"{FAR}: deploy lost" in cut_off.lines
    assert {name for name, relay in cut_off.relays.items() if relay["digest"]} == {FIRST, SECOND, THIRD, FARTHER}


def test_a_lost_host_is_unknown_and_left_alone(cut_off: CutOff) -> None:
    assert (cut_off.relays[FAR]["phase"], cut_off.relays[FAR]["health"]) == ("unknown", "unknown")
    assert cut_off.left_alone


def test_a_lost_host_is_planned_again_once_it_answers(cut_off: CutOff) -> None:
    assert f"{FAR}: deploy done" in cut_off.again


def test_good_rules_are_kept_by_a_new_connection(serving: Fleet, cut_off: CutOff) -> None:
    for name in (FIRST, FAR):
        assert "192.0.2.0/24" in serving.shell(name, f"cat {FIREWALL}")
        assert "192.0.2.0/24" in serving.shell(name, "nft list table inet genesis_fleet")
        assert serving.shell(name, "systemctl list-timers --all --no-legend 'genesis-fleet-firewall*'") == ""


def test_rules_that_would_lock_us_out_undo_themselves_and_are_reported(serving: Fleet, wider: Path) -> None:
    locked = serving.variant("locked", lambda document: document["ssh"].update(allowed_from=["192.0.2.0/24"]))
    seconds = json.dumps({"genesis_firewall_seconds": 4})
    rules = serving.shell(SECOND, "nft list table inet genesis_fleet")
    done = serving.ansible("deploy", "--limit", SECOND, "-e", seconds, file=locked)
    assert recap(done.stdout)[SECOND]["failed"] == 1
    assert "the new rules were undone before a new connection confirmed them" in done.stdout
    assert serving.shell(SECOND, "nft list table inet genesis_fleet") == rules
    assert serving.relays()[SECOND]["phase"] == "serving"
    planned = serving.run("plan", "--json", file=wider)
    assert (planned.code, planned.document["actions"]) == (0, [])
