"""Fixtures of the contract tests: a lab cloud and lab nodes on loopback, and an environment in which no real credentials can be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab_node_process import LabNode, lab_nodes

from .aws_lab import AwsLab, start_lab


@pytest.fixture
def no_real_aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def aws_lab(no_real_aws: pytest.MonkeyPatch) -> Iterator[AwsLab]:
    lab = start_lab()
    no_real_aws.setenv("AWS_ENDPOINT_URL", lab.server.endpoint_url)
    yield lab
    lab.close()


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[Callable[..., LabNode]]:
    with lab_nodes(tmp_path) as make:
        yield make
