"""What stands under the pointer: only what has a point there.

Plotly's own label lists, for every line, the nearest point however far away: at epoch 18 a run
that has six epochs. Here one invisible trace a panel carries the label of each place on the axis,
written from the points that are there; the lines themselves say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from analysis.figures import theme
from analysis.figures.labels import glyph
from analysis.text import _

MOST = 18
"""Lines of one label; the rest are counted."""


class Point(NamedTuple):
    """One line's value at one place."""

    x: float
    y: float
    style: theme.RunStyle
    words: str
    """After the marker: the name and the value."""


def carrier(
    points: Iterable[Point], heading: Callable[[float], str], place: str = ""
) -> dict[str, Any]:
    """The trace that has a panel's labels, the largest value first.

    Args:
        points: of all lines of a panel; those without a value are left out.
        heading: of a place on the horizontal axis.
        place: the number of the panel's axes, "" for the first.
    """
    at: dict[float, list[Point]] = {}
    for point in points:
        if point.y == point.y:
            at.setdefault(float(point.x), []).append(point)
    places = sorted(at)
    found = [sorted(at[x], key=lambda point: -point.y) for x in places]
    return {
        "type": "scatter",
        "mode": "markers",
        "marker": {"opacity": 0, "size": 1},
        "x": places,
        "y": [points[0].y for points in found],
        "text": [_label(heading(x), own) for x, own in zip(places, found, strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
        "hoverlabel": {"align": "left"},
        "showlegend": False,
        "xaxis": f"x{place}",
        "yaxis": f"y{place}",
        "meta": "hover",
    }


def _label(heading: str, points: list[Point]) -> str:
    lines = [f"{glyph(point.style)} {point.words}" for point in points[:MOST]]
    if len(points) > MOST:
        lines.append(_("and {count} more").format(count=len(points) - MOST))
    return "<br>".join([f"<b>{heading}</b>", *lines])
