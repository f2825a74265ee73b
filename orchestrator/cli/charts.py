"""Charts of autoscaling as SVG. matplotlib is loaded only here; it comes with the extra `plots`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import FleetError
from orchestrator.simulation.demand.policies import PolicyName
from orchestrator.simulation.demand.replay import Course, relays_for
from orchestrator.simulation.demand.scoring import Score

MOST_POINTS = 700
"""Of a line: more than a screen can show."""

MOST_SHORT_PERCENT = 25
"""Of a frontier's picture: what is short more often than that is of no use to anybody."""

SIZE_INCHES = (9.0, 4.8)


def draw_courses(demand: Sequence[float], courses: Mapping[PolicyName, Course]) -> str:
    """Draw how many relays were needed, and how many served under each policy. Raises FleetError where matplotlib is not installed."""
    step = max(len(demand) // MOST_POINTS, 1)
    figure, axes = _make_figure("Relays needed, and relays that served", "days", "relays")
    days = [begin / 1440 for begin in range(0, len(demand), step)]
    axes.plot(days, _highest([relays_for(load) for load in demand], step), label="needed", color="black", linewidth=0.8)
    for name, course in courses.items():
        axes.plot(days, _highest(course.serving, step), label=name, linewidth=1.0)
    return _render(figure, axes)


def draw_frontier(title: str, scores: Mapping[PolicyName, Sequence[Score]]) -> str:
    """Draw minutes short against relay-hours, a line a policy over its targets."""
    figure, axes = _make_figure(title, "relay-hours", "minutes short, %")
    for name, line in scores.items():
        points = sorted((score.node_hours, score.under_time_percent) for score in line)
        axes.plot([hours for hours, _ in points], [short for _, short in points], label=name, marker="o", markersize=3)
    axes.set_ylim(top=MOST_SHORT_PERCENT)
    return _render(figure, axes)


def _highest(values: Sequence[int], step: int) -> list[int]:
    return [max(values[begin : begin + step]) for begin in range(0, len(values), step)]


def _make_figure(title: str, x_title: str, y_title: str) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FleetError(
            "drawing needs matplotlib, which is not installed", next_step="pip install 'genesis-fleet[plots]'"
        ) from error
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x_title)
    axes.set_ylabel(y_title)
    axes.grid(alpha=0.3)
    return figure, axes


def _render(figure: Any, axes: Any) -> str:  # noqa: ANN401 - matplotlib is loaded only where something is drawn
    """Return the text of the picture, the same for the same figures."""
    from matplotlib import rc_context

    axes.set_ylim(bottom=0)
    axes.legend()
    text = io.StringIO()
    with rc_context({"svg.hashsalt": "genesis-fleet", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
