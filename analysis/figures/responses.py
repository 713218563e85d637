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

from analysis import formats
from analysis.escape import for_plotly
from analysis.figures import hover, labels, seeds, theme
from analysis.figures.labels import Axis, End
from analysis.runs import Comparable
from analysis.text import _

Choice = Literal["auto", "measured", "closed_form"]
Scale = Literal["auto", "linear", "log"]

COLUMNS = ("epoch", "source", "layer", "order", "index", "rank", "std")
"""Of an info table, after the columns that say which run it is."""


def sources() -> dict[Choice, str]:
    """What each source is called where one is chosen."""
    return {
        "auto": _("Measured if available"),
        "measured": _("Measured"),
        "closed_form": _("Closed form"),
    }


def scales() -> dict[Scale, str]:
    """What each scale of the responses' axis is called where one is chosen."""
    return {"auto": _("Automatic"), "linear": _("Linear axis"), "log": _("Logarithmic axis")}


OUTLYING = 5
"""Times the median: a larger response needs a logarithmic axis, or all others lie flat at 0."""


def fitting_scale(info: pd.DataFrame) -> Literal["linear", "log"]:
    """`log` where the largest response is over five times the median."""
    stds = info["std"].dropna()
    return "log" if len(stds) and stds.max() > OUTLYING * stds.median() else "linear"


def responses_info(
    runs: Sequence[Comparable], source: Choice = "auto", epoch: int | None = None
) -> pd.DataFrame:
    """A row a run and 3x3 layer, in original order; of a module without any, a row a layer.

    Columns: run, net, kind, label, variant (how it is drawn); epoch and source that the numbers
    are from; layer (module path), order (on the main path), index (among the 3x3 layers, from 1:
    Fig. 7 top), rank (by descending response, from 1: Fig. 7 bottom), std.

    Args:
        runs: any number.
        source: `measured`, `closed_form`, or `auto`: measured where a run has any measurement,
            whatever the epoch.
        epoch: each run's last recorded epoch that is not after this one; None: its last. A run
            that has one epoch only, as nets that were not trained here, has that one always.

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
    known &= (table["source"] == resolved(table, source)).to_numpy()
    if epoch is not None and len(np.unique(epochs[known])) > 1:
        known &= epochs <= epoch
    return _ranked(table.iloc[np.flatnonzero(known & (epochs == epochs[known].max(initial=-1)))])


def resolved(table: pd.DataFrame, source: Choice) -> str:
    """The source that a run is drawn from: of `auto` measured, where it has any measurement."""
    if source != "auto":
        return source
    return "measured" if (table["source"] == "measured").any() else "closed_form"


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


def recorded_epochs(runs: Sequence[Comparable], source: Choice = "closed_form") -> list[int]:
    """The epochs that can be chosen among, ascending: of runs with several from this source.

    A run with one set of responses shows it whatever epoch is chosen: one that was not trained
    here, or one that was measured at its end alone.
    """
    found: set[int] = set()
    for run in runs:
        if run.has_no_history:
            continue
        table = run.responses()
        epochs = table.loc[table["source"] == resolved(table, source), "epoch"].unique()
        if len(epochs) > 1 or source == "closed_form":
            found |= {int(epoch) for epoch in epochs}
    return sorted(found)


def over_seeds(info: pd.DataFrame, runs: Sequence[Comparable]) -> pd.DataFrame:
    """`responses_info` with a row for all seeds of a net: mean, least, largest, and its rank."""
    merged = seeds.merge(info, runs, "index", ["std"])
    if merged.empty:
        return merged
    rank = merged.groupby("run")["std"].rank(ascending=False, method="first")
    return merged.assign(rank=rank.astype(int))


def plot_responses(
    info: pd.DataFrame, highlight: str | None = None, scale: Scale = "auto"
) -> go.Figure:
    """Responses in original order (top) and sorted in descending order (bottom).

    Args:
        info: from `responses_info`, or with one line for all seeds from `over_seeds`.
        highlight: id of the run to show in full; the others fade.
        scale: of the vertical axis; `auto` as `fitting_scale` has it.
    """
    title = _("Layer responses")
    if info.empty:
        reason = _("None of these runs has recorded layer responses for this choice.")
        return theme.empty_figure(reason, title)
    axis = labels.axis_of(info["std"].tolist(), fitting_scale(info) if scale == "auto" else scale)
    looks = theme.looks(info, highlight)
    traces = [trace for look in looks for x in ("index", "rank") for trace in _traces(look, x)]
    heads = {"index": _("Layer {index}"), "rank": _("Rank {index}")}
    for x, head in heads.items():
        points = [point for look in looks for point in _points(look, x)]
        heading = lambda at, head=head: head.format(index=round(at))  # noqa: E731
        traces.append(hover.carrier(points, heading, "" if x == "index" else "2"))
    names = [style.label for style in theme.styles_of(info)]
    at_ends = labels.fit(names, MOST)
    layout = theme.layout(
        title, _subtitle(info, axis), [] if at_ends else names, HEIGHT,
        showlegend=not at_ends, **_axes(axis, len(info) and int(info["index"].max())),
    )  # fmt: skip
    layout["margin"]["t"] += 20
    if at_ends:
        layout["margin"]["r"] = labels.room(names)
        pixels = 0.39 * (layout["height"] - layout["margin"]["t"] - layout["margin"]["b"])
        for x, place in (("index", ""), ("rank", "2")):
            ends = [_end(look, x) for look in looks]
            if x == "rank":  # a shorter net's name would hide the lines of deeper ones
                ends = [end for end in ends if end.x == info["rank"].max()]
            layout["annotations"] += labels.end_labels(ends, axis, pixels, place, highlight)
    return go.Figure({"data": traces, "layout": layout})


HEIGHT = 430
"""Pixels, as the error curves'."""
MOST = 7
"""Lines that are named at their ends: more names would be higher than a panel."""


