"""How much does each block change what it is given? rms(F)/rms(x) and cos(x, x + F) by block.

Section 4.2 explains Fig. 7 by it: residual functions are close to zero, and closer the deeper the
net. Dashed is the same net at initialisation, where BN gives each branch a mean square of about 1,
so that block l of a stage has the ratio 1/sqrt(v + l - 1), v the mean square that enters the stage
(De and Smith 2020). Knows the tables `probe_blocks` and `refinement`, not how they were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.evidence.refining import START, Moment, block_rows, last_rows, moments_of
from analysis.figures import labels, theme
from analysis.runs import Comparable, Run
from analysis.text import _

Measure = Literal["ratio", "cosine", "drift"]

COLUMNS = (
    "epoch", "block_name", "order", "stage", "block", "place", "rank", "n_images",
    "ratio", "ratio_low", "ratio_high", "cosine", "cosine_low", "cosine_high", "drift",
    "initial_ratio", "initial_cosine", "initial_drift", "law",
)  # fmt: skip
"""Of an info table, after the columns that say which run it is."""

TICKS = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7,
         1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50]  # fmt: skip
"""Of logarithmic axes of a factor of 2 to 1000."""


def moments(runs: Sequence[Comparable]) -> list[Moment]:
    """When the probes of any of these runs were taken, in the order of training."""
    tables = [run.probe_blocks() if _has_blocks(run) else run.probes() for run in runs]
    return sorted({moment for table in tables for moment in moments_of(table)})


def moment_words(moment: Moment) -> str:
    """`initialisation`, `update 20` or `epoch 3`."""
    epoch, update = moment
    if epoch:
        return _("epoch {epoch}").format(epoch=epoch)
    return _("update {update}").format(update=update) if update else _("initialisation")


def refinement_info(runs: Sequence[Comparable], moment: Moment | None = None) -> pd.DataFrame:
    """A row a run and block, in forward order; nets without shortcuts have none.

    Columns: run, net, kind, label, variant (how it is drawn); epoch; block_name, order, stage,
    block; place (stages have width 1, whatever their blocks: 0 to the number of stages); rank (by
    descending ratio, from 1); n_images; ratio, cosine: median over the images of the probe with
    `_low` and `_high` (5 and 95 %), or over all test images and without these (NaN) where the run
    has no probe; drift (cosine of the stage's first x and this one's; NaN without a probe);
    `initial_`: the same before training, and law, 1/sqrt(v + l - 1) with v measured there; NaN
    where the run's initialisation was not recorded.

    Args:
        runs: any number.
        moment: each run's last probe that is not after it; None: its last.

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    styles = theme.run_styles(runs)
    parts = [
        (style, _columns(run, moment))
        for run, style in zip(runs, styles, strict=True)
        if _has_blocks(run)
    ]
    return theme.stack(parts, COLUMNS)


def _has_blocks(run: Comparable) -> bool:
    return run.kind != "plain"


def _columns(run: Comparable, moment: Moment | None) -> dict[str, Any]:
    rows = block_rows(run, moment)
    first = (
        last_rows(run.probe_blocks(), START)
        .set_index("block_name")
        .reindex(rows["block_name"].astype(str))
    )
    size = rows.groupby("stage")["block"].transform("size")
    blanks = np.full(len(rows), np.nan)
    columns: dict[str, Any] = {name: rows.get(name, blanks) for name in COLUMNS}
    columns["block_name"] = rows["block_name"].astype(str)
    columns["place"] = rows["stage"] - 1 + (rows["block"] - 0.5) / size
    columns["rank"] = rows["ratio"].rank(ascending=False, method="first").astype("int64")
    for name in ("ratio", "cosine", "drift"):
        columns[f"initial_{name}"] = first[name]
    enters = first.groupby("stage")["rms_x"].transform("first").to_numpy() ** 2
    columns["law"] = 1 / np.sqrt(enters + rows["block"].to_numpy() - 1)
    return columns


def measures() -> dict[Measure, str]:
    """The vertical axis of each measure."""
    return {
        "ratio": _("rms(F) / rms(x)"),
        "cosine": _("cos(x, x + F)"),
        "drift": _("cos(x of the stage's first block, x)"),
    }


def _titles() -> dict[Measure, str]:
    return {
        "ratio": _("Size of the refinement, by block"),
        "cosine": _("Direction kept by each block"),
        "drift": _("Direction kept since the stage began"),
    }


