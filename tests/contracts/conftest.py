"""Fixtures of the contract tests: stores of every kind, a lab cloud and lab nodes on loopback, no real credentials to be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from orchestrator.adapters.store import Store, open_store
from orchestrator.execution.ports import StorePort
from orchestrator.simulation.store import MemoryStore
from tests.lab_node_process import LabNode, lab_nodes

from .aws_lab import AwsLab, start_lab
from .postgres import postgres_cluster


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    with postgres_cluster() as url:
        numbers = count()
        admin = create_engine(url, isolation_level="AUTOCOMMIT")

        def fresh() -> str:
            name = f"store{next(numbers)}"  # a schema each: as separate as databases, and made in no time
            with admin.connect() as connection:
                connection.execute(text(f"CREATE SCHEMA {name}"))
            return f"{url}&options=-csearch_path%3D{name}"

        yield fresh
        admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/store.db"
    return request.getfixturevalue("postgres")()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorePort]:
    if request.param == "memory":
        yield MemoryStore("demo")
        return
    where = f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else request.getfixturevalue("postgres")()
    opened = open_store(where, "demo")
    yield opened
    opened.close()


@pytest.fixture
def opening() -> Iterator[Callable[..., Store]]:
    """Open stores that are closed after the test."""
    stores: list[Store] = []

    def open_one(url: str, fleet: str = "demo") -> Store:
        stores.append(open_store(url, fleet))
        return stores[-1]

    yield open_one
    for each in stores:
        each.close()
