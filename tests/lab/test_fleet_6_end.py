"""A fleet gets smaller, loses its controller's store, and is taken over by another one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab_fleet import Ended, Fleet, names

pytestmark = pytest.mark.lab

LEFT = ["e2e-eu-central-1-01", "e2e-us-east-1-01"]
TOPOLOGY = "/etc/cardano-node/topology.json"


def smaller(document: dict[str, Any]) -> None:
    """One relay a region."""
    for region in document["regions"].values():
        region["count"] = 1


@dataclass(frozen=True)
class Shrunk:
    """A fleet that was made smaller."""

    refused: Ended
    after_refusal: list[str]
    ended: Ended


@pytest.fixture(scope="module")
def shrunk(serving: Fleet) -> Shrunk:
    """Ask for two of five relays, without and with the confirmation."""
    serving.variant("fleet", smaller)
    refused = serving.apply()
    after = names(serving.instances())
    return Shrunk(refused, after, serving.apply("--confirm", "retire:3"))


def test_retiring_half_a_fleet_is_refused_and_the_confirmation_named(shrunk: Shrunk) -> None:
    assert shrunk.refused.code == 5
    assert "--confirm retire:3" in shrunk.refused.err
    assert len(shrunk.after_refusal) == 5


def test_confirmed_retirements_leave_nothing_behind(serving: Fleet, shrunk: Shrunk) -> None:
    assert shrunk.ended.code == 0, shrunk.ended.err
    assert "stop started" in shrunk.ended.err
    assert names(serving.instances()) == LEFT
    volumes = [path.name for path in (serving.plan.lab.directory / "volumes").glob("*.img")]
    assert len(volumes) == 2
    assert {relay["phase"] for relay in serving.relays().values()} == {"serving"}


@dataclass(frozen=True)
class TakenOver:
    """The fleet as another store sees it, before and after it adopted."""

    planned: Ended
    refused: Ended
    adopted: Ended
    mended: Ended
    old: Ended


@pytest.fixture(scope="module")
def taken_over(serving: Fleet, shrunk: Shrunk, tmp_path_factory: pytest.TempPathFactory) -> TakenOver:
    """Lose the store, look and apply with a new one, adopt, apply; then the old one comes back."""
    folder: Path = tmp_path_factory.mktemp("other") / "fleet"
    shutil.copytree(serving.folder, folder, ignore=shutil.ignore_patterns("state"))
    other = replace(serving, folder=folder)
    serving.shell(LEFT[0], f"echo >> {TOPOLOGY}")
    return TakenOver(
        planned=other.run("plan"),
        refused=other.apply(),
        adopted=other.run("adopt", "--yes"),
        mended=other.apply(),
        old=serving.apply(),
    )


def test_another_store_only_reads_and_says_so(taken_over: TakenOver) -> None:
    assert "this controller only reads" in taken_over.planned.err
    assert taken_over.refused.code == 4
    assert "genesis-fleet adopt" in taken_over.refused.err


def test_after_adoption_hosts_follow_the_new_store(taken_over: TakenOver) -> None:
    assert taken_over.adopted.code == 0, taken_over.adopted.err
    assert taken_over.mended.code == 0, taken_over.mended.err
    assert f"{LEFT[0]}: deploy done" in taken_over.mended.err


def test_the_store_that_was_lost_only_reads_from_then_on(taken_over: TakenOver) -> None:
    assert taken_over.old.code == 4
