"""Names at the ends of lines, so that nobody has to hunt in a legend; they never overlap.

A label is the line's marker in its colour and its name in the figure's ink: it is read (4.5:1) and
found (3:1) in every theme.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd

from analysis.figures.theme import RunStyle, kind_colour
from analysis.text import _

MOST = 12
"""Lines of a panel that are named at their ends; more are named by a legend."""
LONGEST = 24
"""Letters of a name at a line's end; longer ones need a legend."""
LINE = 15
"""Pixels that a name is high."""

GLYPHS = {
    "circle": "●○", "triangle-up": "▲△", "square": "■□", "diamond": "◆◇", "star": "★☆",
    "triangle-down": "▼▽", "hexagon": "⬢⬡", "x": "✕✕",
}  # fmt: skip
"""Of each marker: filled and open."""


class End(NamedTuple):
    """Where a line ends, and what it is called there."""

    style: RunStyle
    x: float
    y: float
    text: str
    mark: str | None = None
    """Before the name, as plotly's text; None: the style's marker."""


class Axis(NamedTuple):
    """A vertical axis: its range as plotly takes it (of the logarithms, on a log axis)."""

    scale: Literal["linear", "log"]
    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a value stands: 0 at the bottom, 1 at the top."""
        at = math.log10(max(value, 1e-9)) if self.scale == "log" else value
        return min(max((at - self.low) / ((self.high - self.low) or 1), 0.0), 1.0)

    def layout(self) -> dict[str, Any]:
        """As plotly takes it."""
        return {"type": self.scale, "range": [self.low, self.high]}


def axis_of(values: Sequence[float], scale: Literal["linear", "log"]) -> Axis:
    """An axis that holds all values: from 0 where it is linear."""
    known = [float(v) for v in values if v == v and (scale == "linear" or v > 0)]
    if not known:
        return Axis(scale, 0.0, 1.0)
    if scale == "linear":
        return Axis(scale, 0.0, 1.05 * max(known) or 1.0)
    low, high = math.log10(min(known)), math.log10(max(known))
    room = 0.05 * (high - low) or 0.1
    return Axis(scale, low - room, high + room)


def span(values: Sequence[float]) -> list[float]:
    """A range for a horizontal axis that holds all values, with a little room."""
    known = [float(v) for v in values if v == v]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = 0.03 * (high - low) or 0.5
    return [low - room, high + room]


def depth_axis(depths: pd.Series) -> dict[str, Any]:
    """A horizontal axis of depths; of two numbers that lie together that of more nets stands."""
    kept: list[int] = []
    least = 0.045 * (depths.max() - depths.min())
    for depth in depths.value_counts().index:
        if all(abs(depth - other) >= least for other in kept):
            kept.append(int(depth))
    title = {"text": _("Depth (weighted layers)")}
    return {
        "title": title,
        "tickvals": sorted(kept),
        "tickangle": 0,
        "range": span(depths.tolist()),
    }


def fit(names: Sequence[str], most: int = MOST) -> bool:
    """Whether these lines of one panel can be named at their ends."""
    return len(names) <= most and max(map(_letters, names), default=0) <= LONGEST


def room(names: Sequence[str]) -> int:
    """Pixels that names take beside a panel."""
    return 26 + round(7.2 * max(map(_letters, names), default=0))


def _letters(name: str) -> int:
    """Of a name as plotly's text, how many letters are seen: `&lt;` is one."""
    return len(html.unescape(name))


def end_labels(
    ends: Sequence[End], axis: Axis, pixels: float, place: str = "", highlight: str | None = None
) -> list[dict[str, Any]]:
    """An annotation for each line, at its end, moved up or down where names would overlap.

    Args:
        ends: of one panel.
        axis: the panel's vertical one.
        pixels: its height.
        place: the number of its axes, "" for the first.
        highlight: id of the run in full; the others fade.
    """
    ends = [end for end in ends if end.y == end.y]
    ends = sorted(ends, key=lambda end: (axis.share(end.y), -end.style.place[1]))
    line = LINE / pixels  # the highest stays below the panel's heading
    heights = spread([axis.share(end.y) for end in ends], line, 1 - line / 2)
    return [
        {
            "text": f"{glyph(end.style) if end.mark is None else end.mark} {end.text}".strip(),
            "x": end.x, "y": height,
            "xref": f"x{place}", "yref": f"y{place} domain",
            "xanchor": "left", "yanchor": "middle", "xshift": 5, "showarrow": False,
            "font": {"size": 12},
            "opacity": 1.0 if highlight in (None, end.style.run) else 0.4,
        }
        for end, height in zip(ends, heights, strict=True)
    ]  # fmt: skip


def point_labels(
    points: Sequence[End], axis: Axis, pixels: float, info: pd.DataFrame
) -> list[dict[str, Any]]:
    """The names of nets that no line goes through, above the lines, each tied to its point.

    A name beside its point would lie on lines and among points that are other nets'. The deepest
    is lowest, so that no tie crosses a name.

    Args:
        points: nets by depth.
        axis: the vertical one.
        pixels: its height.
        info: of the figure: columns depth and high.
    """
    if not points:
        return []
    below = info[info["depth"] <= max(point.x for point in points)]
    lowest = min(axis.share(below["high"].max()) + 0.1, 1 - LINE / pixels * len(points))
    ordered = sorted(points, key=lambda point: (-point.x, point.y))
    heights = [lowest + LINE / pixels * rank for rank in range(len(ordered))]
    return [
        {
            "text": point.text, "x": point.x, "y": point.y, "xref": "x", "yref": "y",
            "ax": 14, "ay": (axis.share(point.y) - height) * pixels, "xanchor": "left",
            "showarrow": True, "arrowhead": 0, "arrowwidth": 1, "standoff": 5,
            "arrowcolor": kind_colour(point.style.kind), "font": {"size": 12},  # ty: ignore[invalid-argument-type]
        }
        for point, height in zip(ordered, heights, strict=True)
    ]  # fmt: skip


def glyph(style: RunStyle) -> str:
    """A line's marker as a coloured letter."""
    name, _dash, rest = style.symbol.partition("-open")
    filled, hollow = GLYPHS.get(name.removesuffix("-dot"), "●○")
    letter = hollow if style.symbol.endswith("-open") and not rest else filled
    return f'<span style="color:{style.colour}">{letter}</span>'


def spread(heights: Sequence[float], least: float, top: float = 1.0) -> list[float]:
    """Ascending heights of 0 to `top`, moved as little as needed to lie `least` apart.

    Names that touch are one block around the mean of where they belong; blocks that touch join.
    """
    blocks: list[list[float]] = []  # [sum of wanted places, how many]
    for wanted in heights:
        blocks.append([wanted, 1])
        while len(blocks) > 1 and (
            _top(blocks[-2], least, top) > _bottom(blocks[-1], least, top) - least
        ):
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    return [
        _bottom(block, least, top) + least * index
        for block in blocks
        for index in range(int(block[1]))
    ]


def _bottom(block: list[float], least: float, top: float) -> float:
    length = least * (block[1] - 1)
    return min(max(block[0] / block[1] - length / 2, 0.0), max(top - length, 0.0))


def _top(block: list[float], least: float, top: float) -> float:
    return _bottom(block, least, top) + least * (block[1] - 1)
