"""Where each relay stands in the picture of the mesh: regions in a circle, each region's relays in a circle of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from math import cos, pi, sin

from orchestrator.cli.mesh_view import MeshView

SPACE = 44.0
"""Between the middles of two neighbours on a region's circle."""
GAP = 160.0
"""Between the circles of two regions, with room for their names."""
MARGIN = 60.0
TITLE_HEIGHT = 50.0
LEAST_RADIUS = 40.0
LEAST_WIDTH = 730.0
"""The legend needs as much."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the picture."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of relays and of the names of regions, by name, and the size of it all."""

    relays: Mapping[str, Spot]
    regions: Mapping[str, Spot]
    width: float
    height: float


def lay_out(view: MeshView) -> Layout:
    """Place everybody; the same view has the same places."""
    regions = {
        region: [relay.name for relay in group]
        for region, group in groupby(view.relays, key=lambda relay: relay.region)
    }
    radii = {region: max(LEAST_RADIUS, len(names) * SPACE / (2 * pi)) for region, names in regions.items()}
    largest = max(radii.values(), default=0.0)
    apart = (largest + GAP / 2) / sin(pi / len(regions)) if len(regions) > 1 else 0.0
    relays: dict[str, Spot] = {}
    titles: dict[str, Spot] = {}
    for number, (region, names) in enumerate(regions.items()):
        centre = _around(Spot(0, 0), apart, number / len(regions))
        titles[region] = Spot(centre.x, round(centre.y - radii[region] - 28, 1))
        for place, name in enumerate(names):
            relays[name] = _around(centre, radii[region] if len(names) > 1 else 0.0, place / len(names))
    return _crop(relays, titles)


def _crop(relays: Mapping[str, Spot], titles: Mapping[str, Spot]) -> Layout:
    """Move everything to where the picture begins, which is where something is."""
    spots = [*relays.values(), *titles.values()]
    left, right = min(spot.x for spot in spots), max(spot.x for spot in spots)
    top, bottom = min(spot.y for spot in spots), max(spot.y for spot in spots)
    width = max(right - left + 2 * MARGIN, LEAST_WIDTH)
    aside, down = (width - left - right) / 2, MARGIN + TITLE_HEIGHT - top

    def move(spot: Spot) -> Spot:
        return Spot(round(spot.x + aside, 1), round(spot.y + down, 1))

    return Layout(
        {name: move(spot) for name, spot in relays.items()},
        {name: move(spot) for name, spot in titles.items()},
        round(width, 1),
        round(bottom - top + 2 * MARGIN + TITLE_HEIGHT, 1),
    )


def _around(centre: Spot, radius: float, share: float) -> Spot:
    """Return the place that far round a circle, from its top and clockwise; whole tenths keep files short and equal."""
    angle = 2 * pi * share - pi / 2
    return Spot(round(centre.x + radius * cos(angle), 1), round(centre.y + radius * sin(angle), 1))
