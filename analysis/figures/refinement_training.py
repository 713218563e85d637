"""How do refinements, responses, zeros and gradients come about? Heat maps over training.

One column a probe, so that the first updates, in which most happens, take as much room as the
epochs after them. Knows the tables `probes` and `probe_blocks`, not how they were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.evidence.refining import Moment, moments_of
from analysis.figures import images, theme
from analysis.figures.refinement import moment_words
from analysis.runs import Comparable
from analysis.text import _

Measure = Literal["ratio", "std", "zeros", "grad_norm"]

COLUMNS = ("epoch", "iteration", "name", "order", "stage", "value")
"""Of an info table, after the columns that say which run it is."""

_LOGARITHMIC = ("ratio", "grad_norm")
_PER_ROW = 3


def measures() -> dict[Measure, str]:
    """What each measure is called where one is chosen."""
    return {
        "ratio": _("rms(F) / rms(x)"),
        "std": _("Response"),
        "zeros": _("Zeros after ReLU"),
        "grad_norm": _("Gradient norm"),
    }


def training_info(runs: Sequence[Comparable], measure: Measure) -> pd.DataFrame:
    """A row a run, probe, and block (ratio) or layer of the main path (other measures).

    Columns: run, net, kind, label, variant (how it is drawn); epoch, iteration; name (module path),
    order (from 1, forward), stage, value (of zeros: the share, 0 to 1). Values that were not
    recorded are left out.

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    parts = []
    for run, style in zip(runs, theme.run_styles(runs), strict=True):
        table = run.probe_blocks() if measure == "ratio" else run.probes()
        rows = table if measure == "ratio" else table[table["conv"] != 0]
        rows = rows[rows[measure].notna()]
        rows = rows.rename(columns={"layer": "name", "block_name": "name", measure: "value"})
        parts.append((style, {**rows[list(COLUMNS)], "name": rows["name"].astype(str)}))
    return theme.stack(parts, COLUMNS)


def plot_training(info: pd.DataFrame, measure: Measure) -> go.Figure:
    """Nets side by side on one colour scale: along the net (up) and over training (right)."""
    title = _("Over training: {measure}").format(measure=measures()[measure])
    if info.empty:
        reason = _("None of these runs has probes:<br>python -m analysis probe RUN")
        return theme.empty_figure(reason, title)
    info = info.assign(moment=moments_of(info))
    times: list[Moment] = sorted(set(info["moment"]))
    styles = theme.styles_of(info)
    maps = {s.run: _grid(info[info["run"] == s.run], times, measure) for s in styles}
    traces, layout = [], _frame(title, measure, len(styles), maps)
    for at, style in enumerate(styles):
        place = str(at + 1) if at else ""
        rows = info[info["run"] == style.run]
        traces.append(_heatmap(rows, maps[style.run], times, place, measure))
        _place_panel(layout, at, len(styles), style.label, times, len(maps[style.run]))
    return go.Figure({"data": traces, "layout": layout})


def _grid(rows: pd.DataFrame, times: list[Moment], measure: Measure) -> np.ndarray:
    """(positions, times), NaN where nothing was recorded; logarithms of some measures."""
    grid = np.full((int(rows["order"].max()), len(times)), np.nan)
    columns = rows["moment"].map({moment: i for i, moment in enumerate(times)})
    values = rows["value"].to_numpy(float)
    if measure in _LOGARITHMIC:
        values = np.log10(np.where(values > 0, values, np.nan))
    grid[rows["order"].to_numpy() - 1, columns.to_numpy()] = values
    return grid


def _heatmap(
    rows: pd.DataFrame, grid: np.ndarray, times: list[Moment], place: str, measure: Measure
) -> dict[str, Any]:
    names = dict(zip(rows["order"], rows["name"], strict=True))
    trace = {
        "type": "heatmap", "z": np.round(grid, 4), "x": [moment_words(moment) for moment in times],
        "y": [for_plotly(names.get(order, order)) for order in range(1, len(grid) + 1)],
        "xaxis": f"x{place}", "yaxis": f"y{place}", "coloraxis": "coloraxis", "hoverongaps": False,
        "hovertemplate": "%{y}, %{x}: <b>%{z:.3g}</b><extra></extra>",
    }  # fmt: skip
    if measure in _LOGARITHMIC:  # what is drawn is the logarithm
        values = np.vectorize(lambda value: float(f"{value:.4g}"))(10**grid)
        trace |= {"customdata": values, "hovertemplate": "%{y}, %{x}: <b>%{customdata:.3g}</b>"
                  "<extra></extra>"}  # fmt: skip
    return trace


