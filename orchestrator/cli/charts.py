"""Charts of autoscaling as SVG. pygal is loaded only here; it comes with the extra `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from orchestrator.errors import FleetError
from orchestrator.simulation.demand.replay import Course, relays_for
from orchestrator.simulation.demand.scoring import Score

MOST_POINTS = 700
"""Of a line: more than a screen can show."""

COLOURS = ("#455a64", "#2e7d32", "#ef6c00", "#1565c0", "#8e24aa")


def draw_courses(demand: Sequence[float], courses: Mapping[str, Course]) -> str:
    """Draw how many relays were needed, and how many served under each policy. Raises FleetError where pygal is not installed."""
    step = max(len(demand) // MOST_POINTS, 1)
    needed = [relays_for(load) for load in demand]
    chart = _make_chart("Relays needed, and relays that served", "days", "relays", dots=False)
    chart.add("needed", _highest(needed, step))
    for name, course in courses.items():
        chart.add(name, _highest(course.serving, step))
    return _render(chart)


def draw_frontier(title: str, scores: Mapping[str, Sequence[Score]]) -> str:
    """Draw minutes short against relay-hours, a line a policy over its targets."""
    chart = _make_chart(title, "relay-hours", "minutes short, %", dots=True)
    for name, line in scores.items():
        chart.add(name, sorted((score.node_hours, score.under_time_percent) for score in line))
    return _render(chart)


def _highest(values: Sequence[int], step: int) -> list[tuple[float, int]]:
    return [(begin / 1440, max(values[begin : begin + step])) for begin in range(0, len(values), step)]


def _make_chart(title: str, x_title: str, y_title: str, *, dots: bool) -> Any:  # noqa: ANN401 - pygal has no types
    pygal = _load_pygal()
    from pygal.style import Style

    style = Style(
        background="white", plot_background="white", colors=COLOURS, font_family="Helvetica, Arial, sans-serif"
    )
    chart = pygal.XY(
        title=title,
        x_title=x_title,
        y_title=y_title,
        show_dots=dots,
        dots_size=3,
        style=style,
        js=(),
        disable_xml_declaration=True,
        no_prefix=True,
        range=(0, None),
        include_x_axis=True,
        width=900,
        height=480,
    )
    chart.add_xml_filter(_without_scripts)
    return chart


def _without_scripts(root: Any) -> Any:  # noqa: ANN401 - pygal has no types
    """Leave a picture that runs nothing."""
    for parent in list(root.iter()):
        for child in [each for each in parent if str(each.tag).endswith("script")]:
            parent.remove(child)
    return root


def _render(chart: Any) -> str:  # noqa: ANN401 - pygal has no types
    return f"{chart.render(is_unicode=True)}\n"


def _load_pygal() -> ModuleType:
    try:
        import pygal
    except ImportError as error:
        raise FleetError(
            "drawing needs pygal, which is not installed", next_step="pip install 'genesis-fleet[plots]'"
        ) from error
    return pygal  # type: ignore[no-any-return]