def _traces(look: theme.Look, x: str) -> list[dict[str, Any]]:
    """A run's line in one panel, over the band of its seeds."""
    line = _line(look, x)
    rows = look.rows.sort_values(x)
    if "seeds" not in rows or rows["seeds"].max() < 2:
        return [line]
    at = {**look.shared, "xaxis": line["xaxis"], "yaxis": line["yaxis"]}
    return [seeds.band(rows[x], rows["std_low"], rows["std_high"], look.style, at), line]


def _points(look: theme.Look, x: str) -> list[hover.Point]:
    style, rows, _shared = look
    words = [f"{style.label} <b>{formats.response(std)}</b>" for std in rows["std"]]
    if "seeds" in rows and rows["seeds"].max() > 1:
        spread = _("({n} seeds: {low} to {high})")
        words = [
            word + " " + spread.format(n=n, low=formats.response(low), high=formats.response(high))
            for word, n, low, high in zip(
                words, rows["seeds"], rows["std_low"], rows["std_high"], strict=True
            )
        ]
    return [
        hover.Point(at, std, style, f"{word} {for_plotly(layer)}")
        for at, std, word, layer in zip(rows[x], rows["std"], words, rows["layer"], strict=True)
    ]


def _end(look: theme.Look, x: str) -> End:
    last = look.rows.loc[look.rows[x].idxmax()]
    return End(look.style, last[x], last["std"], look.style.label)


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
        "customdata": rows["layer"].map(for_plotly).to_numpy(dtype=object)[order],
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
        "hoverinfo": "skip",
    }


def _subtitle(info: pd.DataFrame, axis: Axis) -> str:
    """Which source and epoch the numbers are from, as the runs agree or differ; the axis."""
    lines = [_source_words(info)]
    if "seeds" in info and info["seeds"].max() > 1:
        lines[0] += " " + _("Bands: range over seeds.")
    if axis.scale == "log":
        times = info["std"].max() / info["std"].median()
        words = _("Logarithmic axis: the largest is {times} times the median.")
        lines.append(words.format(times=formats.number(times, 0 if times >= 10 else 1)))
    return "<br>".join(lines)


def _source_words(info: pd.DataFrame) -> str:
    sources = set(info["source"])
    if sources == {"measured"}:
        words = _("Measured on images, evaluation mode")
    elif sources == {"closed_form"}:
        words = _("In closed form from BN parameters")
    else:
        own = info.loc[info["source"] == "closed_form", "label"].unique()
        named = ", ".join(map(for_plotly, own[:4]))
        words = _("Measured; in closed form: {runs}").format(runs=named)
        words += ", ..." if len(own) > 4 else ""
    trained = info.loc[info["epoch"] > 0, "epoch"]  # 0: nobody knows, or it was not trained
    if trained.empty:
        return words + "."
    first, last = int(trained.min()), int(trained.max())
    if first == last:
        return words + _("; after epoch {epoch}.").format(epoch=last)
    return words + _("; after epochs {first} to {last}.").format(first=first, last=last)


def _axes(axis: Axis, layers: int) -> dict[str, Any]:
    title = _("Standard deviation<br>of the BN output")
    std = {"title": {"text": title, "standoff": 6, "font": {"size": 11}},
           **axis.layout()}  # fmt: skip
    if axis.scale == "log":
        std |= {"dtick": "D2" if axis.high - axis.low < 1.5 else 1, "exponentformat": "none"}
    heads = [_("Original order"), _("Sorted in descending order")]
    return {
        "xaxis": {
            "title": {"text": _("Layer index (3x3 layers)"), "standoff": 4},
            "range": labels.span([0, layers]),
        },
        "xaxis2": {
            "title": {"text": _("Rank of the layer by its response"), "standoff": 6},
            "anchor": "y2",
            "matches": "x",
        },
        "yaxis": {**std, "domain": [0.61, 1]},
        "yaxis2": {**std, "domain": [0, 0.39], "anchor": "x2", "matches": "y"},
        "annotations": [
            theme.panel_head(heads[0], "", "left"),
            theme.panel_head(heads[1], "2", "left"),
        ],
    }
