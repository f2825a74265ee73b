"""`topology check` and `topology consumer`: streams, exit codes, files, and what is asked of whom."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.cli.consumer import needs_a_look, pick_bootstrap, read_agreed_slot
from orchestrator.errors import FleetError
from orchestrator.fleet.chain import ChainPoint
from orchestrator.planning.plan import Health, Phase, Plan, RelayView
from orchestrator.rendering.consumer import ConsumerKind
from orchestrator.rendering.values import AccessPoint
from orchestrator.spec.load import parse_fleet
from orchestrator.spec.model import FleetSpec
from orchestrator.spec.policies import PublishSpec
from tests.command_line import LAB_FLEET, Run, make_run
from tests.topology_texts import NEW_SNAPSHOT, OLD_SNAPSHOT, topology, with_group, with_snapshot

NAMES = "  names: [{address: backbone.demo.example}]\n"
LAB_MAGIC = 4242


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document, indent=1))
    return path


# check


def test_a_topology_without_a_trap_ends_with_0_and_says_for_which_nodes(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "topology.json", topology())
    ended = run("topology", "check", path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"{path}: 0 errors, 0 notes; checked for every node from 10.5 on (no --node-version was given)\n"
    )


def test_an_error_ends_with_1_and_names_file_line_code_and_place(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "topology.json", with_group(trustible=True))
    ended = run("topology", "check", path, "--node-version", "v11.0.1")
    assert ended.code == 1
    first, total = ended.out.splitlines()
    line = 1 + next(n for n, text in enumerate(path.read_text().splitlines()) if "trustible" in text)
    assert first.startswith(f"{path}:{line}: error unknown-key: localRoots[0].trustible: unknown key")
    assert total == f"{path}: 1 error, 0 notes; checked for node 11.0.1"


def test_notes_do_not_count(run: Run, tmp_path: Path) -> None:
    ended = run("topology", "check", write(tmp_path / "topology.json", topology(useLedgerAfterSlot=1.5)))
    assert (ended.code, ended.out.count(": note ")) == (0, 1)


def test_one_bad_file_among_good_ones_fails_all(run: Run, tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.json", topology()), write(tmp_path / "bad.json", [])
    ended = run("topology", "check", good, bad, tmp_path / "none.json", "--json")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 1
    assert [[finding["code"] for finding in line["findings"]] for line in lines] == [
        [],
        ["not-a-topology"],
        ["unreadable"],
    ]


def test_json_carries_everything_that_the_text_does(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "topology.json", [])
    assert run("topology", "check", path, "--json").document == {
        "file": str(path),
        "node_version": None,
        "consensus_mode": None,
        "findings": [
            {
                "code": "not-a-topology",
                "severity": "error",
                "line": 1,
                "path": "",
                "sentence": "the file is an array, not an object; the node needs localRoots and publicRoots in it",
            }
        ],
    }


def test_standard_input_is_read_on_request(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(json.dumps(with_snapshot()).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    ended = run("topology", "check", "-")
    assert (ended.code, ended.out.partition(":")[0]) == (0, "-")


def test_a_folder_is_no_topology(run: Run, tmp_path: Path) -> None:
    ended = run("topology", "check", tmp_path)
    assert (ended.code, "it is no file" in ended.out) == (1, True)


@pytest.mark.parametrize(("version", "code"), [("10.6.2", 0), ("10.7.0", 1)])
def test_the_snapshot_beside_the_topology_is_read(run: Run, tmp_path: Path, version: str, code: int) -> None:
    write(tmp_path / "peer-snapshot.json", OLD_SNAPSHOT)
    path = write(tmp_path / "topology.json", with_snapshot())
    ended = run("topology", "check", path, "--node-version", version)
    assert (ended.code, "snapshot-format" in ended.out) == (code, bool(code))


def test_a_snapshot_that_is_not_there_is_noted(run: Run, tmp_path: Path) -> None:
    ended = run("topology", "check", write(tmp_path / "topology.json", with_snapshot()))
    assert ended.code == 0
    assert "note snapshot-missing" in ended.out


def test_the_node_s_configuration_says_mode_targets_and_network(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "shelley.json", {"networkMagic": 7})
    config = {"ConsensusMode": "GenesisMode", "TargetNumberOfKnownPeers": 1, "ShelleyGenesisFile": "shelley.json"}
    write(tmp_path / "config.json", config)
    write(tmp_path / "peer-snapshot.json", NEW_SNAPSHOT)
    path = write(tmp_path / "topology.json", with_snapshot())
    ended = run("topology", "check", path, "--json", "--config", tmp_path / "config.json")
    codes = {finding["code"] for finding in ended.document["findings"]}
    assert codes == {"bootstrap-dropped", "too-many-local-roots", "snapshot-network", "snapshot-format"}
    assert ended.document["consensus_mode"] == "GenesisMode"


def test_a_configuration_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "topology.json", topology())
    ended = run("topology", "check", path, "--config", write(tmp_path / "config.json", 3))
    assert (ended.code, ended.out) == (1, "")
    assert "config.json is no JSON object" in ended.err


def test_a_node_that_names_itself_is_told(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "topology.json", topology())
    ended = run("topology", "check", path, "--itself", "192.0.2.1:3001")
    assert (ended.code, "names-itself" in ended.out) == (1, True)


@pytest.mark.parametrize("options", [("--node-version", "new"), ("--itself", "192.0.2.1"), ("--magic", "-1"), ()])
def test_wrong_usage_of_the_check_checks_nothing(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    files = [write(tmp_path / "topology.json", topology())] if options else []
    ended = run("topology", "check", *files, *options)
    assert (ended.code, ended.out) == (64, "")


# consumer


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Return a fleet with a name of its own, and a network whose genesis says everything."""
    return write_named_fleet(tmp_path / "fleet", NAMES)