def plot_by_block(
    info: pd.DataFrame, measure: Measure = "ratio", highlight: str | None = None
) -> go.Figure:
    """A measure along the net: one line a net, bands over images, dashed at initialisation.

    Args:
        info: from `refinement_info`.
        measure: `ratio` (logarithmic axis), `cosine` or `drift`.
        highlight: id of the run to show in full; the others fade.
    """
    title = _titles()[measure]
    info = info[info[measure].notna()]
    if info.empty:
        return theme.empty_figure(_without(measure), title)
    traces: list[dict[str, Any]] = []
    for look in theme.looks(info, highlight):
        traces += [*_band(look, measure), *_initial(look, measure), _line(look, "place", measure)]
    stages = range(1, int(info["stage"].max()) + 1)
    axis = {
        "title": {"text": _("Position in the net"), "standoff": 6},
        "tickvals": [stage - 0.5 for stage in stages],
        "ticktext": [_("stage {stage}").format(stage=stage) for stage in stages],
        "range": [0, len(stages)],
        "ticks": "",
    }
    borders = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "layer": "below",
         "line": {"color": "#8a857f", "width": 1, "dash": "dot"}}
        for x in stages[:-1]
    ]  # fmt: skip
    subtitle = _subtitle(info, measure)
    return _figure(traces, title, subtitle, info, xaxis=axis, yaxis=_axis(measure), shapes=borders)


def plot_sorted(info: pd.DataFrame, highlight: str | None = None) -> go.Figure:
    """The ratios of each net sorted in descending order, as Fig. 7 (bottom) does responses."""
    title = _("The same, sorted in descending order")
    info = info[info["ratio"].notna()]
    if info.empty:
        return theme.empty_figure(_without("ratio"), title)
    looks = list(theme.looks(info, highlight))
    traces = [_line(look, "rank", "ratio") for look in looks]
    axis: dict[str, Any] = {"title": {"text": _("Rank of the block by its ratio"), "standoff": 6}}
    axis["range"] = labels.span(info["rank"])  # else it makes room for the names as well
    heights = labels.axis_of(info["ratio"].tolist(), "log")
    figure = _figure(
        traces, title, "", info, xaxis=axis, yaxis=_axis("ratio") | heights.layout()
    )  # fmt: skip
    ends = [
        labels.End(style, rows["rank"].max(), rows["ratio"].min(), style.label)
        for style, rows, _shared in looks
    ]
    names = [end.text for end in ends]
    if labels.fit(names):  # a narrow figure: its legend would wrap into what stands below
        figure.update_layout(showlegend=False, margin_r=labels.room(names))
        for note in labels.end_labels(ends, heights, 250, highlight=highlight):
            figure.add_annotation(note)
    return figure


def _figure(
    traces: list[dict[str, Any]], title: str, subtitle: str, info: pd.DataFrame, **axes: Any
) -> go.Figure:
    names = [style.label for style in theme.styles_of(info)]
    layout = theme.layout(title, subtitle, names, height=400, hovermode="closest", **axes)
    return go.Figure({"data": traces, "layout": layout})


def _axis(measure: Measure) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": {"text": measures()[measure], "standoff": 8}}
    if measure == "ratio":
        axis |= {"type": "log", "tickvals": TICKS}
    return axis


def _line(look: theme.Look, x: str, measure: Measure) -> dict[str, Any]:
    style, rows, shared = look
    rows = rows.sort_values(x)
    if measure == "drift":
        rows = _apart(rows)
    return {
        **shared,
        "type": "scatter",
        "mode": "lines+markers",
        "x": rows[x],
        "y": rows[measure],
        "customdata": rows[["block_name", f"initial_{measure}"]].assign(
            block_name=rows["block_name"].map(for_plotly)
        ),
        "name": style.label,
        "showlegend": True,
        "line": {"color": style.colour, "dash": style.dash, "width": 1.8},
        "marker": {
            "color": style.colour,
            "symbol": style.symbol,
            "size": 6 if len(rows) <= 30 else 4,
        },
        "hovertemplate": style.label
        + " %{customdata[0]}: <b>%{y:.3f}</b>"
        + (_(" (initialisation: {value})").format(value="%{customdata[1]:.3f}")
           if rows[f"initial_{measure}"].notna().any() else "")
        + "<extra></extra>",
    }  # fmt: skip


