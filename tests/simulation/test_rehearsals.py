"""`simulate`: the story of an apply or an upgrade, with the faults of a scenario; and what is said of a wrong scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.simulating import list_findings
from orchestrator.errors import FleetError
from orchestrator.simulation.chronicle import Told
from orchestrator.simulation.drill import run_drill
from orchestrator.simulation.scenario import FAULTS, Scenario, load_scenario
from tests.command_line import LAB_FLEET, ROOT, Run, make_run, write_fleet
from tests.scenarios.builders import SMALL, fleet_spec, wanted
from tests.spec_texts import STATIC

BEFORE, AFTER = (wanted(fleet_spec(SMALL, release=release)) for release in ("10.5.1", "10.6.0"))
EU1 = "demo-eu-central-1-01"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def scenario(folder: Path, *faults: str) -> Scenario:
    path = folder / "scenario.yaml"
    path.write_text("faults:\n" + "".join(f"  - {{{fault}}}\n" for fault in faults))
    return load_scenario(path, BEFORE.spec)


def test_an_upgrade_takes_one_relay_at_a_time_and_finds_nothing() -> None:
    drill = run_drill(AFTER, before=BEFORE)
    assert (drill.ending, drill.wanted, drill.is_clean) == ("converged", 4, True)
    assert drill.worst is not None
    assert (drill.worst.serving, len(drill.worst.out)) == (3, 1)
    assert [each for each in drill.story if "launch" in each.text] == []


def test_a_first_apply_counts_capacity_from_when_all_served() -> None:
    drill = run_drill(BEFORE)
    assert (drill.ending, drill.is_clean) == ("converged", True)
    assert drill.worst is not None
    assert (drill.worst.serving, drill.worst.out) == (4, ())


def test_a_seed_varies_the_story_and_repeats_it() -> None:
    one, same, other = (run_drill(AFTER, seed=seed, before=BEFORE).story for seed in (1, 1, 2))
    assert one == same != other


def test_a_fault_of_a_scenario_happens_when_it_is_due(tmp_path: Path) -> None:
    told = run_drill(AFTER, scenario(tmp_path, f"fault: instance_stops, of: {EU1}, after: 2m"), before=BEFORE)
    assert Told(120.0, (), f"fault: instance_stops {EU1}") in told.story
    assert any(each.relays == (EU1,) and each.text.startswith("launch started: the cloud says") for each in told.story)
    assert told.ending == "converged"


def test_a_release_that_cannot_be_verified_is_found_and_disturbs_nobody(tmp_path: Path) -> None:
    drill = run_drill(AFTER, scenario(tmp_path, "fault: unverifiable, of: 10.6.0"), before=BEFORE)
    assert (drill.ending, drill.worst and drill.worst.serving) == ("held", 4)
    assert any("checksum mismatch" in finding for finding in list_findings(drill))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("fault: earthquake, of: 10.6.0", "faults[0].fault: 'earthquake' is none of cloud_silent, cut_off"),
        (
            "fault: unreachable, of: demo-moon-01",
            "faults[0].of: 'demo-moon-01' is no relay of this fleet; there are demo-eu",
        ),
        ("fault: hangs, of: 9.9.9", "'9.9.9' is no release of this fleet; there are 10.5.1, 10.6.0"),
        (f"fault: probe_says, of: {EU1}", "faults[0].says: a lying probe says one of ok"),
        (f"fault: probe_says, of: {EU1}, says: yes!", "faults[0].says: a lying probe says one of ok"),
        (f"fault: stall, of: {EU1}, says: ok", "faults[0].says: only `probe_says` says something"),
        (f"fault: stall, of: {EU1}, after: 5", "faults[0].after: Value error, expected a duration such as 90s"),
        (f"fault: stall, of: {EU1}, until: 5m", "faults[0].until: Extra inputs are not permitted"),
        ("of: alpha", "faults[0].fault: Field required"),
        ("fault: [", "is no YAML"),
    ],
)
def test_a_wrong_scenario_is_refused_with_place_and_cause(tmp_path: Path, fault: str, text: str) -> None:
    with pytest.raises(FleetError) as refused:
        scenario(tmp_path, fault)
    assert text in refused.value.message
    assert "docs/simulation.md" in refused.value.next_step


def test_the_document_names_every_fault_and_the_example_is_one(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
    assert [name for name in FAULTS if f"`{name}`" not in document] == []


def test_the_command_prints_story_duration_and_worst_capacity(run: Run) -> None:
    example = ROOT / "docs" / "scenario.yaml"
    ended = run("--fleet", LAB_FLEET, "simulate", "--upgrade", "10.6.2", "--scenario", example)
    assert ended.code in (0, 2)
    assert "fault: slow_to_stop demo-eu-central-1-01" in ended.out
    assert "of 20 relays served" in ended.out


def test_the_command_prints_nothing_but_its_json(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "simulate", "--seed", "3", "--json")
    assert (ended.code, ended.document["ending"], ended.document["findings"]) == (0, "converged", [])
    assert ended.document["story"][0]["text"] == "launch started: has no instance"


def test_an_unknown_release_and_a_static_fleet_are_refused(run: Run, tmp_path: Path) -> None:
    unknown = run("--fleet", LAB_FLEET, "simulate", "--upgrade", "1.2.3")
    assert (unknown.code, unknown.out) == (1, "")
    assert "release 1.2.3 is not in the fleet file; it knows 10.5.1" in unknown.err
    static = run("--fleet", write_fleet(tmp_path, STATIC), "simulate")
    assert (static.code, static.out) == (1, "")
    assert "only a fleet on aws can be simulated" in static.err