def write_named_fleet(folder: Path, names: str, snapshot: dict[str, Any] | None = None) -> Path:
    shutil.copytree(LAB_FLEET.parent / "network", folder / "network")
    further = ""
    if snapshot is not None:
        write(folder / "network" / "snapshot.json", snapshot | {"NetworkMagic": LAB_MAGIC})
        further = "topology: {peer_snapshot: snapshot.json, use_ledger_after_slot: 0}\n"
    path = folder / "fleet.yaml"
    text = LAB_FLEET.read_text(encoding="utf-8").replace("publish:\n", f"publish:\n{names}")
    path.write_text(text + further, encoding="utf-8")
    return path


def consumer(run: Run, fleet: Path, *arguments: str | Path) -> Any:
    return run("--fleet", fleet, "topology", "consumer", "--agreed-slot", "900000", "--for", *arguments)


@pytest.mark.parametrize("kind", ConsumerKind)
def test_the_topology_goes_to_stdout_and_passes_the_check(
    run: Run, fleet: Path, tmp_path: Path, kind: ConsumerKind
) -> None:
    own = () if kind is ConsumerKind.NEW_NODE else ("--local-root", "198.51.100.7:3001")
    ended = consumer(run, fleet, kind, *own)
    assert (ended.code, ended.err) == (0, "")
    path = tmp_path / "topology.json"
    path.write_text(ended.out)
    assert run("topology", "check", path).code == 0


def test_names_of_the_fleet_come_first_and_partners_after_them(run: Run, fleet: Path) -> None:
    addresses = [peer["address"] for peer in consumer(run, fleet, "new-node").document["bootstrapPeers"]]
    assert addresses == ["backbone.demo.example", "10.204.0.10", "10.204.0.11"]


def test_the_ledger_is_used_from_the_start_of_a_settled_epoch(run: Run, fleet: Path) -> None:
    # 108000 slots an epoch, 32400 of them until a block is settled.
    assert consumer(run, fleet, "new-node").document["useLedgerAfterSlot"] == 864_000


def test_with_a_folder_topology_and_snapshot_are_written_into_it(run: Run, tmp_path: Path) -> None:
    fleet = write_named_fleet(tmp_path / "fleet", NAMES, NEW_SNAPSHOT)
    ended = consumer(run, fleet, "new-node", "--node-version", "11.0.1", "-o", tmp_path / "out")
    assert (ended.code, ended.out) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["peer-snapshot.json", "topology.json"]
    checked = run(
        "topology", "check", tmp_path / "out" / "topology.json", "--node-version", "11.0.1", "--magic", "4242"
    )
    assert (checked.code, checked.out.count("note")) == (0, 1)


def test_a_snapshot_of_the_wrong_format_is_left_out_with_a_word(run: Run, tmp_path: Path) -> None:
    fleet = write_named_fleet(tmp_path / "fleet", NAMES, NEW_SNAPSHOT)
    ended = consumer(run, fleet, "relay", "--node-version", "10.6.2", "-o", tmp_path / "out")
    assert "the peer snapshot is left out: the peer snapshot is written for node 10.7" in ended.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["topology.json"]


def test_on_stdout_a_topology_names_no_file_that_is_nowhere(run: Run, tmp_path: Path) -> None:
    fleet = write_named_fleet(tmp_path / "fleet", NAMES, NEW_SNAPSHOT)
    ended = consumer(run, fleet, "new-node", "--node-version", "11.0.1")
    assert "peerSnapshotFile" not in ended.document
    assert "no folder to put it into" in ended.err


