"""Layer responses in original order and sorted, as in Fig. 7 of He et al. (section 4.2).

A response is the standard deviation of a 3x3 layer's BN output, before ReLU and addition. Knows
the `responses` table, not how it was recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.figures import theme
from analysis.runs import Comparable
from analysis.text import _

Choice = Literal["auto", "measured", "closed_form"]

COLUMNS = ("epoch", "source", "layer", "order", "index", "rank", "std")
"""Of an info table, after the columns that say which run it is."""


def sources() -> dict[Choice, str]:
    """What each source is called where one is chosen."""
    return {
        "auto": _("Best there is"),
        "measured": _("Measured"),
        "closed_form": _("Closed form"),
    }


def responses_info(
    runs: Sequence[Comparable], source: Choice = "auto", epoch: int | None = None
) -> pd.DataFrame:
    """A row a run and 3x3 layer, in original order; of a module without any, a row a layer.

    Columns: run, net, kind, label, variant (how it is drawn); epoch and source that the numbers
    are from; layer (module path), order (on the main path), index (among the 3x3 layers, from 1:
    Fig. 7 top), rank (by descending response, from 1: Fig. 7 bottom), std.

    Args:
        runs: any number.
        source: `measured`, `closed_form`, or `auto`: measured where a run has it at that epoch.
        epoch: each run's last recorded epoch that is not after this one; None: its last. Nets
            that were not trained here have one only.

    Raises:
        RunDamaged: a run's responses are not whole.
    """
    styles = theme.run_styles(runs)
    parts = [
        (style, _one_epoch(run.responses(), source, None if run.has_no_history else epoch))
        for run, style in zip(runs, styles, strict=True)
    ]
    return theme.stack(parts, COLUMNS)


def _one_epoch(table: pd.DataFrame, source: Choice, epoch: int | None) -> dict[str, Any]:
    """The columns of an info table for one run, from its 3x3 layers at one epoch."""
    epochs = table["epoch"].to_numpy()
    known = (table["kernel"].to_numpy() == 3) & (table["conv"].to_numpy() != 0)
    if not known.any():  # a recorded module of other layers: all of them rather than none
        known = np.ones(len(table), bool)
    if epoch is not None:
        known &= epochs <= epoch
    if source != "auto":
        known &= (table["source"] == source).to_numpy()
    rows = table.iloc[np.flatnonzero(known & (epochs == epochs[known].max(initial=-1)))]
    measured = (rows["source"] == "measured").to_numpy()
    rows = rows.iloc[np.flatnonzero(measured)] if measured.any() else rows
    return _ranked(rows)


def _ranked(layers: pd.DataFrame) -> dict[str, Any]:
    original = np.argsort(layers["order"].to_numpy(), kind="stable")
    columns: dict[str, Any] = {
        name: layers[name].to_numpy()[original]
        for name in ("epoch", "source", "layer", "order", "std")
    }
    places = np.arange(1, len(original) + 1)
    rank = np.empty_like(places)
    rank[np.argsort(-columns["std"], kind="stable")] = places
    return {**columns, "index": places, "rank": rank}


def mean_responses(info: pd.DataFrame) -> pd.Series:
    """The mean over a run's 3x3 layers of the response, by run id."""
    return info.groupby("run", sort=False)["std"].mean().rename("mean_response")


def recorded_epochs(runs: Sequence[Comparable]) -> list[int]:
    """The epochs at which any of the runs has responses, ascending.

    Nets that were not trained here have one set of responses, whatever epoch is chosen.
    """
    return sorted(
        {
            int(epoch)
            for run in runs
            if not run.has_no_history
            for epoch in run.responses()["epoch"].unique()
        }
    )


def plot_responses(info: pd.DataFrame, highlight: str | None = None) -> go.Figure:
    """Responses in original order (top) and sorted in descending order (bottom).

    Args:
        info: from `responses_info`.
        highlight: id of the run to show in full; the others fade.
    """
    title = _("Layer responses")
    if info.empty:
        reason = _("None of these runs has recorded layer responses for this choice.")
        return theme.empty_figure(reason, title)
    traces: list[dict[str, Any]] = []
    for look in theme.looks(info, highlight):
        traces += [_line(look, "index"), _line(look, "rank")]
    labels = [style.label for style in theme.styles_of(info)]
    layout = theme.layout(title, _subtitle(info), labels, height=540, **_axes())
    layout["margin"]["t"] += 20
    return go.Figure({"data": traces, "layout": layout})


def _line(look: theme.Look, x: str) -> dict[str, Any]:
    style, rows, shared = look
    top = x == "index"
    order = np.argsort(rows[x].to_numpy())
    return {
        **shared,
        "type": "scatter",
        "mode": "lines+markers",
        "x": rows[x].to_numpy()[order],
        "y": rows["std"].to_numpy()[order],
        "customdata": rows["layer"].to_numpy(dtype=object)[order],
        "xaxis": "x" if top else "x2",
        "yaxis": "y" if top else "y2",
        "name": style.label,
        "showlegend": top,
        "line": {"color": style.colour, "dash": style.dash, "width": 1.6},
        "marker": {
            "color": style.colour,
            "symbol": style.symbol,
            "size": 6 if len(rows) <= 40 else 4,
        },
        "hovertemplate": style.label + " <b>%{y:.3f}</b> %{customdata}<extra></extra>",
    }


def _subtitle(info: pd.DataFrame) -> str:
    """Which source and epoch the numbers are from, as the runs agree or differ."""
    sources = set(info["source"])
    if sources == {"measured"}:
        words = _("Measured on images, evaluation mode")
    elif sources == {"closed_form"}:
        words = _("In closed form from BN parameters")
    else:
        words = _("Measured where a run has it, else in closed form")
    trained = info.loc[info["epoch"] > 0, "epoch"]  # 0: nobody knows, or it was not trained
    if trained.empty:
        return words + "."
    first, last = int(trained.min()), int(trained.max())
    if first == last:
        return words + _("; after epoch {epoch}.").format(epoch=last)
    return words + _("; after epochs {first} to {last}.").format(first=first, last=last)


def _axes() -> dict[str, Any]:
    std = {
        "title": {"text": _("Standard deviation<br>of the BN output"), "standoff": 8},
        "rangemode": "tozero",
    }
    heads = [_("Original order"), _("Sorted in descending order")]
    return {
        "xaxis": {
            "title": {"text": _("Layer index (3x3 layers)"), "standoff": 4},
            "unifiedhovertitle": {"text": _("Layer {index}").format(index="%{x}")},
        },
        "xaxis2": {
            "title": {"text": _("Rank of the layer by its response"), "standoff": 6},
            "unifiedhovertitle": {"text": _("Rank {index}").format(index="%{x}")},
            "anchor": "y2",
            "matches": "x",
        },
        "yaxis": {**std, "domain": [0.585, 1]},
        "yaxis2": {**std, "domain": [0, 0.415], "anchor": "x2", "matches": "y"},
        "annotations": [
            theme.panel_head(heads[0], "", "left"),
            theme.panel_head(heads[1], "2", "left"),
        ],
    }
