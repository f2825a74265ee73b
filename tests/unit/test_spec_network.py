"""The network folder and the clock it sets; and the whole of `load_fleet`, with findings of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import NetworkFolderInvalid, SpecInvalid
from orchestrator.spec.load import load_fleet, parse_fleet
from orchestrator.spec.network import WHERE_TO_GET_IT, load_network
from tests.spec_texts import AWS, blake2b, edit, write_network


def write_fleet(folder: Path, text: str = AWS) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return path


def findings(path: Path) -> list[str]:
    with pytest.raises(SpecInvalid) as caught:
        load_fleet(path)
    return [line.removeprefix(str(path)) for line in caught.value.findings]


def named(text: str, name: str) -> str:
    """The same fleet on a network of its own, which nothing is known about."""
    return edit(text, "name: preview", f"name: {name}")


def test_a_fleet_with_its_network_folder_is_loaded(tmp_path: Path) -> None:
    write_network(tmp_path / "network")
    fleet = load_fleet(write_fleet(tmp_path))
    assert fleet.spec.fleet == "demo"
    assert (fleet.slot_zero_unix, fleet.slot_length_seconds) == (1666656000, 1)
    assert fleet.base == tmp_path
    assert sorted(fleet.network_files.genesis) == [
        "alonzo-genesis.json",
        "byron-genesis.json",
        "conway-genesis.json",
        "shelley-genesis.json",
    ]
    assert json.loads(fleet.network_files.config_json)["Protocol"] == "Cardano"


def test_a_missing_folder_is_the_one_finding_and_says_where_to_get_it(tmp_path: Path) -> None:
    assert findings(write_fleet(tmp_path)) == [
        ':5: network.folder: found no folder "network", expected config.json and its genesis files in it: '
        + WHERE_TO_GET_IT
    ]


def test_a_missing_fleet_file_says_how_to_start(tmp_path: Path) -> None:
    assert findings(tmp_path / "fleet.yaml") == [
        ": found no such file, expected a fleet file: `genesis-fleet init` writes one to start from"
    ]


def test_a_folder_is_no_fleet_file(tmp_path: Path) -> None:
    assert findings(tmp_path) == [": found is a directory, expected a fleet file that can be read"]


def test_the_fleet_file_alone_is_read_without_its_folder(tmp_path: Path) -> None:
    assert parse_fleet(write_fleet(tmp_path)).network.name == "preview"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"ShelleyGenesisHash": "0" * 64}, "found shelley-genesis.json with the hash {shelley}, expected '000000000000000000000"),
        ({"ByronGenesisHash": "0" * 64}, "found byron-genesis.json with the hash {byron}, expected '0000000000000000000000000000"),
        ({"ConwayGenesisHash": None}, "found no ConwayGenesisHash in config.json, expected the hash of conway-genesis.json"),
        ({"AlonzoGenesisFile": None}, "found no AlonzoGenesisFile in config.json, expected it: the node does not start without"),
        ({"AlonzoGenesisFile": "gone.json"}, "found no file gone.json in {folder}, expected it: download it from"),
        ({"AlonzoGenesisFile": "../x.json"}, 'found "../x.json" as AlonzoGenesisFile in config.json, expected the plain name'),
        ({"AlonzoGenesisFile": "/etc/passwd"}, 'found "/etc/passwd" as AlonzoGenesisFile in config.json, expected the plain'),
        ({"AlonzoGenesisFile": "topology.json"}, 'found "topology.json" as AlonzoGenesisFile in config.json, expected the pla'),
        ({"AlonzoGenesisFile": 3}, "found 3 as AlonzoGenesisFile in config.json, expected the plain name of a file in this"),
        ({"DijkstraGenesisFile": "gone.json"}, "found no file gone.json in {folder}, expected it: download it from"),
        ({"CheckpointsFile": "checkpoints.json"}, "found no file checkpoints.json in {folder}, expected it: download it from"),
    ],
)  # fmt: skip
def test_each_thing_wrong_with_config_json_is_one_finding_at_the_folder(
    tmp_path: Path, config: dict[str, object], expected: str
) -> None:
    folder = tmp_path / "network"
    write_network(folder, **config)
    hashes = {era: blake2b((folder / f"{era}-genesis.json").read_bytes()) for era in ("byron", "shelley")}
    found = findings(write_fleet(tmp_path))
    assert len(found) == 1
    assert found[0].startswith(":5: network.folder: " + expected.format(folder=folder, **hashes)), found


def test_a_genesis_file_with_one_more_blank_is_another_network(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    write_network(folder)
    genesis = folder / "conway-genesis.json"
    stated = blake2b(genesis.read_bytes())
    genesis.write_bytes(genesis.read_bytes() + b" ")
    actual = blake2b(genesis.read_bytes())
    expected = f"found conway-genesis.json with the hash {actual}, expected '{stated}' as config.json states"
    assert findings(write_fleet(tmp_path)) == [f":5: network.folder: {expected} (ConwayGenesisHash)"]


def test_a_byron_genesis_laid_out_anew_is_the_same_network(tmp_path: Path) -> None:
    write_network(tmp_path / "network")
    genesis = tmp_path / "network/byron-genesis.json"
    genesis.write_text(json.dumps(json.loads(genesis.read_text()), indent=4))
    assert load_fleet(write_fleet(tmp_path))


def test_checkpoints_are_carried_along_and_their_hash_is_checked(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    content = b'{"checkpoints": []}'
    write_network(folder, CheckpointsFile="checkpoints.json", CheckpointsFileHash=blake2b(content))
    (folder / "checkpoints.json").write_bytes(content)
    assert load_fleet(write_fleet(tmp_path)).network_files.genesis["checkpoints.json"] == content.decode()
    (folder / "checkpoints.json").write_bytes(b"{}")
    assert findings(write_fleet(tmp_path))[0].startswith(":5: network.folder: found checkpoints.json with the hash ")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[1]", ":5: network.folder: found config.json that is a list, expected a JSON object"),
        (b"{", ":5: network.folder: found config.json that is not JSON (Expecting property name"),
        (b"\xff", ":5: network.folder: found config.json that is not JSON ('utf-8' codec can't decode byte 0xff"),
        (b"[" * 100_000, ":5: network.folder: found config.json that is not JSON (maximum recursion depth"),
    ],
)
def test_a_config_that_is_no_object_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    write_network(tmp_path / "network")
    (tmp_path / "network/config.json").write_bytes(content)
    found = findings(write_fleet(tmp_path))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_a_byron_genesis_that_the_node_could_not_read_is_refused(tmp_path: Path) -> None:
    write_network(tmp_path / "network")
    (tmp_path / "network/byron-genesis.json").write_bytes(b'{"a": 1.5}')
    reason = "canonical JSON has only whole numbers, not 1.5"
    assert findings(write_fleet(tmp_path)) == [
        f":5: network.folder: found byron-genesis.json that the node cannot read ({reason}), expected canonical JSON"
    ]


def test_another_networks_genesis_files_are_findings_at_the_magic(tmp_path: Path) -> None:
    write_network(tmp_path / "network", magic=1)
    assert findings(write_fleet(tmp_path)) == [
        ":4: network.magic: found 2, expected 1, as networkMagic in shelley-genesis.json says",
        ":4: network.magic: found 2, expected 1, as protocolConsts.protocolMagic in byron-genesis.json says",
    ]


SNAPSHOT = "topology: {use_ledger_after_slot: 0, peer_snapshot: peers.json}\nssh:\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "found no file peers.json in {folder}, expected it: download it from"),
        ("[]", "found peers.json that is a list, expected a JSON object"),
        ('{"NetworkMagic": 1}', "found peers.json of the network with magic 1, expected 2"),
    ],
)
def test_a_peer_snapshot_that_the_node_would_refuse_is_refused(
    tmp_path: Path, content: str | None, expected: str
) -> None:
    folder = tmp_path / "network"
    write_network(folder)
    if content is not None:
        (folder / "peers.json").write_text(content)
    found = findings(write_fleet(tmp_path, edit(AWS, "ssh:\n", SNAPSHOT)))
    assert len(found) == 1
    assert found[0].startswith(":25: topology.peer_snapshot: " + expected.format(folder=folder))


def test_a_peer_snapshot_is_read(tmp_path: Path) -> None:
    write_network(tmp_path / "network")
    (tmp_path / "network/peers.json").write_text('{"NetworkMagic": 2}')
    fleet = load_fleet(write_fleet(tmp_path, edit(AWS, "ssh:\n", SNAPSHOT)))
    assert fleet.network_files.peer_snapshot == '{"NetworkMagic": 2}'


def test_a_peer_snapshot_stays_in_the_folder(tmp_path: Path) -> None:
    write_network(tmp_path / "network")
    found = findings(write_fleet(tmp_path, edit(AWS, "ssh:\n", SNAPSHOT.replace("peers.json", "../x"))))
    assert found == [
        ':25: topology.peer_snapshot: found "../x", expected the plain name of a file in the network folder'
    ]


def test_the_digest_changes_with_every_file(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    write_network(folder)
    path = write_fleet(tmp_path)
    before = load_fleet(path).network_files.digest
    assert load_fleet(path).network_files.digest == before
    write_network(folder, PeerSharing=True)
    assert load_fleet(path).network_files.digest != before


def test_the_clock_of_an_unknown_network_without_byron_era_starts_with_its_system(tmp_path: Path) -> None:
    write_network(tmp_path / "network")
    assert load_fleet(write_fleet(tmp_path, named(AWS, "mine"))).slot_zero_unix == 1666656000


def test_an_unknown_network_with_a_byron_era_needs_slot_zero(tmp_path: Path) -> None:
    write_network(tmp_path / "network", TestShelleyHardForkAtEpoch=None)
    expected = "the Unix time that slot 0 would have if all slots were as long as Shelley's"
    assert findings(write_fleet(tmp_path, named(AWS, "mine"))) == [
        f":2: network.slot_zero: found a network with a Byron era (mine), expected slot_zero: {expected}"
    ]
    told = edit(named(AWS, "mine"), "magic: 2", "magic: 2\n  slot_zero: 1234")
    assert load_fleet(write_fleet(tmp_path, told)).slot_zero_unix == 1234


def test_a_known_network_has_its_known_start_and_no_other(tmp_path: Path) -> None:
    write_network(tmp_path / "network", TestShelleyHardForkAtEpoch=None)
    told = edit(AWS, "magic: 2", "magic: 2\n  slot_zero: 1234")
    assert findings(write_fleet(tmp_path, told)) == [
        ":5: network.slot_zero: found 1234, expected 1666656000, the start of preview, or nothing"
    ]


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"slotLength": 0}, "found 0 as slotLength of the Shelley genesis, expected seconds"),
        ({"slotLength": "1"}, 'found "1" as slotLength of the Shelley genesis, expected seconds'),
        ({"systemStart": "2022-10-25T00:00:00"}, 'found "2022-10-25T00:00:00" as systemStart of the Shelley genesis, expected'),
        ({"systemStart": 5}, "found 5 as systemStart of the Shelley genesis, expected a time in UTC"),
    ],
)  # fmt: skip
def test_a_shelley_genesis_without_a_clock_is_refused(tmp_path: Path, member: dict[str, object], expected: str) -> None:
    folder = tmp_path / "network"
    write_network(folder)
    genesis = folder / "shelley-genesis.json"
    genesis.write_text(json.dumps(json.loads(genesis.read_text()) | member))
    write_network_with = json.loads((folder / "config.json").read_text())
    write_network_with["ShelleyGenesisHash"] = blake2b(genesis.read_bytes())
    (folder / "config.json").write_text(json.dumps(write_network_with))
    found = findings(write_fleet(tmp_path, named(AWS, "mine")))
    assert len(found) == 1
    assert found[0].startswith(":5: network.folder: " + expected)


def test_a_lab_may_have_short_slots_and_a_start_between_seconds(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    write_network(folder)
    genesis = b'{"networkMagic": 2, "systemStart": "2022-10-25T00:00:00.5Z", "slotLength": 0.2}'
    config = json.loads((folder / "config.json").read_text()) | {"ShelleyGenesisHash": blake2b(genesis)}
    (folder / "shelley-genesis.json").write_bytes(genesis)
    (folder / "config.json").write_text(json.dumps(config))
    fleet = load_fleet(write_fleet(tmp_path, named(AWS, "mine")))
    assert (fleet.slot_zero_unix, fleet.slot_length_seconds) == (1666656000.5, 0.2)


def test_whoever_has_a_spec_only_gets_the_files_or_an_error(tmp_path: Path) -> None:
    spec = parse_fleet(write_fleet(tmp_path))
    with pytest.raises(NetworkFolderInvalid, match="found no folder"):
        load_network(spec, tmp_path)
    write_network(tmp_path / "network")
    assert load_network(spec, tmp_path) == load_fleet(tmp_path / "fleet.yaml").network_files