def _apart(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a gap after each stage: its end and the next one's beginning are unrelated."""
    gap = rows[:1].assign(**dict.fromkeys(("drift", "initial_drift"), np.nan))
    return pd.concat([part for _stage, stage in rows.groupby("stage") for part in (stage, gap)])


def _initial(look: theme.Look, measure: Measure) -> list[dict[str, Any]]:
    style, rows, shared = look
    if rows[f"initial_{measure}"].isna().all():
        return []
    if measure == "drift":
        rows = _apart(rows)
    line = {"color": style.colour, "dash": "4px,4px", "width": 1.2}
    return [
        {**shared, "type": "scatter", "mode": "lines", "x": rows["place"],
         "y": rows[f"initial_{measure}"], "line": line, "showlegend": False, "hoverinfo": "skip",
         "name": _("{net} at initialisation").format(net=style.label)}
    ]  # fmt: skip


def _band(look: theme.Look, measure: Measure) -> list[dict[str, Any]]:
    style, rows, shared = look
    low, high = rows.get(f"{measure}_low"), rows.get(f"{measure}_high")
    if low is None or high is None or low.isna().all():
        return []
    red, green, blue = (int(style.colour[i : i + 2], 16) for i in (1, 3, 5))
    x, y = rows["place"].to_numpy(), np.concatenate([high.to_numpy(), low.to_numpy()[::-1]])
    return [
        {**shared, "type": "scatter", "mode": "lines", "x": np.concatenate([x, x[::-1]]), "y": y,
         "fill": "toself", "fillcolor": f"rgba({red},{green},{blue},0.14)", "line": {"width": 0},
         "showlegend": False, "hoverinfo": "skip", "name": style.label}
    ]  # fmt: skip


def _subtitle(info: pd.DataFrame, measure: Measure) -> str:
    parts = []
    if f"{measure}_low" in info and info[f"{measure}_low"].notna().any():
        parts.append(_("Line: median over the probe's images; band: 5 to 95 %."))
    if info[f"initial_{measure}"].notna().any():
        parts.append(_("Dashed: the same net at initialisation."))
    return " ".join(parts) or _("Over all test images, at the end of training.")


def _without(measure: Measure) -> str:
    words = _("None of these runs has probes:<br>python -m analysis probe RUN")
    return words if measure == "drift" else _("None of these runs has recorded its blocks.")


def median_words(info: pd.DataFrame) -> str:
    """What to see in the figure, from its numbers: the median change of each net, deepest first."""
    styles = theme.named_styles(info)[::-1]
    medians = info.groupby("run")["ratio"].median()
    parts = [
        _("{net}'s by {percent:.0f} %").format(net=s.label, percent=100 * medians[s.run])
        for s in styles[1:]
    ]
    first = _("In the median, each of {net}'s blocks changes its input by {percent:.0f} %")
    words = first.format(net=styles[0].label, percent=100 * medians[styles[0].run])
    return "; ".join([words, *parts]) + "."


def direction_words(info: pd.DataFrame) -> str:
    """The median cosine of x and x + F of each net, deepest first; 1 would be no change."""
    medians = info.groupby("run")["cosine"].median()
    words = _("{net}: the median block turns its input by {degrees:.0f} degrees")
    return "; ".join(
        words.format(net=style.label, degrees=np.degrees(np.arccos(min(medians[style.run], 1.0))))
        for style in theme.named_styles(info)[::-1]
    ) + "."  # fmt: skip


def trained_words(info: pd.DataFrame) -> str:
    """What training made of the initialisation: a sentence a net that has both; else how to."""
    known = info[info["initial_ratio"].notna() & (info["epoch"] > 0)]
    words = _("Training made {count} of {all} blocks of {net} refine less than at initialisation.")
    lines = []
    for style in theme.named_styles(known):
        rows = known[known["run"] == style.run]
        count = int((rows["ratio"] < rows["initial_ratio"]).sum())
        lines.append(words.format(count=count, all=len(rows), net=style.label))
    law = _(
        "Dashed, the architecture's part: with BN each branch begins with a mean square of about "
        "1, so block l of a stage begins near 1/sqrt(v + l - 1), v the mean square that enters the "
        "stage (De and Smith, 2020)."
    )
    return " ".join([*lines, law]) if lines else ""


def without_probe(runs: Sequence[Comparable]) -> list[str]:
    """What figures call the residual runs, not recordings, that lack a probe at initialisation."""
    return [
        style.label
        for run, style in zip(runs, theme.run_styles(runs), strict=True)
        if isinstance(run, Run) and _has_blocks(run) and START not in moments_of(run.probe_blocks())
    ]
