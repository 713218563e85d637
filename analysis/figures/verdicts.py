"""The numbers behind a verdict: a small picture of them against depth, and a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from analysis import formats
from analysis.evidence import claims
from analysis.evidence.verdicts import Claim, Verdict
from analysis.figures import labels, theme
from analysis.figures.labels import End
from analysis.runs import Run
from analysis.text import _

HEIGHT = 150
"""Pixels: it stands on a card."""


def numbers_info(verdict: Verdict) -> pd.DataFrame:
    """A row a net.

    Columns: net, kind, depth, option (the shortcuts', empty for plain nets), series (a line each:
    nets that differ in depth alone), mean, low, high (least and largest of the seeds), seeds.
    """
    rows = [
        {
            "net": one.net.name, "kind": one.net.kind, "depth": one.net.depth,
            "option": one.net.shortcut or "", "mean": one.mean, "low": one.low, "high": one.high,
            "seeds": one.n,
            "series": f"{one.net.kind} {one.net.family} {one.net.width} {one.net.shortcut}",
        }
        for one in verdict.numbers
    ]  # fmt: skip
    columns = ["net", "kind", "depth", "option", "series", "mean", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns).sort_values(["kind", "depth"], ignore_index=True)


def numbers_words(verdict: Verdict) -> pd.DataFrame:
    """The table for people."""
    info = numbers_info(verdict)
    written = lambda value: formats.number(value, verdict.places)  # noqa: E731
    spread = [
        _("{low} to {high}").format(low=written(low), high=written(high)) if n > 1 else formats.NONE
        for low, high, n in zip(info["low"], info["high"], info["seeds"], strict=True)
    ]
    return pd.DataFrame(
        {
            _("Net"): info["net"],
            _("Mean"): info["mean"].map(written),
            _("Range over seeds"): spread,
            _("Seeds"): info["seeds"].astype(str),
        }
    )


def plot_numbers(info: pd.DataFrame, quantity: str) -> go.Figure:
    """The numbers against depth, a line for each kind and option, with the seeds' range.

    Args:
        info: from `numbers_info`.
        quantity: what the numbers are, with the unit.
    """
    if info.empty:
        return theme.empty_figure(_("Not enough runs yet."), height=HEIGHT)
    values = [*info["low"], *info["high"]]
    outlying = max(values) > 5 * pd.Series(values).median()
    axis = labels.axis_of(values, "log" if outlying else "linear")
    if not outlying and info["mean"].min() > 0.5 * info["mean"].max():  # differences, not heights
        room = 0.4 * (max(values) - min(values)) or 1.0
        axis = labels.Axis("linear", max(min(values) - room, 0.0), max(values) + room)
    depths = sorted(set(info["depth"]))  # evenly spaced: a card has no room for true distances
    info = info.assign(place=info["depth"].map(depths.index))
    traces, ends, alone = [], [], []
    for _series, rows in info.groupby("series", sort=False):
        kind, option = rows["kind"].iloc[0], rows["option"].iloc[0]
        style = theme.RunStyle(rows["net"].iloc[-1], rows["net"].iloc[-1], kind, "", 0)
        colour = theme.kind_colour(kind)
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "x": rows["place"], "y": rows["mean"],
                "line": {"color": colour, "width": 2},
                "marker": {"size": 8, "color": colour,
                           "symbol": theme.kind_symbol(kind)},
                "error_y": {
                    "type": "data", "symmetric": False, "visible": bool((rows["seeds"] > 1).any()),
                    "array": rows["high"] - rows["mean"], "arrayminus": rows["mean"] - rows["low"],
                },
                "customdata": rows["net"], "showlegend": False,
                "hovertemplate": "%{customdata}: <b>%{y:.4~g}</b><extra></extra>",
            }
        )  # fmt: skip
        name = theme.kind_title(kind) + (f" {option}" if option not in ("", "A") else "")
        end = End(style, rows["place"].iloc[-1], rows["mean"].iloc[-1], name)
        (ends if len(rows) > 1 else alone).append(end)
    # A net of another width is a point beside the line of its kind: one name is enough for both.
    named = {end.text for end in ends}
    ends += [end for end in alone if end.text not in named]
    layout = theme.layout(
        "", "", [], HEIGHT, hovermode="closest", showlegend=False,
        xaxis={"title": {"text": _("Depth (layers)"), "font": {"size": 11}, "standoff": 2},
               "tickvals": list(range(len(depths))), "ticktext": [str(d) for d in depths],
               "tickangle": 0, "range": labels.span(info["place"]), "tickfont": {"size": 11}},
        yaxis={"nticks": 4, **axis.layout(),
               **({"tickvals": _ticks(axis), "exponentformat": "none"} if outlying else {})},
    )  # fmt: skip
    layout["margin"] |= {"t": 26, "b": 34, "r": labels.room([end.text for end in ends])}
    notes = labels.end_labels(ends, axis, HEIGHT - 60)
    for note, end in zip(notes, sorted(ends, key=lambda e: axis.share(e.y)), strict=True):
        note["text"] = end.text
    # Above the panel, where a card has room for all of it.
    head = {"text": quantity, "font": {"size": 11}, "xref": "paper", "yref": "paper", "x": 0,
            "y": 1, "xanchor": "left", "yanchor": "bottom", "showarrow": False}  # fmt: skip
    layout["annotations"] = [*notes, head]
    return go.Figure({"data": traces, "layout": layout})


def _ticks(axis: labels.Axis) -> list[float]:
    """Round numbers on a logarithmic axis: one, two and five of each decade, or the decades."""
    decades = range(math.floor(axis.low), math.ceil(axis.high) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        shown = [tick for tick in ticks if axis.low <= math.log10(tick) <= axis.high]
        if len(shown) <= 5:
            break
    return shown


def reading(group: Sequence[Run]) -> str:
    """How the verdicts on a group of runs are made, and what not to compare them with."""
    words = _(
        "Verdicts compare these runs with each other by the stated rule. The spread between seeds "
        "is the range over a net's seeds; the largest range applies, 0 where each net has one "
        "seed. Undecided: neither the rule nor its opposite holds."
    )
    if group and not all(claims.comparable_with_paper(run) for run in group):
        words += " " + _(
            "These are not whole CIFAR-10 under the paper's recipe: do not compare their errors "
            "with Table 6."
        )
    return words


def beyond_the_table(verdict: Verdict) -> Sequence[str]:
    """The evidence without the lines of single nets, which the table has."""
    nets = {one.net.name for one in verdict.numbers}
    return [line for line in verdict.evidence if line.partition(":")[0] not in nets]


def rule_words(claim: Claim, verdict: Verdict) -> list[str]:
    """What the paper says, the rule of the verdict, and which nets it is not about."""
    section = _("section {section}").format(section=claim.section)
    paper = _("In the paper, {section}: {words}").format(section=section, words=claim.paper())
    rule = _("Rule: {words}").format(words=claim.rule())
    return [paper, rule, *([verdict.beside_words()] if verdict.beside else [])]
