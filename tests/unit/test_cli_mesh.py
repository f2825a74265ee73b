"""`topology show` and `topology graph`: who names whom, what the mesh is worth, and who in it is out of order."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from rich.console import Console

from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.cli.mesh_drawing import FILLS, draw_mesh
from orchestrator.cli.mesh_numbers import MeshNumbers, count_numbers
from orchestrator.cli.mesh_text import mesh_tables, number_lines, relay_lines
from orchestrator.cli.mesh_view import MeshRelay, MeshView, Standing, view_found, view_planned
from orchestrator.execution.cycle import Round
from orchestrator.fleet.record import Quarantine
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.reconcile import plan_fleet
from tests.command_line import LAB_FLEET, Run, make_run, on_loopback, write_fleet
from tests.scenarios.builders import fleet_spec, serving_fleet, wanted

FORKED, STALE, SILENT = "demo-eu-central-1-03", "demo-us-east-1-02", "demo-sa-east-1-01"
ILL = {
    FORKED: (Phase.QUARANTINED, Health.UNHEALTHY, "forked at slot 400"),
    STALE: (Phase.SYNCING, Health.UNHEALTHY, "its tip is stale"),
    SILENT: (Phase.UNKNOWN, Health.UNKNOWN, "could not be asked"),
}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.fixture(scope="module")
def serving() -> Round:
    return serving_fleet(fleet_spec()).look()


@pytest.fixture(scope="module")
def ailing(serving: Round) -> MeshView:
    """Twenty relays of which one is quarantined, one stale and one silent."""
    views = [
        replace(view, phase=ILL[view.name][0], health=ILL[view.name][1], reason=ILL[view.name][2])
        if view.name in ILL
        else view
        for view in serving.plan.relays
    ]
    quarantine = Quarantine(FORKED, serving.look.now, "forked at slot 400")
    evidence = replace(serving.plan.evidence, quarantines={FORKED: quarantine})
    return view_found(serving.look, replace(serving.plan, relays=tuple(views), evidence=evidence))


def one(view: MeshView, name: str) -> MeshRelay:
    return next(relay for relay in view.relays if relay.name == name)


def table_text(view: MeshView, width: int = 220) -> str:
    console = Console(file=StringIO(), width=width)
    for region, table in mesh_tables(view, width):
        console.print(region)
        console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_planned_mesh_is_shown_without_asking_anybody(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "topology", "show", "--planned")
    assert (ended.code, ended.err) == (0, "")
    assert "eu-central-1\nrelay " in ended.out
    assert "demo-eu-central-1-01  4/4 + 2/2" in ended.out
    assert "20 relays in 4 regions" in ended.out
    assert "any one region may go" in ended.out


def test_json_names_every_neighbour_and_the_numbers_that_networkx_counts_on_them(run: Run) -> None:
    found = run("--fleet", LAB_FLEET, "topology", "show", "--planned", "--json").document
    graph = nx.Graph([(relay["name"], other) for relay in found["relays"] for other in relay["names"]])
    assert found["mesh"]["links"] == graph.number_of_edges()
    assert found["mesh"]["diameter"] == nx.diameter(graph)
    assert found["mesh"]["connectivity"] == nx.node_connectivity(graph) >= found["mesh"]["wanted_connectivity"] == 3
    assert found["mesh"]["torn_without"] == []
    for relay in found["relays"]:
        assert relay["standing"] == "planned"
        assert relay["local_roots"]["relays"] == {"members": 4, "hot": 4, "warm": 4}
        assert all(
            relay["name"] in one_of["names"] for one_of in found["relays"] if one_of["name"] in relay["named_by"]
        )


def test_one_relay_is_shown_with_those_who_name_it(run: Run) -> None:
    name = "demo-eu-central-1-02"
    document = run("--fleet", LAB_FLEET, "topology", "show", "--planned", "--json", name).document
    (relay,) = document["relays"]
    ended = run("--fleet", LAB_FLEET, "topology", "show", "--planned", name)
    assert ended.out.startswith(f"{name} in eu-central-1, planned\nnames 4 relays (hot 4, warm 4):\n")
    assert f"is named by {len(relay['named_by'])}:" in ended.out
    assert all(f"  {other}\n" in ended.out for other in (*relay["names"], *relay["named_by"], *relay["partners"]))


def test_a_relay_that_is_none_is_answered_with_those_there_are(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "topology", "show", "--planned", "demo-mars-01")
    assert (ended.code, ended.out) == (1, "")
    assert "demo-mars-01 is no relay of this fleet" in ended.err
    assert "demo-eu-central-1-01…05" in ended.err


def test_the_planned_mesh_is_the_one_of_a_fleet_in_order(serving: Round) -> None:
    planned, found = view_planned(wanted(fleet_spec())), view_found(serving.look, serving.plan)
    assert [relay.names for relay in planned.relays] == [relay.names for relay in found.relays]
    assert [relay.own_roots for relay in planned.relays] == [relay.own_roots for relay in found.relays]
    assert {relay.standing for relay in found.relays} == {Standing.SERVES}
    assert all(relay.address for relay in found.relays)


def test_a_quarantined_relay_is_named_by_nobody_and_is_no_part_of_the_mesh(ailing: MeshView) -> None:
    forked = one(ailing, FORKED)
    assert (forked.standing, forked.names, forked.named_by) == (Standing.QUARANTINED, (), ())
    assert forked.partner_roots.hot == 2
    assert not any(FORKED in relay.names for relay in ailing.relays)
    assert count_numbers(ailing).relays == 19


def without_address(found: Round, *relays: str) -> Look:
    """The same look with neither instance nor elastic address of these."""
    cloud = found.look.seen.cloud
    gone = replace(
        cloud,
        instances=tuple(instance for instance in cloud.instances if instance.relay not in relays),
        addresses=tuple(address for address in cloud.addresses if address.relay not in relays),
    )
    return replace(found.look, seen=replace(found.look.seen, cloud=gone))


def test_relays_without_an_address_are_no_part_of_the_mesh_and_tear_it_nowhere(serving: Round) -> None:
    look = without_address(serving, FORKED, SILENT)
    view = view_found(look, plan_fleet(look))
    numbers = count_numbers(view)
    assert (numbers.relays, numbers.torn_without) == (18, ())
    assert numbers.connectivity is not None
    assert numbers.connectivity >= 3
    lines = number_lines(view, numbers)
    assert not [line for line in lines if "connectivity" in line and line.startswith("!")]
    assert [line for line in lines if line.startswith(f"! {FORKED} does not serve, so nobody names it: ")]


def test_a_relay_that_died_in_quarantine_is_no_part_of_the_mesh(serving: Round) -> None:
    quarantine = Quarantine(FORKED, serving.look.now, "forked at slot 400")
    dead = [replace(view, phase=Phase.DEAD) if view.name == FORKED else view for view in serving.plan.relays]
    evidence = replace(serving.plan.evidence, quarantines={FORKED: quarantine})
    numbers = count_numbers(view_found(serving.look, replace(serving.plan, relays=tuple(dead), evidence=evidence)))
    assert (numbers.relays, numbers.torn_without) == (19, ())
    assert numbers.connectivity is not None
    assert numbers.connectivity >= 3


def test_one_relay_alone_is_a_mesh_in_one_piece() -> None:
    numbers = count_numbers(view_planned(wanted(fleet_spec({"eu-central-1": 1}))))
    assert (numbers.relays, numbers.diameter, numbers.torn_without) == (1, 0, ())


def test_those_out_of_order_are_listed_with_reason_after_the_numbers(ailing: MeshView) -> None:
    lines = number_lines(ailing, count_numbers(ailing))
    assert f"! {STALE} does not serve: its tip is stale" in lines
    assert f"! {SILENT} unknown: could not be asked" in lines
    assert f"! {FORKED} quarantined, so nobody names it: forked at slot 400" in lines
    assert lines[-1] == "the 17 that serve are in one piece"


def test_the_table_tells_phase_standing_and_address(ailing: MeshView) -> None:
    lines = {line.split()[0]: line.split() for line in table_text(ailing).splitlines() if line.startswith("demo-")}
    assert lines[FORKED][1] == "quarantined"
    assert lines[FORKED][-1] == "nobody"
    assert lines[STALE][1] == "syncing"
    assert lines[STALE][2] == one(ailing, STALE).address


def test_a_narrow_terminal_keeps_names_and_standing(ailing: MeshView) -> None:
    text = table_text(ailing, 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "hot/warm" not in text
    assert "quarantined" in text


def test_a_relay_out_of_order_is_told_with_its_reason_and_its_partners(ailing: MeshView) -> None:
    lines = relay_lines(ailing, one(ailing, FORKED))
    assert lines[0].endswith("quarantined: forked at slot 400")
    assert "names 2 partners (hot 2, warm 2):" in lines
    assert "  alpha, ok" in lines


def test_neighbours_without_an_address_are_counted(ailing: MeshView) -> None:
    relay = one(ailing, STALE)
    waiting = replace(relay, own_roots=replace(relay.own_roots, members=3, hot=3, warm=3))
    assert "names 4 relays (hot 3, warm 3; 1 have no address yet):" in relay_lines(ailing, waiting)


def test_bad_numbers_are_marked_as_bad(ailing: MeshView) -> None:
    torn = MeshNumbers(20, 19, 1, 2, None, 1, ("us-east-1",), serving=17, serving_pieces=2)
    lines = number_lines(ailing, torn)
    assert "! connectivity 1, asked for 3" in lines
    assert "! falls apart without us-east-1" in lines
    assert "! the 17 that serve are in 2 pieces" in lines


def test_a_fleet_of_three_is_as_connected_as_three_can_be() -> None:
    view = view_planned(wanted(fleet_spec({"eu-central-1": 2, "us-east-1": 1})))
    lines = number_lines(view, count_numbers(view))
    assert "connectivity 2 (asked for 3): any 1 relays may go: as much as 3 relays allow" in lines


def test_a_chain_of_relays_is_counted_for_what_it_is(ailing: MeshView) -> None:
    chain = tuple(
        replace(relay, names=tuple(other.name for other in (after,)), standing=Standing.SERVES)
        for relay, after in zip(ailing.relays, [*ailing.relays[1:], ailing.relays[-2]], strict=True)
    )
    numbers = count_numbers(replace(ailing, relays=chain))
    assert (numbers.links, numbers.diameter, numbers.connectivity) == (19, 19, 1)
    assert numbers.torn_without == ("eu-central-1", "sa-east-1")


def test_the_picture_tells_standings_by_shape_and_by_colour(ailing: MeshView) -> None:
    drawn = ET.fromstring(draw_mesh(ailing))
    shapes = {
        title.text.split(" ")[0]: (shape.tag.removeprefix(SVG), shape.get("fill"))
        for group in drawn.iter(f"{SVG}g")
        if (title := group.find(f"{SVG}title")) is not None and (shape := group.find("*[@fill]")) is not None
    }
    assert len(shapes) == 20
    assert shapes[FORKED] == ("rect", FILLS[Standing.QUARANTINED])
    assert shapes[STALE][1] == FILLS[Standing.BROKEN]
    assert shapes[SILENT][1] == FILLS[Standing.UNKNOWN]
    assert {shape for name, shape in shapes.items() if name not in ILL} == {("circle", FILLS[Standing.SERVES])}
    words = {text.text for text in drawn.iter(f"{SVG}text")}
    assert {"serves: 17", "does not serve: 1", "unknown: 1", "quarantined: 1", "eu-central-1"} <= words


def test_links_to_those_that_may_pass_nothing_on_are_dashed(ailing: MeshView) -> None:
    lines = list(ET.fromstring(draw_mesh(ailing)).iter(f"{SVG}path"))
    dashed = [line for line in lines if line.get("stroke-dasharray")]
    expected = {
        frozenset((relay.name, other))
        for relay in ailing.relays
        for other in relay.names
        if {relay.name, other} & {STALE, SILENT}
    }
    assert len(dashed) == len(expected) > 0


def test_the_same_fleet_is_the_same_picture_without_a_date(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    for path in (first, second):
        ended = run("--fleet", LAB_FLEET, "topology", "graph", "--planned", "-o", path)
        assert (ended.code, ended.out) == (0, "")
        assert f"{path}: 20 relays" in ended.err
    assert first.read_bytes() == second.read_bytes()
    assert "planned: 20" in first.read_text()
    assert "serves" not in first.read_text()


def test_a_picture_that_cannot_be_written_is_an_error_with_a_next_step(run: Run, tmp_path: Path) -> None:
    ended = run("--fleet", LAB_FLEET, "topology", "graph", "--planned", "-o", tmp_path / "none" / "mesh.svg")
    assert ended.code == 1
    assert "cannot be written: No such file or directory" in ended.err


class Absent:
    """Finds no drawsvg, as where the extra was not installed."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name == "drawsvg":
            raise ModuleNotFoundError(name)
        return None


def test_without_the_extra_the_error_names_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    for module in [name for name in sys.modules if name.partition(".")[0] == "drawsvg"]:
        monkeypatch.delitem(sys.modules, module)
    ended = run("--fleet", LAB_FLEET, "topology", "graph", "--planned", "-o", tmp_path / "mesh.svg")
    assert ended.code == 1
    assert "pip install 'genesis-fleet[plots]'" in ended.err
    assert not (tmp_path / "mesh.svg").exists()


def test_a_fleet_that_cannot_be_reached_is_shown_as_unknown(run: Run, tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path, on_loopback())
    key = Ed25519Keys().make_host_key("")
    (tmp_path / "key").write_text(key.private)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key.pub").write_text(key.public)
    ended = run("--fleet", fleet, "topology", "show", "--json")
    assert ended.code == 0, ended.err
    assert {relay["standing"] for relay in ended.document["relays"]} == {"unknown"}
    assert all(relay["address"].startswith("127.0.0.") for relay in ended.document["relays"])
    assert "looking at demo" in ended.err
