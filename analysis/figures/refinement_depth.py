"""The deeper, the smaller: mean response and median refinement against depth, with their seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.evidence.claims import groups, mean_response
from analysis.evidence.refining import median_ratio
from analysis.figures import labels, theme
from analysis.figures.refinement import TICKS
from analysis.runs import Run
from analysis.text import _

Measure = Literal["ratio", "response"]
HEIGHT = 340
"""Pixels."""

COLUMNS = (
    "kind", "family", "width", "shortcut", "depth", "net", "measure", "value", "low", "high",
    "seeds",
)  # fmt: skip

_OF: dict[Measure, Callable[[Run], float]] = {"ratio": median_ratio, "response": mean_response}


def by_depth_info(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a net and measure, over finished runs from scratch of the first run's data and recipe.

    Columns: kind, family, width, shortcut (empty for plain), depth, net; measure: ratio (median
    over the blocks of rms(F) / rms(x); none of plain nets) or response (mean over Fig. 7's layers);
    value (mean over seeds), low and high (least and largest of the seeds), seeds (how many).

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    rows = [
        {
            "kind": run.config.net.kind, "family": run.config.net.family,
            "width": run.config.net.width, "shortcut": run.config.net.shortcut or "",
            "depth": run.config.net.depth, "net": run.net, "measure": measure, "value": of(run),
        }
        for run in next(iter(groups(runs).values()), [])
        for measure, of in _OF.items()
    ]  # fmt: skip
    rows = [row for row in rows if not np.isnan(row["value"])]
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    by = [name for name in COLUMNS if name not in ("value", "low", "high", "seeds")]
    values = pd.DataFrame(rows).groupby(by)["value"]
    found = values.agg(value="mean", low="min", high="max", seeds="count").reset_index()
    return found[list(COLUMNS)].sort_values(["kind", "measure", "depth"], ignore_index=True)


def plot_by_depth(info: pd.DataFrame, measure: Measure) -> go.Figure:
    """A measure against depth: a line a set of nets that differ in depth alone, bars over seeds."""
    titles = {
        "ratio": _("Median rms(F) / rms(x) against depth"),
        "response": _("Mean layer response against depth"),
    }
    rows = info[info["measure"] == measure]
    if rows.empty:
        reason = _("No finished run of this data set and recipe has it.")
        return theme.empty_figure(reason, titles[measure])
    sets = [nets.sort_values("depth") for _names, nets in
            rows.groupby(["kind", "family", "width", "shortcut"])]  # fmt: skip
    words = _("rms(F) / rms(x)") if measure == "ratio" else _("Mean response (std)")
    scale, ticks = _scale(rows)
    axes = {
        "xaxis": labels.depth_axis(rows["depth"]),
        "yaxis": {"title": {"text": words}, **scale.layout(), **ticks},
    }
    subtitle = _("Mean over seeds; bars: range over seeds.")
    layout = theme.layout(
        titles[measure], subtitle, [], HEIGHT, hovermode="closest", showlegend=False, **axes
    )
    ends = [_end(nets) for nets in sets if len(nets) > 1]
    alone = [_end(nets) for nets in sets if len(nets) == 1]
    layout["margin"]["r"] = labels.room([end.text for end in ends or alone])
    pixels = HEIGHT - layout["margin"]["t"] - layout["margin"]["b"]
    layout["annotations"] = [
        *labels.end_labels(ends, scale, pixels),
        *labels.point_labels(alone, scale, pixels, rows),
    ]
    return go.Figure({"data": [_trace(nets) for nets in sets], "layout": layout})


def _scale(rows: pd.DataFrame) -> tuple[labels.Axis, dict[str, Any]]:
    """From 0 where the values are of one size, else logarithmic; and what its marks are."""
    values = [*rows["low"], *rows["high"]]
    if rows["high"].max() <= 5 * rows["value"].median():
        return labels.axis_of(values, "linear"), {}
    return labels.axis_of(values, "log"), {"tickvals": TICKS}


def _end(rows: pd.DataFrame) -> labels.End:
    """Its deepest net: called by its kind where there are several, else by its name."""
    last = rows.iloc[-1]
    name = theme.kind_title(last["kind"]) if len(rows) > 1 else last["net"]
    style = theme.RunStyle(last["net"], last["net"], last["kind"], name, 0)
    return labels.End(style, last["depth"], last["value"], name, "")


def _trace(rows: pd.DataFrame) -> dict[str, Any]:
    first, last = rows.iloc[0], rows.iloc[-1]
    name = first["net"]
    if len(rows) > 1:
        name = _("{first} to {last}").format(first=name, last=last["net"])
    colour = theme.kind_colour(first["kind"])
    spread = {
        "type": "data", "symmetric": False, "visible": bool((rows["seeds"] > 1).any()),
        "array": rows["high"] - rows["value"], "arrayminus": rows["value"] - rows["low"],
    }  # fmt: skip
    return {
        "type": "scatter", "mode": "lines+markers", "name": name, "x": rows["depth"],
        "y": rows["value"], "error_y": spread, "line": {"color": colour, "width": 2.5},
        "marker": {"size": 9, "symbol": "circle"},
        "customdata": rows[["net", "seeds"]], 
        "hovertemplate": "%{customdata[0]}: <b>%{y:.3f}</b>"
        + _(" ({n} seeds)").format(n="%{customdata[1]}") + "<extra></extra>",
    }  # fmt: skip
