"""What depth bought: similarity of all layers of two nets, and what can be read off each block.

Knows values and names, not how they were found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.figures import images, theme
from analysis.runs import Run
from analysis.text import _


def similarity_info(found: Any) -> pd.DataFrame:
    """One row per pair of layers: first, second (module paths), i, j (from 1), cka.

    Args:
        found: `runs.learned.Similarity`, or None.
    """
    columns = ["first", "second", "i", "j", "cka"]
    if found is None:
        return pd.DataFrame(columns=columns)
    i, j = np.indices(found.values.shape)
    first, second = np.array(found.first, object), np.array(found.second, object)
    values = (first[i.ravel()], second[j.ravel()], i.ravel() + 1, j.ravel() + 1)
    return pd.DataFrame(dict(zip(columns, (*values, found.values.ravel()), strict=True)))


def plot_similarity(info: pd.DataFrame, first: str, second: str) -> go.Figure:
    """A heat map: the layers of `first` upwards, those of `second` to the right."""
    first, second = for_plotly(first), for_plotly(second)
    title = _("Layers of {first} and {second}").format(first=first, second=second)
    if info.empty:
        return theme.empty_figure(_("Nobody has compared these two yet."), title, 420)
    grid = info.pivot(index="i", columns="j", values="cka")
    names = info.drop_duplicates("i")["first"], info.drop_duplicates("j")["second"]
    rows, columns = (list(each) for each in names)
    shown = [list(map(for_plotly, each)) for each in (rows, columns)]
    labels = [[(row, column) for column in shown[1]] for row in shown[0]]
    trace = {
        "type": "heatmap", "z": grid.to_numpy(), "x": grid.columns, "y": grid.index, "zmin": 0,
        "zmax": 1, "colorscale": images.colour_scale("positive"), "customdata": labels,
        "colorbar": {"thickness": 12, "outlinewidth": 0},
        "hovertemplate": f"{first} %{{customdata[0]}}<br>{second} %{{customdata[1]}}<br>"
        "CKA <b>%{z:.3f}</b><extra></extra>",
    }  # fmt: skip
    layout = theme.layout(
        title, _("Linear CKA, minibatch-unbiased; dotted: where a stage begins."), [], 520,
        hovermode="closest", shapes=_borders(rows, "y") + _borders(columns, "x"),
        xaxis={"title": {"text": _("Layer of {net}").format(net=second)}},
        yaxis={"title": {"text": _("Layer of {net}").format(net=first)}},
    )  # fmt: skip
    return go.Figure({"data": [trace], "layout": layout})


def _borders(names: Sequence[str], axis: str) -> list[dict[str, Any]]:
    """Lines between the stages along one axis."""
    stages = [name.split(".")[0] for name in names]
    other = "x" if axis == "y" else "y"
    return [
        {"type": "line", f"{axis}0": at + 0.5, f"{axis}1": at + 0.5, f"{other}0": 0,
         f"{other}1": 1, f"{other}ref": f"{other} domain",
         "line": {"color": "#ffffff", "width": 1, "dash": "dot"}}
        for at in range(1, len(stages)) if stages[at] != stages[at - 1]
    ]  # fmt: skip


def similarity_words(info: pd.DataFrame, first: str, second: str) -> str:
    """What is to be seen, from the numbers: neighbours in a net, else the best counterpart."""
    if first == second:
        near = info.loc[info["j"] == info["i"] + 1, "cka"]
        words = _(
            "In the median, a layer of {net} and the next one have a CKA of {near:.2f}; {count} of "
            "{all} neighbours are above 0.95."
        )
        return words.format(
            net=first, near=near.median(), count=int((near > 0.95).sum()), all=len(near)
        )
    best = info.groupby("i")["cka"].max()
    low = info.loc[info["i"] == best.idxmin(), "first"].iloc[0]
    words = _(
        "For the median layer of {first}, the most similar layer of {second} has a CKA of "
        "{best:.2f}; the least matched is {layer} with {least:.2f}."
    )
    return words.format(first=first, second=second, best=best.median(), layer=low, least=best.min())


READOUT_COLUMNS = ("place", "fraction", "accuracy")


def readouts_info(runs: Sequence[Run], found: Mapping[str, Any]) -> pd.DataFrame:
    """One row per run and place: what a linear readout can tell there.

    Columns: run, net, kind, label, variant; place (`stem` or a block), fraction (of the net's
    depth, 0 to 1), accuracy (percent of the test images).

    Args:
        runs: any number.
        found: their `runs.learned.Readouts` by id; runs without any have no rows.
    """
    parts = []
    for run, style in zip(runs, theme.run_styles(runs), strict=True):
        if run.id in found:
            names, accuracy = found[run.id].names, found[run.id].accuracy
            fraction = np.arange(len(names)) / max(len(names) - 1, 1)
            parts.append((style, dict(zip(READOUT_COLUMNS, (names, fraction, accuracy),
                                          strict=True))))  # fmt: skip
    return theme.stack(parts, READOUT_COLUMNS)


def plot_readouts(info: pd.DataFrame, highlight: str | None = None) -> go.Figure:
    """Accuracy of the readout after each block against the fraction of the net passed."""
    title = _("What can already be told")
    if info.empty:
        return theme.empty_figure(_("Nobody has fitted readouts of these nets yet."), title, 420)
    traces = [
        {**shared, "type": "scatter", "mode": "lines+markers", "x": rows["fraction"],
         "y": rows["accuracy"], "customdata": rows["place"].map(for_plotly), "name": style.label,
         "showlegend": True, "line": {"color": style.colour, "dash": style.dash, "width": 1.8},
         "marker": {"color": style.colour, "symbol": style.symbol, "size": 5},
         "hovertemplate": style.label + " %{customdata}: <b>%{y:.1f} %</b><extra></extra>"}
        for style, rows, shared in theme.looks(info, highlight)
    ]  # fmt: skip
    layout = theme.layout(
        title, _("Accuracy of a linear readout<br>of the channel means after each block."),
        [style.label for style in theme.styles_of(info)], 520, hovermode="closest",
        xaxis={"title": {"text": _("Fraction of the blocks passed")}, "tickformat": ".0%"},
        yaxis={"title": {"text": _("Accuracy (%)")}},
    )  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})
