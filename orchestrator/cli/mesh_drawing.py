"""The mesh as an SVG: shape and colour tell the standing of each relay, so that either alone is enough.

drawsvg is loaded only here; it comes with the extra `plots`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from types import ModuleType
from typing import Any

from orchestrator.cli.mesh_layout import Layout, Spot, lay_out
from orchestrator.cli.mesh_view import MeshRelay, MeshView, Standing
from orchestrator.errors import FleetError

RADIUS = 15.0
LEGEND_HEIGHT = 70.0
FONT = "Helvetica, Arial, sans-serif"
INK = "#263238"
HALO = {"stroke": "white", "stroke_width": 3, "paint_order": "stroke"}
"""Keeps words readable above lines."""

FILLS = {
    Standing.PLANNED: "#eceff1",
    Standing.SERVES: "#81c784",
    Standing.BROKEN: "#ffb74d",
    Standing.UNKNOWN: "#ce93d8",
    Standing.QUARANTINED: "#e57373",
}
LINKS = {Standing.BROKEN: "#ef6c00", Standing.UNKNOWN: "#8e24aa"}
"""Colours of links that end at a relay which may pass nothing on; they are dashed as well."""


def draw_mesh(view: MeshView) -> str:
    """Return the picture as the text of an SVG file. Raises FleetError where drawsvg is not installed."""
    draw = _load_drawsvg()
    layout = lay_out(view)
    size = (layout.width, layout.height + LEGEND_HEIGHT)
    drawing = draw.Drawing(*size, font_family=FONT)
    drawing.append(draw.Rectangle(0, 0, *size, fill="white"))
    for element in chain(_links(draw, view, layout), _relays(draw, view, layout), _words(draw, view, layout)):
        drawing.append(element)
    for element in _legend(draw, view, layout):
        drawing.append(element)
    return f"{drawing.as_svg().rstrip()}\n"


def _load_drawsvg() -> ModuleType:
    try:
        import drawsvg
    except ImportError as error:
        raise FleetError(
            "drawing needs the package drawsvg, which is not installed",
            next_step="pip install 'genesis-fleet[plots]'; `topology show` needs nothing more",
        ) from error
    return drawsvg  # type: ignore[no-any-return]  # untyped package


def _links(draw: ModuleType, view: MeshView, layout: Layout) -> Iterator[Any]:
    """Yield a line for each pair of which one names the other, those that carry nothing last: on top."""
    relays = {relay.name: relay for relay in view.relays}
    pairs = {(min(relay.name, other), max(relay.name, other)) for relay in view.relays for other in relay.names}

    def ailing(pair: tuple[str, str]) -> list[Standing]:
        return [relays[name].standing for name in pair if relays[name].standing in LINKS]

    for pair in sorted(pairs, key=lambda pair: (bool(ailing(pair)), pair)):
        (start, end), ill = (layout.relays[name] for name in pair), ailing(pair)
        inside = relays[pair[0]].region == relays[pair[1]].region
        colour = LINKS[ill[0]] if ill else "#78909c" if inside else "#b0bec5"
        dashes = {"stroke_dasharray": "6 4"} if ill else {}
        yield draw.Line(start.x, start.y, end.x, end.y, stroke=colour, stroke_width=1.2, **dashes)


def _relays(draw: ModuleType, view: MeshView, layout: Layout) -> Iterator[Any]:
    for relay in view.relays:
        spot = layout.relays[relay.name]
        group = draw.Group()
        group.append_title(_tooltip(relay))
        for element in _shape(draw, relay.standing, spot):
            group.append(element)
        number = relay.name.rpartition("-")[2]
        at = (spot.x, round(spot.y + 4, 1))
        group.append(draw.Text(number, 11, *at, text_anchor="middle", fill=INK, **HALO))
        yield group


def _shape(draw: ModuleType, standing: Standing, spot: Spot) -> Iterator[Any]:
    """Yield circle, triangle, diamond or crossed square."""
    style = {"fill": FILLS[standing], "stroke": INK, "stroke_width": 1.5}
    x, y, size = spot.x, spot.y, RADIUS
    match standing:
        case Standing.PLANNED | Standing.SERVES:
            yield draw.Circle(x, y, size, **style)
        case Standing.BROKEN:
            corners = (x, y - 1.4 * size, x + 1.3 * size, y + 0.9 * size, x - 1.3 * size, y + 0.9 * size)
            yield draw.Lines(*_tenths(corners), close=True, **style)
        case Standing.UNKNOWN:
            ends = (x, y - 1.4 * size, x + 1.4 * size, y, x, y + 1.4 * size, x - 1.4 * size, y)
            yield draw.Lines(*_tenths(ends), close=True, **style)
        case Standing.QUARANTINED:
            left, top, side = *_tenths((x - size, y - size)), 2 * size
            yield draw.Rectangle(left, top, side, side, **style)
            for slope in (1, -1):
                stroke = _tenths((x - size, y - slope * size, x + size, y + slope * size))
                yield draw.Line(*stroke, stroke="#b71c1c", stroke_width=2)


def _words(draw: ModuleType, view: MeshView, layout: Layout) -> Iterator[Any]:
    regions = len(layout.regions)
    title = f"{view.fleet}: {len(view.relays)} relays in {regions} region{'' if regions == 1 else 's'}"
    yield draw.Text(title, 18, 20, 30, fill=INK)
    for region, spot in layout.regions.items():
        yield draw.Text(region, 14, spot.x, spot.y, text_anchor="middle", font_weight="bold", fill=INK, **HALO)


def _legend(draw: ModuleType, view: MeshView, layout: Layout) -> Iterator[Any]:
    """Yield each shape with its meaning and how many there are; all of them, so that none is a riddle."""
    counts = Counter(relay.standing for relay in view.relays)
    planned = counts[Standing.PLANNED] == len(view.relays)
    x, y = 36.0, layout.height + 24
    for standing in Standing:
        if (standing is Standing.PLANNED) is not planned:
            continue
        yield from _shape(draw, standing, Spot(x, round(y, 1)))
        words = f"{standing.value}: {counts[standing]}"
        yield draw.Text(words, 13, x + 26, round(y + 5, 1), fill=INK)
        x += 175
    note = "a line: one names the other; dashed: to a relay that may pass nothing on"
    yield draw.Text(note, 12, 20, round(layout.height + 60, 1), fill=INK)


def _tooltip(relay: MeshRelay) -> str:
    state = f"{relay.standing.value}: {relay.reason}" if relay.reason else relay.standing.value
    names = ", ".join(relay.names) or "nobody"
    return f"{relay.name} ({state})\nnames {names}\npartners {', '.join(relay.partners) or 'none'}"


def _tenths(numbers: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(number, 1) for number in numbers)
