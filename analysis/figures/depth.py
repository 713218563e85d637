"""Error against depth, and the degradation gap with its sign; runs of one data set and recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import pandas as pd
import plotly.graph_objects as go

from analysis.claims import groups, test_error, train_error
from analysis.figures import theme
from analysis.runs import Run
from analysis.spec import KINDS, Kind, NetSpec
from analysis.text import _

COLUMNS = (
    "kind", "family", "width", "shortcut", "depth", "net", "measure", "error", "low", "high",
    "seeds",
)  # fmt: skip

PAPER_DEPTHS = {"cifar": (20, 32, 44, 56), "imagenet": (18, 34)}


def depth_info(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a net and measure, over finished runs from scratch of the first run's data and recipe.

    Columns: kind, family, width, shortcut (empty for plain), depth, net; measure: train (clean
    training error at the end) or test; error (mean over seeds, percent), low and high (least and
    largest of the seeds), seeds (how many).
    """
    rows = [
        {
            "kind": run.config.net.kind, "family": run.config.net.family,
            "width": run.config.net.width, "shortcut": run.config.net.shortcut or "",
            "depth": run.config.net.depth, "net": run.net, "measure": measure, "error": of(run),
        }
        for run in next(iter(groups(runs).values()), [])
        for measure, of in (("train", train_error), ("test", test_error))
    ]  # fmt: skip
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    by = [name for name in COLUMNS if name not in ("error", "low", "high", "seeds")]
    errors = pd.DataFrame(rows).groupby(by)["error"]
    found = errors.agg(error="mean", low="min", high="max", seeds="count").reset_index()
    return found[list(COLUMNS)].sort_values(["kind", "measure", "depth"], ignore_index=True)


def gap_info(info: pd.DataFrame) -> pd.DataFrame:
    """The degradation gap: deeper minus next shallower *training* error; above 0 is degradation.

    Columns: kind, shallow, deep (nets), gap (of the means, percentage points, signed), spread
    (largest minus least of the seeds of one of the two nets, the larger; NaN: one seed each).
    """
    rows = []
    sets = info[info["measure"] == "train"].groupby(["kind", "family", "width", "shortcut"])
    for _names, nets in sets:
        for shallow, deep in pairwise(nets.sort_values("depth").to_dict("records")):
            both = [net["high"] - net["low"] for net in (shallow, deep) if net["seeds"] > 1]
            rows.append(
                (
                    shallow["kind"], shallow["net"], deep["net"],
                    deep["error"] - shallow["error"], max(both, default=math.nan),
                )
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["kind", "shallow", "deep", "gap", "spread"])


def gap_words(gaps: pd.DataFrame) -> list[str]:
    """A sentence for each row of `gap_info`: the gap with its sign, and whether it counts."""
    found = []
    for gap in gaps.to_dict("records"):
        words = _("{deep} minus {shallow}: {gap:+.2f} points of training error").format(**gap)
        if math.isnan(gap["spread"]):
            words += _(" (one seed each)")
        elif abs(gap["gap"]) > gap["spread"]:
            words += _(" (seeds are {spread:.2f} apart)").format(spread=gap["spread"])
        else:
            words += _(" (no more than the {spread:.2f} between seeds)").format(
                spread=gap["spread"]
            )
        found.append(words)
    return found


def missing_nets(info: pd.DataFrame) -> list[str]:
    """Nets that would complete the figure, plain and residual, shallowest first.

    They have the paper's depths (Table 6 to 56 layers; 18 and 34) of the family and width of which
    there are most depths.
    """
    family, width = "cifar", 16
    if len(info):
        family, width = info.groupby(["family", "width"])["depth"].nunique().idxmax()  # ty: ignore[not-iterable]
    plain = [NetSpec("plain", depth, family, int(width), None) for depth in PAPER_DEPTHS[family]]
    names = [net.name for one in plain for net in (one, one.counterpart())]
    return [name for name in names if name not in set(info["net"])]


def plot_depth(info: pd.DataFrame) -> go.Figure:
    """Training error (thick) and test error (thin, dotted) against depth, with the seeds' range."""
    title = _("Error against depth")
    if info.empty:
        return theme.empty_figure(_("No finished run of this data set and recipe yet."), title)
    traces = [
        _trace(
            rows,
            cast(Kind, kind),
            str(measure),
            len(info[["family", "width"]].drop_duplicates()) > 1,
        )
        for (kind, _family, _width, _option, measure), rows in info.sort_values(
            "measure",
            ascending=False,
            kind="stable",  # training before test
        ).groupby(["kind", "family", "width", "shortcut", "measure"], sort=False)  # ty: ignore[not-iterable]
    ]
    subtitle = _("Thick: clean training error at the end. Thin, dotted: test error. Bars: seeds.")
    axes = {
        "xaxis": {
            "title": {"text": _("Depth (weighted layers)")},
            "tickvals": sorted(set(info["depth"])),
        },
        "yaxis": {"title": {"text": _("Error (%)")}, "rangemode": "tozero"},
    }
    return go.Figure(
        {
            "data": traces,
            "layout": theme.layout(
                title,
                subtitle,
                [t["name"] for t in traces],
                hovermode="closest",
                **axes,  # ty: ignore[invalid-argument-type]
            ),
        }
    )


def _trace(rows: pd.DataFrame, kind: Kind, measure: str, name_width: bool) -> dict[str, Any]:
    rows = rows.sort_values("depth")
    name = str(KINDS[kind].title)
    if name_width:
        name += _(" ({family} family, {width} filters)").format(
            family=rows["family"].iloc[0], width=rows["width"].iloc[0]
        )
    name += ", " + (_("training") if measure == "train" else _("test"))
    colour = theme.net_colour(rows["net"].iloc[-1])
    spread = {
        "type": "data", "symmetric": False, "visible": bool((rows["seeds"] > 1).any()),
        "array": rows["high"] - rows["error"], "arrayminus": rows["error"] - rows["low"],
    }  # fmt: skip
    style = {"color": colour, "width": 3 if measure == "train" else 1.2,
             "dash": "solid" if measure == "train" else "dot"}  # fmt: skip
    # A net without a ladder is a point without a line: hollow tells test from training error.
    marker = {"size": 9} if measure == "train" else {"size": 8, "symbol": "circle-open"}
    return {
        "type": "scatter", "mode": "lines+markers", "name": name, "x": rows["depth"],
        "y": rows["error"], "error_y": spread, "line": style, "marker": marker,
        "customdata": rows["net"], "hovertemplate": "%{customdata}: <b>%{y:.2f} %</b>",
    }  # fmt: skip