def _frame(
    title: str, measure: Measure, panels: int, maps: dict[str, np.ndarray]
) -> dict[str, Any]:
    rows = ceil(panels / _PER_ROW)
    low = min(float(np.nanmin(grid)) for grid in maps.values())
    high = max(float(np.nanmax(grid)) for grid in maps.values())
    bar: dict[str, Any] = {"thickness": 12, "outlinewidth": 0, "title": {"text": ""}}
    if measure in _LOGARITHMIC:
        ticks = [f * 10.0**e for e in range(-9, 6) for f in (1, 2, 5)]
        ticks = [t for t in ticks if low - 0.02 <= np.log10(t) <= high + 0.02]
        bar |= {"tickvals": np.log10(ticks), "ticktext": [f"{tick:g}" for tick in ticks]}
    subtitle = _("One column per probe: updates of the first epoch, then the end of each epoch.")
    layout = theme.layout(title, subtitle, [], 140 + 260 * rows, hovermode="closest")
    layout["coloraxis"] = {
        "colorscale": images.colour_scale("positive"), "cmin": low, "cmax": high, "colorbar": bar,
    }  # fmt: skip
    layout["annotations"] = []
    layout["margin"]["t"] += 22  # the panels' headings
    return layout


def _place_panel(
    layout: dict[str, Any],
    at: int,
    panels: int,
    label: str,
    times: list[Moment],
    positions: int,
) -> None:
    row, column = divmod(at, _PER_ROW)
    rows, columns = ceil(panels / _PER_ROW), min(panels, _PER_ROW)
    place = str(at + 1) if at else ""
    wide, high = 1 / columns, 1 / rows
    ticks = _ticks(times)
    layout[f"xaxis{place}"] = {
        "type": "category", "domain": [column * wide, (column + 0.88) * wide],
        "anchor": f"y{place}",
        "tickvals": ticks, "ticktext": [_tick(times[tick]) for tick in ticks], "tickangle": 0,
        "title": {"text": _("updates | epochs"), "standoff": 4},
    }  # fmt: skip
    top, shown = 1 - row * high, list(range(0, positions, ceil(positions / 6)))
    layout[f"yaxis{place}"] = {
        "domain": [top - 0.82 * high if rows > 1 else 0, top], "anchor": f"x{place}",
        "type": "category", "showgrid": False, "tickvals": shown,
        "ticktext": [str(at + 1) for at in shown],
        "title": {"text": _("Position (from the input)") if column == 0 else "", "standoff": 4},
    }  # fmt: skip
    layout["annotations"].append(theme.panel_head(label, place, "left"))


def _ticks(times: list[Moment]) -> list[int]:
    """Which columns are named: a few of the updates and a few of the epochs."""
    updates = [i for i, (epoch, _u) in enumerate(times) if not epoch]
    epochs = [i for i, (epoch, _u) in enumerate(times) if epoch]
    named = updates[:: max(len(updates) // 2, 1)]
    room = max(named, default=-2) + 1
    return [*named, *(e for e in epochs[:: max(ceil(len(epochs) / 3), 1)] if e > room)]


def _tick(moment: Moment) -> str:
    epoch, update = moment
    return _("ep. {epoch}").format(epoch=epoch) if epoch else str(update)


def course_words(info: pd.DataFrame) -> str:
    """Each net's median over its blocks or layers at its first and last probe, and the range."""
    words = _(
        "{net}: {a:.3g} in the median at {first}, {b:.3g} at {last} ({low:.2g} to {high:.2g})."
    )
    lines = []
    for style in theme.named_styles(info):
        rows = info[info["run"] == style.run]
        found = moments_of(rows)
        first, last = min(found), max(found)
        begins = rows["value"][[moment == first for moment in found]]
        ends = rows["value"][[moment == last for moment in found]]
        lines.append(
            words.format(
                net=style.label, a=begins.median(), b=ends.median(), low=ends.min(),
                high=ends.max(), first=moment_words(first), last=moment_words(last),
            )
        )  # fmt: skip
    return " ".join(lines)
