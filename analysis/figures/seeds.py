"""Runs that differ in nothing but the seed are one line: their mean, and a band that holds them.

The band goes from the least to the largest value, never a sample of them (DESIGN, section 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.figures import theme
from analysis.figures.theme import RunStyle
from analysis.runs import Comparable, Run
from analysis.runs.labels import labels_of

OPACITY = 0.18
"""Of a band."""


def groups(runs: Sequence[Comparable]) -> list[list[Comparable]]:
    """Runs of one net, recipe and data that differ in the seed alone, in the order given.

    Only finished runs are put together; a seed that was trained twice has a second group.
    """
    found: dict[tuple, list[Comparable]] = {}
    for run in runs:
        if not isinstance(run, Run) or run.state != "finished" or run.has_no_history:
            key: tuple = ("alone", run.id)
        else:
            own = (run.config.net, run.comparison_key, run.recipe, labels_of(run).name)
            seed = run.config.seed
            again = sum(
                isinstance(o, Run) and o.config.seed == seed
                for k, others in found.items() if k[0] == own for o in others
            )  # fmt: skip
            key = own, again
        found.setdefault(key, []).append(run)
    return list(found.values())


def group_styles(runs: Sequence[Comparable]) -> dict[str, RunStyle]:
    """By each run's id how its group is drawn: as the group's first run, named without seeds."""
    together = groups(runs)
    styles = theme.run_styles([group[0] for group in together])
    return {run.id: style for group, style in zip(together, styles, strict=True) for run in group}


def single_styles(runs: Sequence[Comparable]) -> dict[str, RunStyle]:
    """By each run's id how it is drawn as a line of its own."""
    return {style.run: style for style in theme.run_styles(runs)}


def counts(runs: Sequence[Comparable]) -> dict[str, int]:
    """How many seeds each group has, by the id of its first run."""
    return {group[0].id: len(group) for group in groups(runs)}


def merge(
    info: pd.DataFrame, runs: Sequence[Comparable], along: str, values: Sequence[str]
) -> pd.DataFrame:
    """An info table with a row for each group in place of each run.

    The columns in `values` become means; NAME_low and NAME_high are the least and the largest,
    and `seeds` says of how many. Other columns are the first run's.

    Args:
        info: with a row a run and place.
        runs: those it is of.
        along: the column that says which rows of the runs belong together.
        values: columns of numbers.
    """
    if info.empty:
        return info.assign(seeds=0)
    styles = group_styles(runs)
    names = list(theme.STYLE_COLUMNS)
    own = info["run"].map(lambda run: _columns(styles[run]))
    table = info.assign(**{name: [style[name] for style in own] for name in names})
    grouped = table.groupby(["run", along], sort=False, observed=True)
    rest = [name for name in table if name not in (*names, along, *values)]
    spec: dict[str, Any] = {name: (name, "first") for name in (*names[1:], *rest)}
    for name in values:
        spec |= {name: (name, "mean"), f"{name}_low": (name, "min"), f"{name}_high": (name, "max")}
    merged = grouped.agg(**spec, seeds=(values[0], "size")).reset_index()
    whole = merged.groupby("run")["seeds"].transform("max")
    merged = merged[merged["seeds"] == whole]  # where a seed is missing the mean would jump
    return merged[[*names, *[c for c in merged if c not in names]]].reset_index(drop=True)


def _columns(style: RunStyle) -> dict[str, Any]:
    """A style as columns."""
    return {name: getattr(style, name) for name in theme.STYLE_COLUMNS}


def band(
    x: pd.Series, low: pd.Series, high: pd.Series, style: RunStyle, shared: dict[str, Any]
) -> dict[str, Any]:
    """The area between the least and the largest, in the line's colour."""
    red, green, blue = (int(style.colour[i : i + 2], 16) for i in (1, 3, 5))
    return {
        **shared,
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *x[::-1]],
        "y": [*high, *low[::-1]],
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},{OPACITY})",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "meta": "band",
    }
