"""Error against depth, and the degradation gap with its sign; runs of one data set and recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import formats
from analysis.evidence.claims import groups, test_error, train_error
from analysis.figures import labels, theme
from analysis.figures.labels import End
from analysis.runs import Run
from analysis.specs import NetSpec
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
        words = _("{deep} minus {shallow}: {gap} points of training error").format(
            deep=gap["deep"], shallow=gap["shallow"], gap=formats.signed(gap["gap"])
        )
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
    """Training error (thick) and test error (thin, dotted) against depth, with the seeds' range.

    Args:
        info: from `depth_info`.
    """
    title = _("Error against depth")
    if info.empty:
        return theme.empty_figure(_("No finished run of this data set and recipe yet."), title)
    axis = labels.axis_of(info["high"].tolist(), "linear")
    lines = info[info.groupby(_LINE)["net"].transform("nunique") > 1]
    name_width = len(lines[["family", "width"]].drop_duplicates()) > 1
    traces, ends, alone = [], [], []
    ordered = info.sort_values("measure", ascending=False, kind="stable")  # training before test
    for _names, rows in ordered.groupby(_LINE, sort=False):
        rows = rows.sort_values("depth")
        last = rows.iloc[-1]
        name = _name(last, name_width) if len(rows) > 1 else last["net"]
        traces += _traces(rows, name)
        if last["measure"] == "train":
            style = theme.RunStyle(last["net"], last["net"], last["kind"], name, 0)
            (ends if len(rows) > 1 else alone).append(
                End(style, last["depth"], last["error"], name, "")
            )
    axes = {
        "xaxis": labels.depth_axis(info["depth"]),
        "yaxis": {"title": {"text": _("Error (%)")}, **axis.layout()},
    }
    layout = theme.layout(
        title, _subtitle(info), [], HEIGHT, hovermode="closest", showlegend=False, **axes
    )
    layout["margin"]["r"] = labels.room([end.text for end in ends or alone])
    pixels = HEIGHT - layout["margin"]["t"] - layout["margin"]["b"]
    layout["annotations"] = [
        *labels.end_labels(ends, axis, pixels),
        *labels.point_labels(alone, axis, pixels, info),
    ]
    return go.Figure({"data": traces, "layout": layout})


HEIGHT = 380
_LINE = ["kind", "family", "width", "shortcut", "measure"]
"""What the nets of one line agree in."""


def _subtitle(info: pd.DataFrame) -> str:
    words = _("Thick: clean training error at the end. Thin, dotted: test error.")
    return words + (" " + _("Bars: range over seeds.") if (info["seeds"] > 1).any() else "")


def _name(row: pd.Series, name_width: bool) -> str:
    """What a line is called: its kind, the option unless it is A, the width where they differ."""
    name = theme.kind_title(row["kind"])
    if row["shortcut"] not in ("", "A"):
        name += " " + _("(option {option})").format(option=row["shortcut"])
    if name_width:
        name += " " + _("({family} family, {width} filters)").format(
            family=row["family"], width=row["width"]
        )
    return name


def _traces(rows: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """A line in its kind's colour, as everywhere, over the band of its seeds."""
    kind, train = rows["kind"].iloc[0], rows["measure"].iloc[0] == "train"
    colour = theme.kind_colour(kind)
    label = name + ", " + (_("training") if train else _("test"))
    spread = {
        "type": "data", "symmetric": False, "visible": bool((rows["seeds"] > 1).any()),
        "array": rows["high"] - rows["error"], "arrayminus": rows["error"] - rows["low"],
    }  # fmt: skip
    line = {"color": colour, "width": 3 if train else 1.2, "dash": "solid" if train else "dot"}
    # A net without a ladder is a point without a line: hollow tells test from training error.
    marker = {"size": 9 if train else 8, "color": colour,
              "symbol": "circle" if train else "circle-open"}  # fmt: skip
    seeds = [_(" ({n} seeds)").format(n=n) if n > 1 else "" for n in rows["seeds"]]
    return [
        {
            "type": "scatter", "mode": "lines+markers", "name": label, "x": rows["depth"],
            "y": rows["error"], "error_y": spread, "line": line, "marker": marker,
            "customdata": [f"{net}{n}" for net, n in zip(rows["net"], seeds, strict=True)],
            "hovertemplate": f"%{{customdata}}, {_('training') if train else _('test')}: "
            "<b>%{y:.2f} %</b><extra></extra>",
        }
    ]  # fmt: skip
