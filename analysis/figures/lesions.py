"""Errors of nets without some of their blocks, over the size of the refinement (Veit et al. 2016).

Knows the errors, not how a block is removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.evidence.refining import block_rows
from analysis.figures import theme
from analysis.figures.refinement import TICKS
from analysis.runs import Run
from analysis.runs.learned import Effect
from analysis.specs import plan
from analysis.text import _

COLUMNS = ("block_name", "stage", "block", "place", "error", "intact", "ratio", "n_images")
"""Of `single_info`, after the columns that say which run it is."""


def single_info(runs: Sequence[Run], found: Mapping[str, Any]) -> pd.DataFrame:
    """One row per run and block that can be removed: the test error without it, and its ratio.

    Columns: run, net, kind, label, variant (how it is drawn); block_name, stage, block, place (as
    `refinement_info`); error (percent), intact (error of the whole net), ratio (rms(F) / rms(x);
    NaN in plain nets), n_images.

    Args:
        runs: any number.
        found: their `runs.learned.Lesions` by id; runs without any have no rows.

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    parts = []
    for run, style in zip(runs, theme.run_styles(runs), strict=True):
        if run.id in found:
            parts.append((style, _columns(run, found[run.id])))
    return theme.stack(parts, COLUMNS)


def _columns(run: Run, lesions: Any) -> dict[str, Any]:
    rows = pd.DataFrame({"block_name": lesions.names, "error": lesions.single})
    blocks = {info.name: info for info in plan.blocks(run.config.net)}
    rows = rows[rows["block_name"].isin(list(blocks))].copy()  # a file of elsewhere may say more
    for name in ("stage", "block"):
        rows[name] = [getattr(blocks[block], name) for block in rows["block_name"]]
    size = rows.groupby("stage")["block"].transform("size")
    rows["place"] = rows["stage"] - 1 + (rows["block"] - 0.5) / size
    ratios = (
        block_rows(run).set_index("block_name")["ratio"]
        if run.config.net.traits.has_shortcuts
        else {}
    )
    rows["ratio"] = rows["block_name"].map(dict(ratios)).astype(float)
    rows["intact"], rows["n_images"] = lesions.intact, lesions.n_images
    return dict(rows[rows["error"].notna()][list(COLUMNS)])


def plot_single(info: pd.DataFrame, highlight: str | None = None) -> go.Figure:
    """Error when one block alone is removed, over the size of its refinement.

    Bars of the one net, or of the highlighted one; lines where there are several.
    """
    title = _("One block removed")
    if info.empty:
        return theme.empty_figure(_("Nobody has removed blocks of these nets yet."), title)
    traces: list[dict[str, Any]] = []
    runs = list(dict.fromkeys(info["run"]))
    barred = highlight if highlight in runs or len(runs) > 1 else runs[0]
    info = info.assign(block_name=info["block_name"].map(for_plotly))  # for customdata
    for style, rows, shared in theme.looks(info, highlight):
        common = {**shared, "x": rows["place"], "customdata": rows[["block_name", "intact"]],
                  "name": style.label}  # fmt: skip
        words = style.label + _(" without %{customdata[0]}: <b>%{y:.2f} %</b>, whole "
                                "%{customdata[1]:.2f} %") + "<extra></extra>"  # fmt: skip
        traces.append(
            {**common, "showlegend": True, "hovertemplate": words,
             **(_bars(style, rows) if style.run == barred else _marks(style, rows))}
        )  # fmt: skip
        if rows["ratio"].notna().any():
            traces.append(
                {**common, "type": "scatter", "mode": "lines+markers", "y": rows["ratio"],
                 "yaxis": "y2", "showlegend": False, "line": {"color": style.colour, "width": 1.5},
                 "marker": {"color": style.colour, "symbol": style.symbol, "size": 5},
                 "hovertemplate": "%{customdata[0]}: <b>%{y:.3f}</b><extra></extra>"}
            )  # fmt: skip
    stages = range(1, int(info["stage"].max()) + 1)
    words = _("Without the block below; bars begin at the whole net's error. {n} test images.")
    layout = theme.layout(
        title, words.format(n=int(info["n_images"].min())),
        [style.label for style in theme.styles_of(info)], 480, hovermode="closest",
        barmode="overlay",
        xaxis={
            "anchor": "y2", "range": [0, len(stages)], "ticks": "",
            "tickvals": [stage - 0.5 for stage in stages],
            "ticktext": [_("stage {stage}").format(stage=stage) for stage in stages],
        },
        yaxis={"title": {"text": _("Test error (%)")}, "domain": [0.45, 1], "rangemode": "tozero"},
        yaxis2={"title": {"text": _("rms(F) / rms(x)")}, "domain": [0, 0.38], "type": "log",
                "tickvals": TICKS, "anchor": "x"},
    )  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def _bars(style: theme.RunStyle, rows: pd.DataFrame) -> dict[str, Any]:
    """From the whole net's error to that without the block: of one net alone they don't overlap."""
    sizes = rows.groupby("stage")["block"].transform("max")
    words = _(" without %{customdata[0]}: <b>%{customdata[2]:.2f} %</b>, whole "
              "%{customdata[1]:.2f} %")  # fmt: skip
    return {
        "type": "bar", "y": rows["error"] - rows["intact"], "base": rows["intact"],
        "width": 0.8 / sizes, "marker": {"color": style.colour, "opacity": 0.75},
        "customdata": rows[["block_name", "intact", "error"]],
        "hovertemplate": style.label + words + "<extra></extra>",
    }  # fmt: skip


