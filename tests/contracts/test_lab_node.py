"""The lab node as a process on loopback: what a fleet relies on in a real node has to hold in this one."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pytest

from orchestrator.lab.node.block import SMALLEST_BODY
from orchestrator.lab.node.faults import Fork, Hang, Slow, Stall, WrongMagic
from orchestrator.ouroboros.client import ProbeTimeouts, run_probes
from orchestrator.ouroboros.targets import Target
from orchestrator.ouroboros.verdicts import Verdict
from tests.lab_node_process import MAGIC, METRICS_PORT, PORT, ROOT, LabNode, start_forger_and_follower, until


def start_partners(make_node: Callable[..., LabNode]) -> tuple[LabNode, LabNode]:
    one, other = make_node(forge="0", issuers=2), make_node(forge="1", issuers=2)
    one.name_peers(other)
    other.name_peers(one)
    return one.start(), other.start()


def test_blocks_of_partners_reach_relays_through_relays(make_node: Callable[..., LabNode]) -> None:
    one, other = start_partners(make_node)
    near, far = make_node(issuers=2), make_node(issuers=2)
    near.name_peers(one, other)
    far.name_peers(near)
    near.start()
    far.start()
    until(lambda: far.block() >= 5, "the relay behind the relay has five blocks")
    until(lambda: len({node.tip() for node in (one, other, near, far)}) == 1, "all four show one tip")


def test_a_relay_without_peers_has_no_tip_until_a_reload_names_some(make_node: Callable[..., LabNode]) -> None:
    partner, relay = make_node(forge="0").start(), make_node().start()
    until(lambda: partner.block() >= 2, "the partner makes blocks")
    until(relay.serves, "the relay answers")
    assert relay.block() == 0
    assert "slotNum" not in relay.metrics()
    relay.name_peers(partner)
    relay.send(signal.SIGHUP)
    until(lambda: relay.block() >= 2, "the relay follows the partner")
    assert "Performing topology configuration update" in relay.output()
    assert "Local Root Groups:\n  (HotValency {getHotValency = 1}" in relay.output()
    assert "slotNum_int" in relay.metrics()


def test_a_peer_that_a_reload_drops_is_followed_no_more(make_node: Callable[..., LabNode]) -> None:
    partner, relay = make_node(forge="0").start(), make_node()
    relay.name_peers(partner)
    relay.start()
    until(lambda: relay.block() >= 2, "the relay follows")
    relay.name_peers()
    relay.send(signal.SIGHUP)
    until(lambda: "outboundConns_int 0" in relay.metrics(), "the connection is gone")
    left_at = relay.block()
    until(lambda: partner.block() > left_at + 5, "the partner goes on")
    assert relay.block() == left_at


def test_a_bad_topology_on_reload_is_told_on_stderr_and_changes_nothing(make_node: Callable[..., LabNode]) -> None:
    partner, relay = make_node(forge="0").start(), make_node()
    relay.name_peers(partner)
    relay.start()
    until(lambda: relay.block() >= 2, "the relay follows")
    (relay.folder / "topology.json").write_text('{"localRoots": [')
    relay.send(signal.SIGHUP)
    until(lambda: "Is your topology file formatted correctly?" in relay.output("err"), "the refusal is told")
    assert "Local Root Groups" not in relay.output()
    seen = relay.block()
    until(lambda: relay.block() > seen + 2, "the relay follows as before")


def test_two_partners_apart_make_two_chains_and_agree_when_joined(make_node: Callable[..., LabNode]) -> None:
    one, other = make_node(forge="0", issuers=2).start(), make_node(forge="1", issuers=2).start()
    until(lambda: one.block() >= 5 and other.block() >= 5, "each has a chain of its own")
    assert one.tip() != other.tip()
    other.name_peers(one)
    one.name_peers(other)
    for node in (one, other):
        node.send(signal.SIGHUP)
    until(lambda: one.tip() == other.tip(), "one chain is left")
    assert "Switched to a fork" in one.output() + other.output()


def test_a_clean_stop_leaves_the_marker_and_the_chain(make_node: Callable[..., LabNode]) -> None:
    node = make_node(forge="0").start()
    until(lambda: node.block() >= 3, "blocks are made")
    assert not node.marker()
    assert node.stop(signal.SIGINT) == 0
    assert node.marker()
    kept = len((node.folder / "db" / "immutable" / "headers.log").read_bytes())
    node.forge = ""
    node.start()
    until(node.serves, "it answers again")
    assert node.block() >= 3
    assert not node.marker()
    assert len((node.folder / "db" / "immutable" / "headers.log").read_bytes()) == kept
    assert "blockNum" not in node.metrics(), "no metric of the tip before the chain has grown"
    assert node.stop(signal.SIGTERM) == 0


def test_a_killed_node_replays_longer_with_its_port_closed_and_says_how_far(make_node: Callable[..., LabNode]) -> None:
    node = make_node(forge="0", environment={"GENESIS_LAB_REPLAY_UNCLEAN_SECONDS": "3600"}).start()
    until(lambda: node.block() >= 1, "blocks are made")
    node.stop(signal.SIGKILL)
    assert not node.marker()
    node.start()
    until(lambda: "LastShutdownUnclean" in node.output(), "it noticed")
    until(lambda: _metrics_or_nothing(node) is not None, "metrics are served")
    progress = re.search(r"^cardano_node_metrics_blockReplayProgress_real (\S+)$", node.metrics(), re.MULTILINE)
    assert progress is not None
    assert 0 <= float(progress.group(1)) < 1
    assert node.probe().verdict is Verdict.REFUSED
    node.send(signal.SIGHUP)
    assert node.stop(signal.SIGINT) == 0
    assert not node.marker(), "stopped while starting: the marker stays as it was"


def _metrics_or_nothing(node: LabNode) -> str | None:
    try:
        return node.metrics()
    except urllib.error.URLError:
        return None


def test_a_full_node_lets_connect_but_does_not_shake_hands(make_node: Callable[..., LabNode]) -> None:
    node = make_node()
    node.change_file("config.json", AcceptedConnectionsLimit={"hardLimit": 2, "softLimit": 2, "delay": 0.1})
    node.start()
    until(node.serves, "it answers")
    until(lambda: "inboundConns_int 0" in node.metrics(), "the probe has left")
    short = ProbeTimeouts(handshake=timedelta(seconds=0.5))
    with (
        socket.create_connection((node.address, PORT)) as first,
        socket.create_connection((node.address, PORT)),
    ):
        until(lambda: "inboundConns_int 2" in node.metrics(), "both are in")
        assert node.probe(timeouts=short).verdict is Verdict.HANDSHAKE_TIMEOUT
        first.close()
        until(node.serves, "there is room again")


def test_a_slow_stop_closes_the_port_and_goes_on_for_as_long_as_told(make_node: Callable[..., LabNode]) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    (node.folder / "db" / "lab-stop-seconds").write_text("3600")
    node.send(signal.SIGTERM)
    until(lambda: node.probe().verdict is Verdict.REFUSED, "the port is closed")
    assert node.process is not None
    assert node.process.poll() is None
    assert not node.marker()


def test_sigusr1_only_tells_who_is_connected(make_node: Callable[..., LabNode]) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    node.send(signal.SIGUSR1)
    until(lambda: "Net.ConnectionManager.Remote.State" in node.output(), "the connections are told")
    assert node.serves()


def test_an_address_that_is_not_ours_is_refused_by_name(make_node: Callable[..., LabNode]) -> None:
    node = make_node()
    node.address = "192.0.2.1"
    node.start()
    assert node.process is not None
    assert node.process.wait(timeout=20) == 1
    assert "192.0.2.1 port 3001" in node.output("err")


def test_a_second_node_on_the_same_database_is_stopped_by_the_lock(make_node: Callable[..., LabNode]) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    first, node.process = node.process, None
    assert node.start().process is not None
    assert node.process.wait(timeout=20) == 1
    assert "is locked" in node.output("err")
    node.process = first


def test_a_genesis_file_other_than_stated_is_refused(make_node: Callable[..., LabNode]) -> None:
    node = make_node()
    node.change_file("config.json", ShelleyGenesisHash="00" * 32)
    node.start()
    assert node.process is not None
    assert node.process.wait(timeout=20) == 1
    assert "Wrong Shelley genesis file" in node.output("err")


@pytest.mark.parametrize(("version", "negotiated"), [("10.4.1", 14), ("10.5.1", 14), ("10.6.0", 15), ("11.0.1", 15)])
def test_each_release_offers_its_wire_versions(
    make_node: Callable[..., LabNode], version: str, negotiated: int
) -> None:
    node = make_node(version=version).start()
    until(node.serves, "it answers")
    assert node.probe().negotiated_version == negotiated


def test_another_magic_is_refused_in_the_handshake(make_node: Callable[..., LabNode]) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    assert run_probes([Target(node.address, PORT)], 1)[0].verdict is Verdict.WRONG_MAGIC


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/metrics?x=1", {}, 404), ("/", {}, 404), ("/metrics", {"Accept": "application/json"}, 415)],
)
def test_the_new_metrics_server_is_strict(
    make_node: Callable[..., LabNode], path: str, headers: dict[str, str], status: int
) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    with pytest.raises(urllib.error.HTTPError) as refused:
        node.metrics(path, **headers)
    assert refused.value.code == status
    refused.value.close()


def test_a_release_with_legacy_tracing_speaks_the_legacy_dialect(make_node: Callable[..., LabNode]) -> None:
    node = make_node(version="10.5.1", forge="0")
    node.change_file(
        "config.json", UseTraceDispatcher=False, hasPrometheus=[node.address, METRICS_PORT], TraceOptions=None
    )
    node.start()
    until(lambda: node.block() >= 1, "blocks are made")
    text = node.metrics("/metrics?anything", Accept="application/json")
    assert 'cardano_build_info {version_major="10"' in text
    assert "connectionManager_incomingConns" in text
    assert "# EOF" not in text


def test_a_follower_has_the_blocks_and_serves_them_on(make_node: Callable[..., LabNode]) -> None:
    _, near = start_forger_and_follower(make_node)
    far = make_node()
    far.name_peers(near)
    far.start()
    until(lambda: far.block() >= 3, "blocks come through the follower")
    served = re.search(r"^cardano_node_metrics_served_block_counter (\d+)$", near.metrics(), re.MULTILINE)
    assert served is not None
    assert int(served.group(1)) >= 3
    assert (far.folder / "db" / "immutable" / "bodies.log").stat().st_size > 3 * SMALLEST_BODY


def test_a_stalled_node_answers_with_the_tip_it_had_until_cleared(make_node: Callable[..., LabNode]) -> None:
    forger, follower = start_forger_and_follower(make_node)
    follower.tell(Stall())
    until(lambda: "Lab.Fault" in follower.output(), "it heard")
    stalled = follower.tip()
    until(lambda: forger.block() > follower.block() + 5, "the others go on")
    assert follower.tip() == stalled
    follower.tell(None)
    until(lambda: forger.block() - follower.block() <= 1, "it comes back")


def test_a_hanging_node_lets_connect_and_says_nothing_until_cleared(make_node: Callable[..., LabNode]) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    node.tell(Hang())
    short = ProbeTimeouts(handshake=timedelta(seconds=0.5))
    until(lambda: node.probe(timeouts=short).verdict is Verdict.HANDSHAKE_TIMEOUT, "it hangs")
    assert re.search(r"inboundConns_int [01]$", node.metrics(), re.MULTILINE), "it is not full"
    node.tell(None)
    until(node.serves, "it answers again")


def test_a_node_of_another_network_is_told_as_such_until_cleared(make_node: Callable[..., LabNode]) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    node.tell(WrongMagic())
    until(lambda: node.probe().verdict is Verdict.WRONG_MAGIC, "it is of another network")
    node.tell(None)
    until(node.serves, "it is of ours again")


def test_a_slow_node_answers_late(make_node: Callable[..., LabNode]) -> None:
    node = make_node().start()
    until(node.serves, "it answers")
    node.tell(Slow(0.4))
    until(lambda: (node.probe().handshake_rtt_seconds or 0) >= 0.4, "its answers are late")
    assert node.serves()


def test_a_fork_stays_with_its_maker_who_comes_back_when_cleared(make_node: Callable[..., LabNode]) -> None:
    forger, forked = start_forger_and_follower(make_node)
    behind = make_node()
    behind.name_peers(forked, forger)
    behind.start()
    until(lambda: behind.block() >= 2, "its neighbour follows")
    common = forked.tip()
    assert common is not None
    forked.tell(Fork("lone", time.time()))
    until(lambda: forked.block() > common.block + 6, "its own chain grows")
    until(lambda: "the genesis knows no issuer" in behind.output(), "its neighbour refuses it")
    assert not forked.has_tip_of(behind)
    until(lambda: behind.block() > common.block + 6, "its neighbour follows the others")
    assert forger.has_tip_of(behind)
    forked.tell(None)
    until(lambda: forger.has_tip_of(forked), "it comes back")


def test_nodes_of_one_fork_make_one_chain_though_told_at_different_times(make_node: Callable[..., LabNode]) -> None:
    _, one = start_forger_and_follower(make_node)
    other = make_node()
    other.name_peers(one)
    other.start()
    until(lambda: other.block() >= 2, "both follow")
    fork = Fork("ours", time.time())
    one.tell(fork)
    until(lambda: "the genesis knows no issuer" in other.output(), "the other has seen the fork, and refused it")
    other.name_peers()
    other.send(signal.SIGHUP)
    other.tell(fork)
    until(lambda: one.tip() == other.tip(), "one chain, without a connection")


def test_a_crowd_fills_a_node_to_its_hard_limit_and_leaves_no_room_until_it_goes(
    make_node: Callable[..., LabNode],
) -> None:
    node = make_node()
    node.change_file("config.json", AcceptedConnectionsLimit={"hardLimit": 6, "softLimit": 4, "delay": 0.1})
    node.start()
    until(node.serves, "it answers")
    crowd = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.lab.crowd", node.address, str(PORT), str(MAGIC)], cwd=ROOT
    )
    try:
        until(lambda: "inboundConns_int 6" in node.metrics(), "it is full")
        short = ProbeTimeouts(handshake=timedelta(seconds=0.5))
        assert node.probe(timeouts=short).verdict is Verdict.HANDSHAKE_TIMEOUT
        assert "inboundConns_int 6" in node.metrics(), "and not fuller than it may be"
    finally:
        crowd.kill()
        crowd.wait()
    until(node.serves, "there is room again")


def test_local_roots_of_a_reload_are_skipped_while_the_tip_is_too_old_though_success_is_logged(
    make_node: Callable[..., LabNode],
) -> None:
    maker, bootstrap, wary = make_node(forge="0").start(), make_node(), make_node()
    until(lambda: maker.block() >= 2, "blocks are made")
    bootstrap.start()
    until(bootstrap.serves, "there is a bootstrap peer, who has no chain yet")
    wary.name_peers(bootstraps=[bootstrap])
    wary.start()
    until(wary.serves, "it answers")
    until(lambda: "outboundConns_int 1" in wary.metrics(), "it follows its bootstrap peer")
    wary.name_peers(maker, bootstraps=[bootstrap])
    wary.send(signal.SIGHUP)
    until(lambda: f"[({maker.address}:{PORT}," in wary.output(), "the log has the new local roots")
    assert "peerSelection_KnownPeers_int 1" in wary.metrics(), "and yet they are not known"
    bootstrap.name_peers(maker)
    bootstrap.send(signal.SIGHUP)
    until(lambda: "outboundConns_int 2" in wary.metrics(), "once its tip is fresh, they are")
