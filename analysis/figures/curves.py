"""Error by epoch, as in Fig. 6 of He et al.; knows histories, not how they came about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.figures import theme
from analysis.figures.theme import RunStyle
from analysis.runs import Comparable
from analysis.text import _

XAxis = Literal["epoch", "iteration", "wall"]
Scale = Literal["linear", "log"]
Arrangement = Literal["overlay", "panels"]

_LOG_TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]

COLUMNS = ("epoch", "iteration", "wall_seconds", "train_error", "test_error")
"""Of an info table, after the columns that say which run it is."""


def x_axes() -> dict[XAxis, str]:
    """What each horizontal axis is called where one is chosen."""
    return {"epoch": _("Epoch"), "iteration": _("Iteration"), "wall": _("Time")}


def scales() -> dict[Scale, str]:
    """What each scale of the error axis is called where one is chosen."""
    return {"linear": _("Linear"), "log": _("Log")}


def arrangements() -> dict[Arrangement, str]:
    """What each arrangement is called where one is chosen."""
    return {"overlay": _("Together"), "panels": _("Plain | residual")}


def error_curves_info(runs: Sequence[Comparable]) -> pd.DataFrame:
    """A row a run and epoch: where in training it is, and the two errors.

    Columns: run, net, kind, label, variant (how it is drawn); epoch, iteration, wall_seconds (s);
    train_error (running, on augmented batches, percent) and test_error (percent).

    Raises:
        RunDamaged: a run's history is not whole.
    """
    styles = theme.run_styles(runs)
    histories = [run.history() for run in runs]
    parts = [
        (style, {name: history[name] for name in COLUMNS})
        for style, history in zip(styles, histories, strict=True)
    ]
    return theme.stack(parts, COLUMNS)


def without_history(runs: Sequence[Comparable]) -> list[str]:
    """What the figures call the runs that never have a curve: imported, constructed, recorded."""
    return [
        style.label
        for run, style in zip(runs, theme.run_styles(runs), strict=True)
        if run.has_no_history and run.history().empty
    ]


def plot_error_curves(
    info: pd.DataFrame,
    x: XAxis = "epoch",
    scale: Scale = "linear",
    smoothing: float = 0.0,
    arrangement: Arrangement = "overlay",
    highlight: str | None = None,
    without: Sequence[str] = (),
) -> go.Figure:
    """Training error (thick) and test error (thin) of every run.

    Fig. 6 dashes the training error and draws the test error bold; here the training error is the
    one to look at (degradation is a matter of training, section 4.1), so it is the thick line, and
    dashes tell runs of one net apart.

    Args:
        info: from `error_curves_info`.
        x: `epoch`, `iteration`, or `wall` (time since the start, in s, min or h).
        scale: of the error axis; on `log`, errors of 0 % can't be drawn.
        smoothing: weight of the past in a bias-corrected exponential moving average, 0 to below 1.
        arrangement: `overlay`, or `panels`: plain nets left, residual nets right, one error axis.
        highlight: id of the run to show in full; the others fade.
        without: labels of the nets that have no history, named where their curves would be.
    """
    title = _("Training error and test error")
    if info.empty:
        return theme.empty_figure(_nothing_to_draw(without), title)
    seconds, unit = _time_unit(info["wall_seconds"].max())
    panels = arrangement == "panels"
    traces: list[dict[str, Any]] = []
    for style, rows, shared in theme.looks(info, highlight):
        place = "2" if panels and style.has_shortcuts else ""
        along = rows["wall_seconds"] / seconds if x == "wall" else rows[x]
        common = {**shared, **_along(along, place)}
        traces.append(_line(rows["train_error"], smoothing, common, style, train=True))
        traces.append(_line(rows["test_error"], smoothing, common, style, train=False))
    x_title = {
        "epoch": _("Epoch"),
        "iteration": _("Iteration (updates)"),
        "wall": _("Time since the start ({unit})").format(unit=unit),
    }[x]
    labels = [style.label for style in theme.styles_of(info)]
    layout = theme.layout(
        title, _subtitle(smoothing, without), labels, 540, **_axes(x_title, scale)
    )
    if scale == "log":
        _say_zeros(layout, info, smoothing)
    if panels:
        _part(layout)
    return go.Figure({"data": traces, "layout": layout})


def _along(x: pd.Series, place: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(x) > 1 else "lines+markers",
        "x": x.to_numpy(),
        "xaxis": f"x{place}",
        "yaxis": f"y{place}",
    }


def _line(
    errors: pd.Series, smoothing: float, common: dict[str, Any], style: RunStyle, train: bool
) -> dict[str, Any]:
    words = _("{run}, train") if train else _("{run}, test")
    return {
        **common,
        "y": smoothed(errors, smoothing).to_numpy(),
        "name": style.label if train else words.format(run=style.label),
        "showlegend": train,
        "line": {"color": style.colour, "dash": style.dash, "width": 3 if train else 1.2},
        "hovertemplate": words.format(run=style.label) + " <b>%{y:.2f} %</b><extra></extra>",
    }


def smoothed(values: pd.Series, weight: float) -> pd.Series:
    """The exponential moving average with this weight of the past, corrected for its start."""
    if weight <= 0:
        return values
    return values.ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean().where(values.notna())


def _time_unit(longest: float) -> tuple[float, str]:
    """Seconds in the unit that suits a time, and its name."""
    if not longest > 180:
        return 1.0, "s"
    return (60.0, "min") if longest <= 3 * 3600 else (3600.0, "h")


def _nothing_to_draw(without: Sequence[str]) -> str:
    if not without:
        return _("None of these runs has completed an epoch yet.")
    words = _("No curves: {runs} came here trained, without a training history.")
    return words.format(runs=_few(without))


def _subtitle(smoothing: float, without: Sequence[str]) -> str:
    lines = [_("Thick: training, running on augmented batches. Thin: test.")]
    if smoothing > 0:
        average = _("Smoothed by an exponential moving average of weight {weight:.2f}.")
        lines.append(average.format(weight=smoothing))
    if without:
        lines.append(_("Without a training history: {runs}.").format(runs=_few(without)))
    return "<br>".join(lines)


def _say_zeros(layout: dict[str, Any], info: pd.DataFrame, smoothing: float) -> None:
    """A line of the subtitle on the errors that a log axis has no place for."""
    drawn = [
        smoothed(rows[name], smoothing)
        for _run, rows in info.groupby("run", sort=False)
        for name in ("train_error", "test_error")
    ]
    count = sum(int((values <= 0).sum()) for values in drawn)
    if count:
        words = _("Not drawn: {count} errors of 0 %, which a log axis has no place for.")
        layout["title"]["subtitle"]["text"] += "<br>" + words.format(count=count)
        layout["margin"]["t"] += 16


def _few(labels: Sequence[str], at_most: int = 4) -> str:
    return ", ".join(map(for_plotly, labels[:at_most])) + (", ..." if len(labels) > at_most else "")


def _axes(x_title: str, scale: Scale) -> dict[str, Any]:
    steps = {"tickvals": _LOG_TICKS, "ticktext": [f"{tick:g}" for tick in _LOG_TICKS]}
    return {
        "xaxis": {
            "title": {"text": x_title, "standoff": 6},
            "unifiedhovertitle": {"text": f"{x_title}: %{{x}}"},
        },
        "yaxis": {
            "title": {"text": _("Error (%)"), "standoff": 8},
            "type": scale,
            **(steps if scale == "log" else {"rangemode": "tozero"}),
        },
    }


def _part(layout: dict[str, Any]) -> None:
    """Divide a layout into two panels with one error axis."""
    along, error = layout["xaxis"], layout["yaxis"]
    layout["xaxis"] = {**along, "domain": [0, 0.485]}
    layout["xaxis2"] = {**along, "domain": [0.515, 1], "anchor": "y2", "matches": "x"}
    layout["yaxis2"] = {**error, "anchor": "x2", "matches": "y", "showticklabels": False,
                        "title": None}  # fmt: skip
    layout["annotations"] = [
        theme.panel_head(_("Plain nets"), "", "center"),
        theme.panel_head(_("Residual nets"), "2", "center"),
    ]
    layout["margin"]["t"] += 20
