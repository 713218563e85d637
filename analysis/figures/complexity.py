"""Multiply-adds against measured time: FLOPs are not speed, shown."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.figures import theme
from analysis.specs.costs import VGG19, complexity_info, title_of
from analysis.text import _

_VGG_COLOUR = "#8a857f"


def speed_info(times: pd.DataFrame, mode: str, batch: int) -> pd.DataFrame:
    """Times of one mode and batch size beside what the nets cost on paper.

    Columns: those of the times, and multiply_adds, parameters, and rate (billion multiply-adds a
    second, by the median): equal rates would make FLOPs speed.
    """
    rows = times[(times["mode"] == mode) & (times["batch"] == batch)]
    costs = complexity_info(list(rows["net"]))[["net", "multiply_adds", "parameters"]]
    info = rows.merge(costs, on="net")
    return info.assign(rate=info["multiply_adds"] * info["images_per_second"] / 1e9)


def speed_table(info: pd.DataFrame) -> pd.DataFrame:
    """The numbers of `speed_info` for people: times of a batch, throughput, rate."""
    return pd.DataFrame(
        {
            _("Net"): [title_of(net) for net in info["net"]],
            _("Multiply-adds (billion)"): info["multiply_adds"] / 1e9,
            _("Median (ms per batch)"): info["median_ms"],
            _("Lower quartile (ms)"): info["low_ms"],
            _("Upper quartile (ms)"): info["high_ms"],
            _("Images/s"): info["images_per_second"],
            _("Billion multiply-adds per second"): info["rate"],
        }
    )


def plot_speed(info: pd.DataFrame) -> go.Figure:
    """Milliseconds an image against multiply-adds, both logarithmic, with quartiles."""
    title = _("Measured time against multiply-adds")
    if info.empty:
        return theme.empty_figure(_("Nothing measured yet."), title)
    info = info.assign(middle=info["median_ms"] / info["batch"])
    traces, names, right = [], _names(info), info["multiply_adds"].max() / 4
    for row in info.itertuples():
        colour = _VGG_COLOUR if row.net == VGG19 else theme.net_colour(str(row.net))  # ty: ignore[missing-attribute]
        middle = float(row.middle)  # type: ignore
        traces.append(
            {
                "type": "scatter", "mode": "markers+text", "x": [row.multiply_adds], "y": [middle],  # ty: ignore[missing-attribute]
                "text": [names.get(str(row.net), "")],  # ty: ignore[missing-attribute]
                # Points rise to the right: below them there is room, but for those at the edge.
                "textposition": "bottom right" if row.multiply_adds < right else "top left",  # ty: ignore[missing-attribute]
                "name": title_of(str(row.net)), "showlegend": False,  # ty: ignore[missing-attribute]
                "marker": {"color": colour, "size": 11},
                "error_y": {
                    "type": "data", "symmetric": False,
                    "array": [row.high_ms / row.batch - middle],  # type: ignore
                    "arrayminus": [middle - row.low_ms / row.batch],  # type: ignore
                },
                "hovertemplate": "%{y:.2f} ms, "
                + _("{rate:.1f} billion multiply-adds per second").format(rate=row.rate),  # ty: ignore[missing-attribute]
            }
        )  # fmt: skip
    axes = {
        "xaxis": {"title": {"text": _("Multiply-adds of one image")}, "type": "log", "dtick": 1},
        "yaxis": {
            "title": {"text": _("Time of one image (ms)")}, "type": "log",
            "tickvals": [m * 10.0**power for power in range(-3, 5) for m in (1, 2, 5)],
            # Names stand below the lowest point.
            "range": [math.log10(info["middle"].min() / 2), math.log10(info["middle"].max() * 1.5)],
        },
        "hovermode": "closest",
    }  # fmt: skip
    first = info.iloc[0]
    subtitle = _("{machine}, threads: {threads}, float32; bars: quartiles").format(
        machine=for_plotly(first["machine"]), threads=first["threads"]
    )
    return go.Figure({"data": traces, "layout": theme.layout(title, subtitle, [], **axes)})  # ty: ignore[invalid-argument-type]


_NEAR = 1.2
"""Points whose multiply-adds and times are less than this factor apart have one name in common."""


def _names(info: pd.DataFrame) -> dict[str, str]:
    """By net what stands at its point: its name, and those of the points that lie on it."""
    groups: list[list[tuple[str, float, float]]] = []
    for row in info.sort_values("multiply_adds").itertuples():
        point = str(row.net), float(row.multiply_adds), float(row.middle)  # type: ignore
        last = groups[-1][-1] if groups else None
        if last and all(
            max(a / b, b / a) < _NEAR for a, b in zip(point[1:], last[1:], strict=True)
        ):
            groups[-1].append(point)
        else:
            groups.append([point])
    return {
        group[-1][0]: "<br>".join(title_of(net) for net, _adds, _time in group) for group in groups
    }
