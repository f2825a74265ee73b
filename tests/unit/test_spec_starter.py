"""The starters validate as they are, and the schema that they name says the same as the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from orchestrator.errors import FleetError, SpecInvalid
from orchestrator.spec.document import Document, read_document
from orchestrator.spec.load import load_fleet
from orchestrator.spec.model import FleetSpec
from orchestrator.spec.parse import ParsedFleet, parse_fleet_text
from orchestrator.spec.schema import fleet_schema, render_schema
from orchestrator.spec.starter import SCHEMA_FILE, StarterKind, render_starter
from tests.spec_texts import AWS, STATIC, edit, write_network

KINDS: tuple[StarterKind, ...] = get_args(StarterKind)


def as_json(text: str) -> object:
    document = read_document(text.encode())
    assert isinstance(document, Document)
    return json.loads(json.dumps(document.value))


def schema_errors(text: str) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(fleet_schema()).iter_errors(as_json(text))]


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_has_no_error_of_its_own(kind: StarterKind) -> None:
    fleet = parse_fleet_text(render_starter(kind, "my-fleet").encode(), "fleet.yaml")
    assert isinstance(fleet, ParsedFleet), fleet
    assert fleet.spec.fleet == "my-fleet"
    assert fleet.spec.cloud.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_network_folder_a_starter_has_exactly_that_one_finding(kind: StarterKind, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(render_starter(kind, "my-fleet"))
    with pytest.raises(SpecInvalid) as caught:
        load_fleet(path)
    assert len(caught.value.findings) == 1
    assert 'network.folder: found no folder "network"' in caught.value.findings[0]
    assert "https://book.play.dev.cardano.org/environments.html" in caught.value.findings[0]
    write_network(tmp_path / "network")
    assert load_fleet(path).spec.network.name == "preview"


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_names_its_schema_first_and_conforms_to_it(kind: StarterKind) -> None:
    text = render_starter(kind, "my-fleet")
    assert text.splitlines()[0] == f"# yaml-language-server: $schema=./{SCHEMA_FILE}"
    assert schema_errors(text) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_says_where_operators_get_the_network_folder(kind: StarterKind) -> None:
    assert "https://book.play.dev.cardano.org/environments.html" in render_starter(kind, "my-fleet")


def test_a_name_that_is_none_is_refused_before_it_is_written() -> None:
    with pytest.raises(FleetError, match="'My Fleet' cannot be a fleet's name"):
        render_starter("aws", "My Fleet")


def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    schema = json.loads(render_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    models = [schema, *schema["$defs"].values()]
    undescribed = [key for model in models for key, value in model["properties"].items() if "description" not in value]
    assert undescribed == []
    assert set(schema["properties"]) == set(FleetSpec.model_fields)


def test_the_schema_writes_durations_as_the_file_does() -> None:
    assert fleet_schema()["properties"]["rollout"]["default"]["replace_after"] == "30m"
    assert fleet_schema()["$defs"]["RolloutSpec"]["properties"]["replace_after"]["default"] == "30m"


@pytest.mark.parametrize(
    "text",
    [
        edit(AWS, "fleet: demo", "fleet: My_Fleet"),
        edit(AWS, "  10.5.1:", "  10.5:"),
        edit(AWS, "x86_64:", "arm64:"),
        edit(AWS, "count: 2", "count: '2'"),
        edit(AWS, "  folder:", "  foldr:"),
        edit(STATIC, "  europe:", "  Europe:"),
        edit(AWS, "ssh:\n", "rollout: {retry_after: 10}\nssh:\n"),
        edit(AWS, "ssh:\n", "rollout: {max_unavailable: 0%}\nssh:\n"),
        edit(AWS, "ssh:\n", "rollout: {bake: 0s}\nssh:\n"),
    ],
)
def test_what_a_model_refuses_the_schema_refuses(text: str) -> None:
    assert schema_errors(text)


def test_every_pattern_is_said_in_words() -> None:
    def nodes(node: object) -> list[dict[str, object]]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        found = [one for item in inner for one in nodes(item)]
        return [node, *found] if isinstance(node, dict) else found

    silent = [node for node in nodes(fleet_schema()) if "pattern" in node and "errorMessage" not in node]
    assert silent == []
