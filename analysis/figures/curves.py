"""Error by epoch, as in Fig. 6 of He et al.; knows histories, not how they came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from analysis import formats
from analysis.escape import for_plotly
from analysis.figures import hover, labels, seeds, theme
from analysis.figures.labels import Axis, End
from analysis.figures.theme import RunStyle
from analysis.runs import Comparable, Run
from analysis.text import _

XAxis = Literal["epoch", "iteration", "wall"]
Scale = Literal["linear", "log"]
Arrangement = Literal["overlay", "panels"]

_LOG_TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 40, 50, 70, 100]

COLUMNS = ("epoch", "iteration", "wall_seconds", "train_error", "test_error")
"""Of an info table, after the columns that say which run it is."""


def x_axes() -> dict[XAxis, str]:
    """What each horizontal axis is called where one is chosen."""
    return {"epoch": _("Epoch"), "iteration": _("Iteration"), "wall": _("Time")}


def scales() -> dict[Scale, str]:
    """What each scale of the error axis is called where one is chosen."""
    return {"linear": _("Linear"), "log": _("Log")}


def arrangements() -> dict[Arrangement | Literal["auto"], str]:
    """What each arrangement is called where one is chosen."""
    return {
        "auto": _("Automatic"),
        "overlay": _("Together"),
        "panels": _("Plain | residual"),
    }


def fitting_arrangement(runs: Sequence[Comparable]) -> Arrangement:
    """`panels`, as in Fig. 6, where there are two or more depths of plain and of residual nets."""
    depths: dict[bool, set[int]] = {True: set(), False: set()}
    for run in runs:
        if isinstance(run, Run):
            depths[run.kind == "plain"].add(run.config.net.depth)
    return "panels" if min(map(len, depths.values())) >= 2 else "overlay"


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
        info: from `error_curves_info`, or with one line for all seeds from `over_seeds`.
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
    places = ("", "2") if arrangement == "panels" else ("",)
    x_title = _x_titles(unit)[x]
    lines = [
        _curves(look, x, seconds, smoothing, _place(look.style, arrangement))
        for look in theme.looks(info, highlight)
    ]
    traces = [trace for line in lines for trace in line.traces]
    for place in places:
        points = [point for line in lines if line.place == place for point in line.points]
        traces.append(hover.carrier(points, _heading(x_title, x), place))
    along = [point.x for line in lines for point in line.points]
    axis = labels.axis_of([*info["train_error"], *info["test_error"]], scale)
    named = theme.styles_of(info)
    short = {place: _short([line.end for line in lines if line.place == place], arrangement)
             for place in places}  # fmt: skip
    at_ends = all(labels.fit([end.text for end in ends]) for ends in short.values())
    layout = theme.layout(
        title, _subtitle(info, smoothing, without), [] if at_ends else [s.label for s in named],
        HEIGHT, showlegend=not at_ends,
        **_axes(x_title, axis, x, along),
    )  # fmt: skip
    if scale == "log":
        _say_zeros(layout, info, smoothing)
    if arrangement == "panels":
        _part(layout)
    if at_ends:
        _name_ends(layout, short, axis, highlight)
    return go.Figure({"data": traces, "layout": layout})


HEIGHT = 430
"""Pixels, so that both figures of Compare are on its first screen."""


class _Curves(NamedTuple):
    """What is drawn of one run."""

    place: str
    traces: list[dict[str, Any]]
    points: list[hover.Point]
    end: End


def _place(style: RunStyle, arrangement: Arrangement) -> str:
    """The panel of a run: nets with shortcuts are on the right."""
    return "2" if arrangement == "panels" and style.has_shortcuts else ""


def _curves(look: theme.Look, x: XAxis, seconds: float, smoothing: float, place: str) -> _Curves:
    style, rows, shared = look
    along = rows["wall_seconds"] / seconds if x == "wall" else rows[x]
    common = {**shared, **_along(along, place)}
    traces, points = [], []
    words = {"train_error": _("{run}, train"), "test_error": _("{run}, test")}
    for name in ("train_error", "test_error"):
        train = name == "train_error"
        drawn = smoothed(rows[name], smoothing)
        if train and "seeds" in rows and rows["seeds"].max() > 1 and not smoothing:
            at = {**shared, "xaxis": f"x{place}", "yaxis": f"y{place}"}
            low, high = rows[f"{name}_low"], rows[f"{name}_high"]
            traces.append(seeds.band(along, low, high, style, at))
        traces.append(_line(drawn, common, style, train))
        label = words[name].format(run=style.label)
        points += [
            hover.Point(at, value, style, f"{label} <b>{formats.percent(value)}</b>{spread}")
            for at, value, spread in zip(along, drawn, _spreads(rows, name), strict=True)
        ]
    last = smoothed(rows["train_error"], smoothing)
    return _Curves(place, traces, points, End(style, along.iloc[-1], last.iloc[-1], style.label))


def _spreads(rows: pd.DataFrame, name: str) -> list[str]:
    """After a mean of several seeds: their range."""
    if "seeds" not in rows:
        return [""] * len(rows)
    words = _("({n} seeds: {low} to {high})")
    return [
        " " + words.format(n=n, low=formats.number(low, 2), high=formats.number(high, 2))
        if n > 1 else ""
        for n, low, high in zip(
            rows["seeds"], rows[f"{name}_low"], rows[f"{name}_high"], strict=True
        )
    ]  # fmt: skip


def over_seeds(info: pd.DataFrame, runs: Sequence[Comparable]) -> pd.DataFrame:
    """`error_curves_info` with one row for all seeds of a net: means, least and largest values."""
    return seeds.merge(info, runs, "epoch", ["train_error", "test_error", "wall_seconds"])


def _short(ends: Sequence[End], arrangement: Arrangement) -> list[End]:
    """In a panel of one kind, whose heading names it, the depth is enough: `56` for plain-56."""
    prefixes = {end.style.net.split("-")[0] for end in ends}
    if arrangement == "overlay" or len(prefixes) != 1:
        return list(ends)
    prefix = f"{prefixes.pop()}-"
    return [end._replace(text=end.text.removeprefix(prefix)) for end in ends]


def _name_ends(
    layout: dict[str, Any], ends: Mapping[str, Sequence[End]], axis: Axis, highlight: str | None
) -> None:
    """Name the lines at their ends, and make room for the names beside the panels."""
    needed = labels.room([end.text for own in ends.values() for end in own])
    if len(ends) > 1:  # panels: a share of the figure, which may be as narrow as a phone's
        share = min(needed / 340, 0.22)
        layout["xaxis"]["domain"] = [0, 0.5 - share]
        layout["xaxis2"]["domain"] = [0.515, 1.015 - share]
    else:
        layout["margin"]["r"] = needed
    pixels = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
    notes = [
        note
        for place, own in ends.items()
        for note in labels.end_labels(own, axis, pixels, place, highlight)
    ]
    layout["annotations"] = [*layout.get("annotations", []), *notes]


def _heading(title: str, x: XAxis) -> Callable[[float], str]:
    places = 1 if x == "wall" else 0
    return lambda at: f"{title}: {at:.{places}f}"


def _x_titles(unit: str) -> dict[XAxis, str]:
    return {
        "epoch": _("Epoch"),
        "iteration": _("Iteration (updates)"),
        "wall": _("Time since the start ({unit})").format(unit=unit),
    }


def _along(x: pd.Series, place: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(x) > 1 else "lines+markers",
        "x": x.to_numpy(),
        "xaxis": f"x{place}",
        "yaxis": f"y{place}",
    }


def _line(
    errors: pd.Series, common: dict[str, Any], style: RunStyle, train: bool
) -> dict[str, Any]:
    words = _("{run}, train") if train else _("{run}, test")
    return {
        **common,
        "y": errors.to_numpy(),
        "name": style.label if train else words.format(run=style.label),
        "showlegend": train,
        "line": {"color": style.colour, "dash": style.dash, "width": 3 if train else 1.2},
        "marker": {"color": style.colour, "symbol": style.symbol},
        "hoverinfo": "skip",
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
    words = _("No curves: {runs} came without a training history.")
    return words.format(runs=_few(without))


def _subtitle(info: pd.DataFrame, smoothing: float, without: Sequence[str]) -> str:
    lines = [_("Thick: training, running on augmented batches. Thin: test.")]
    if "seeds" in info and info["seeds"].max() > 1 and not smoothing:
        lines[0] += " " + _("Bands: range over seeds.")
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


def _axes(x_title: str, axis: Axis, x: XAxis, places: Sequence[float]) -> dict[str, Any]:
    steps = {"tickvals": _LOG_TICKS, "ticktext": [f"{tick:g}" for tick in _LOG_TICKS]}
    whole = {"dtick": 1, "tick0": 0} if x == "epoch" and max(places, default=9) <= 8 else {}
    return {
        "xaxis": {"title": {"text": x_title, "standoff": 6}, "range": labels.span(places), **whole},
        "yaxis": {
            "title": {"text": _("Error (%)"), "standoff": 8},
            **axis.layout(),
            **(steps if axis.scale == "log" else {}),
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
