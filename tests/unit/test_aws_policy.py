"""docs/iam-policy.json and the AWS adapter name the same calls, and what changes something is bound to the fleet's tag."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

ROOT = Path(__file__).parents[2]
POLICY = json.loads((ROOT / "docs" / "iam-policy.json").read_text())
SERVICES = {"ec2": "ec2", "service-quotas": "servicequotas", "route53": "route53"}


def as_tuple(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def read_calls() -> set[str]:
    """The IAM actions of every operation that the adapter's source names, whatever service it is of."""
    session = botocore.session.Session()
    known = {
        xform_name(operation): f"{prefix}:{operation}"
        for service, prefix in SERVICES.items()
        for operation in session.get_service_model(service).operation_names
    }
    strings = {
        node.value
        for path in [*(ROOT / "orchestrator" / "adapters").glob("aws*.py"), ROOT / "orchestrator/adapters/route53.py"]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {known[name] for name in strings & known.keys()}


def policy_actions() -> set[str]:
    return {action for statement in POLICY["Statement"] for action in as_tuple(statement["Action"])}


def test_the_policy_allows_exactly_what_the_adapter_calls() -> None:
    # CreateTags is also what the cloud itself asks for when something is made with tags.
    assert policy_actions() == read_calls()


def test_the_reader_of_the_source_finds_calls() -> None:
    assert {"ec2:RunInstances", "ec2:TerminateInstances", "servicequotas:GetServiceQuota"} <= read_calls()


@pytest.mark.parametrize("statement", POLICY["Statement"], ids=lambda statement: statement["Sid"])
def test_changes_are_bound_to_the_fleets_tag_or_to_what_exists(statement: dict[str, object]) -> None:
    actions = as_tuple(statement["Action"])  # type: ignore[arg-type]
    if all(action.split(":")[1].startswith(("Describe", "Get", "List")) for action in actions):
        return
    resources = as_tuple(statement["Resource"])  # type: ignore[arg-type]
    passive = ("image/*", "snapshot/*", "subnet/*", "vpc/*")
    assert "Condition" in statement or all(resource.endswith(passive) for resource in resources)


def test_nothing_is_allowed_by_a_wildcard() -> None:
    assert not [action for action in policy_actions() if "*" in action]
