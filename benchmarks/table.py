"""What was measured, as JSON-able documents and as plain tables with ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from benchmarks.autoscaling import autoscaling_lines
from benchmarks.measuring import Measured

RATIOS = (
    ("role, unchanged, warm", "our unchanged deploy, warm", "the role takes"),
    ("role, unchanged, cold", "our unchanged deploy, cold", "the role takes"),
    ("role, first deploy, cold", "our first deploy, cold", "the role takes"),
    ("pyinfra, unchanged", "our unchanged deploy, cold", "pyinfra takes"),
    ("pyinfra, first deploy", "our first deploy, cold", "pyinfra takes"),
    ("our unchanged deploy, cold", "floor, cold", "we take"),
    ("our unchanged deploy, warm", "floor, cold", "we take"),
)
"""Dividend, divisor, and who is the subject. pyinfra keeps no connections, so it is compared with our cold."""


def describe_machine() -> dict[str, str]:
    """Return where and with what was measured."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - one line of a kernel file
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": f"{os.cpu_count()} ({model}), controller and all hosts on them; load average at the end {load}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("ansible-core", "ansible-runner", "pyinfra")},
    }


def deploy_document(deploys: Sequence[Measured]) -> dict[str, Any]:
    """Return rows, ratios of medians, and what each contender does."""
    if not deploys:
        return {}
    from benchmarks.contenders import WHAT

    medians = {measured.case.name: measured.median_seconds for measured in deploys}
    return {
        "rows": [
            {
                "case": measured.case.name,
                "samples": len(measured.samples),
                "median_seconds": round(measured.median_seconds, 3),
                "range_seconds": [round(value, 3) for value in measured.range_seconds],
                "cpu_seconds": None if measured.cpu_seconds is None else round(measured.cpu_seconds, 2),
            }
            for measured in deploys
        ],
        "ratios": [
            {"text": f"{upper}: {who} {medians[upper] / medians[lower]:.1f} times as long as {lower}"}
            | {"ratio": round(medians[upper] / medians[lower], 2)}
            for upper, lower, who in RATIOS
            if upper in medians and lower in medians
        ],
        "what": {tool: text for tool, text in WHAT.items() if any(m.case.tool == tool for m in deploys)},
    }


def planning_document(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return planning's rows with the growth of time for each row against the one before."""
    last: dict[str, dict[str, Any]] = {}
    grown = []
    for row in rows:
        before = last.get(row["fleet"])
        more = (
            ""
            if before is None
            else f"{row['seconds'] / before['seconds']:.1f} for {row['relays'] / before['relays']:.0f}"
        )
        grown.append({**row, "growth": more})
        last[row["fleet"]] = row
    return grown


def probing_document(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return probing's rows with how many times as many relays a second ours asks, given the same delay."""
    ours = {row["delay_milliseconds"]: row["relays_a_second"] for row in rows if row["way"] == "ours"}
    return [{**row, "ratio": round(ours[row["delay_milliseconds"]] / row["relays_a_second"], 1)} for row in rows]


def print_report(document: dict[str, Any]) -> None:
    """Print everything as plain text."""
    for name, value in document["machine"].items():
        print(f"{name:15} {value}")
    deploys = document["deploys"]
    if deploys:
        print("\nrounds alternate; seconds of wall clock; cpu: processor seconds of controller and hosts together")
        print(f"{'':28} {'runs':>5} {'median':>8} {'min–max':>15} {'cpu':>7}")
        for row in deploys["rows"]:
            low, high = row["range_seconds"]
            cpu = "" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:7.1f}"
            print(
                f"{row['case']:28} {row['samples']:5} {row['median_seconds']:8.2f} {f'{low:.2f}–{high:.2f}':>15} {cpu:>7}"
            )
        print()
        for ratio in deploys["ratios"]:
            print(ratio["text"])
        print()
        for tool, text in deploys["what"].items():
            print(f"{tool:10} {text}")
    if document["planning"]:
        print(f"\nplanning, one plan, in memory\n{'':16} {'relays':>7} {'seconds':>9} {'ms a relay':>11}  growth")
        for row in document["planning"]:
            each = 1000 * row["seconds"] / row["relays"]
            print(f"{row['fleet']:16} {row['relays']:7} {row['seconds']:9.3f} {each:11.3f}  {row['growth']}")
    if row := document["simulation"]:
        print(
            f"\nsimulation, {row['seeds']} schedules in one process: {row['steps']} steps in {row['seconds']:.1f} s of processor "
            f"time, {row['steps_a_second']} steps a second"
        )
    _print_probing(document["probing"])
    _print_upgrades(document["upgrades"])
    if document["autoscaling"]:
        print(
            "\nautoscaling on recorded demand; ratios to the better rival at equal relay-hours, and to the oracle's hours at 0.7"
        )
        print("\n".join(autoscaling_lines(document["autoscaling"])))


def _print_upgrades(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        print("\nupgrade of the whole fleet by one `apply`; least: what policy and a restart by hand allow")
        print(f"{'':12} {'relays':>7} {'groups':>7} {'restart':>8} {'least':>8} {'seconds':>8}  ratio")
    for row in rows:
        print(
            f"to {row['to']:9} {row['relays']:7} {row['groups']:7} {row['restart_seconds']:6.1f} s {row['least_seconds']:6.0f} s "
            f"{row['seconds']:8.0f}  {row['ratio']:.2f}"
        )


def _print_probing(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        print("\nprobing on loopback, 17 questions a relay; delay: of every answer; cpu: of the prober, ms a relay")
        print(
            f"{'':24} {'delay':>7} {'relays':>7} {'conns':>6} {'trips':>6} {'seconds':>8} {'relays/s':>9} {'cpu':>6}  ours"
        )
    for row in rows:
        print(
            f"{row['way']:24} {row['delay_milliseconds']:4} ms {row['relays']:7} {row['connections']:6} "
            f"{row['round_trips']:6} {row['seconds']:8.2f} {row['relays_a_second']:9.0f} "
            f"{row['processor_milliseconds_a_relay']:6.2f}  {row['ratio']:.1f} times"
        )