def test_json_holds_all_files(run: Run, tmp_path: Path) -> None:
    fleet = write_named_fleet(tmp_path / "fleet", NAMES, NEW_SNAPSHOT)
    document = consumer(run, fleet, "new-node", "--node-version", "11.0.1", "--json").document
    assert (document["for"], document["node_version"]) == ("new-node", "11.0.1")
    assert list(document["files"]) == ["peer-snapshot.json", "topology.json"]
    assert json.loads(document["files"]["topology.json"])["peerSnapshotFile"] == "peer-snapshot.json"


def test_nothing_is_overwritten_unless_forced(run: Run, fleet: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "topology.json", "mine")
    refused = consumer(run, fleet, "new-node", "-o", tmp_path)
    assert (refused.code, "topology.json exists already" in refused.err) == (1, True)
    assert json.loads(path.read_text()) == "mine"
    assert consumer(run, fleet, "new-node", "-o", tmp_path, "--force").code == 0
    assert "bootstrapPeers" in json.loads(path.read_text())
    assert [entry.name for entry in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("block-producer",),
        ("new-node", "--local-root", "192.0.2.1:3001"),
        ("relay", "--local-root", "192.0.2.1"),
        ("moon",),
    ],
)
def test_wrong_usage_of_consumer_writes_nothing(run: Run, fleet: Path, arguments: tuple[str, ...]) -> None:
    ended = consumer(run, fleet, *arguments)
    assert (ended.code, ended.out) == (64, "")


def test_a_node_that_is_too_old_for_bootstrap_peers_is_refused(run: Run, fleet: Path) -> None:
    ended = consumer(run, fleet, "new-node", "--node-version", "8.8.0")
    assert (ended.code, ended.out) == (1, "")
    assert "bootstrapPeers came with node 8.9" in ended.err


def test_the_fleet_is_asked_only_for_what_is_not_known(fleet: Path, tmp_path: Path) -> None:
    named, nameless = parse_fleet(fleet), nameless_fleet()
    asks = {
        (kind, spec is named, slot is not None): needs_a_look(kind, spec, slot)
        for kind in ConsumerKind
        for spec in (named, nameless)
        for slot in (None, 5)
    }
    assert {key for key, look in asks.items() if look} == {
        *((kind, named, False) for kind in (ConsumerKind.NEW_NODE, ConsumerKind.RELAY) for named in (True, False)),
        *((kind, False, True) for kind in (ConsumerKind.NEW_NODE, ConsumerKind.RELAY)),
        *((ConsumerKind.TOOLING, False, known) for known in (True, False)),
    }


def nameless_fleet() -> FleetSpec:
    return parse_fleet(LAB_FLEET).model_copy(update={"publish": PublishSpec()})


def view(name: str, address: str | None, *, published: bool) -> RelayView:
    return RelayView(name, "eu", Phase.SERVING, Health.HEALTHY, "", address=address, published=published)


def plan(*relays: RelayView, agreed_tip: ChainPoint | None = None) -> Plan:
    return Plan(relays, (), (), agreed_tip=agreed_tip)


def test_without_names_consumers_are_given_the_addresses_of_published_relays() -> None:
    spec = nameless_fleet()
    relays = (
        view("one", "192.0.2.1", published=True),
        view("two", "192.0.2.2", published=False),
        view("three", None, published=True),
    )
    points = pick_bootstrap(spec, plan(*relays))
    assert points == (
        AccessPoint("192.0.2.1", 3001),
        AccessPoint("10.204.0.10", 3001),
        AccessPoint("10.204.0.11", 3001),
    )


def test_a_fleet_with_one_name_is_found_by_it() -> None:
    assert pick_bootstrap(parse_fleet(LAB_FLEET), None)[0] == AccessPoint("relays.demo.lab", 3001)


def test_partners_alone_are_not_passed_off_as_this_fleet() -> None:
    with pytest.raises(FleetError, match="none of its relays is published"):
        pick_bootstrap(nameless_fleet(), plan(view("two", "192.0.2.2", published=False)))


def test_the_agreed_slot_is_that_of_the_agreed_tip() -> None:
    assert read_agreed_slot(plan(agreed_tip=ChainPoint(77, "ab" * 32))) == 77


def test_without_an_agreed_tip_the_way_out_is_named() -> None:
    with pytest.raises(FleetError, match="agree on no block") as refused:
        read_agreed_slot(plan())
    assert "--agreed-slot" in refused.value.next_step