def _marks(style: theme.RunStyle, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "y": rows["error"],
        "line": {"color": style.colour, "dash": style.dash, "width": 1.5},
        "marker": {"color": style.colour, "symbol": style.symbol, "size": 7},
    }  # fmt: skip


def rank_correlation(rows: pd.DataFrame) -> float:
    """Spearman's, of the error without a block and its ratio; NaN where there are too few."""
    known = rows[["error", "ratio"]].dropna().rank()
    if len(known) < 3 or (known.nunique() < 2).any():
        return np.nan
    return float(np.corrcoef(known["error"], known["ratio"])[0, 1])


def single_words(info: pd.DataFrame) -> list[str]:
    """What is to be seen, from the numbers: a sentence a net with the median, worst and rank."""
    words = _(
        "{net} ({intact:.1f} % wrong) without one block: {median:.1f} % in the median, "
        "{most:.1f} % without {worst}"
    )
    with_rank = _("; the larger its ratio, the worse: rank correlation {rho:.2f}")
    lines = []
    for style in theme.named_styles(info):
        rows = info[info["run"] == style.run]
        worst = rows.loc[rows["error"].idxmax()]
        line = words.format(
            net=style.label, intact=worst["intact"], median=rows["error"].median(),
            most=worst["error"], worst=worst["block_name"],
        )  # fmt: skip
        rho = rank_correlation(rows)
        lines.append(line + ("" if np.isnan(rho) else with_rank.format(rho=rho)) + ".")
    return lines


SEVERAL = ("how", "count", "low", "median", "high")
"""Columns of `several_info`, after those that say which run it is."""


def several_info(runs: Sequence[Run], found: Mapping[str, Any]) -> pd.DataFrame:
    """One row per run and number of blocks removed at random; and one for swaps, with count 0.

    Columns: run, net, kind, label, variant; how (removed, swapped), count, and of the test error
    in percent over the draws: low (5 %), median, high (95 %).
    """
    parts = []
    for run, style in zip(runs, theme.run_styles(runs), strict=True):
        lesions = found.get(run.id)
        if lesions is None:
            continue
        rows = [("removed", 0, *[lesions.intact] * 3)]
        rows += [
            ("removed", int(count), *np.quantile(errors, (0.05, 0.5, 0.95)))
            for count, errors in zip(lesions.counts, lesions.several, strict=True)
        ]
        if len(lesions.swapped):
            rows.append(("swapped", 0, *np.quantile(lesions.swapped, (0.05, 0.5, 0.95))))
        table = pd.DataFrame(rows, columns=list(SEVERAL))
        parts.append((style, dict(table)))
    return theme.stack(parts, SEVERAL)


def plot_several(info: pd.DataFrame, highlight: str | None = None) -> go.Figure:
    """Error against the number of random blocks removed: median, and band of the draws."""
    title = _("Random blocks removed")
    info = info[info["how"] == "removed"]
    if info.empty:
        return theme.empty_figure(_("Nobody has removed blocks of these nets yet."), title)
    traces = []
    for style, rows, shared in theme.looks(info, highlight):
        spread = {"type": "data", "symmetric": False, "array": rows["high"] - rows["median"],
                  "arrayminus": rows["median"] - rows["low"], "thickness": 1}  # fmt: skip
        traces.append(
            {**shared, "type": "scatter", "mode": "lines+markers", "x": rows["count"],
             "y": rows["median"], "error_y": spread, "name": style.label, "showlegend": True,
             "line": {"color": style.colour, "dash": style.dash, "width": 1.8},
             "marker": {"color": style.colour, "symbol": style.symbol, "size": 7},
             "hovertemplate": style.label + _(" without %{x}: <b>%{y:.2f} %</b>")
             + "<extra></extra>"}
        )  # fmt: skip
    layout = theme.layout(
        title, _("Median over random choices; bars: 5 to 95 %."),
        [style.label for style in theme.styles_of(info)], 480, hovermode="closest",
        xaxis={"title": {"text": _("Blocks removed at once")}, "rangemode": "tozero"},
        yaxis={"title": {"text": _("Test error (%)")}, "rangemode": "tozero"},
    )  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def swap_words(info: pd.DataFrame) -> str:
    """What swapping two blocks of a stage costs, from the numbers; empty where there are none."""
    words = _("{net} with two blocks of a stage swapped: {median:.1f} % in the median.")
    rows = info[info["how"] == "swapped"]
    return " ".join(
        words.format(net=label, median=median)
        for label, median in rows[["label", "median"]].itertuples(index=False)
    )


def effect_words(effect: Effect) -> str:
    """What an `Effect` says."""
    words = _(
        "{wrong:.1f} % of {n} test images wrong instead of {whole:.1f} %, another prediction for "
        "{changed:.1f} %."
    )
    return words.format(
        wrong=effect.wrong, n=effect.n_images, whole=effect.intact, changed=effect.changed
    )
