"""The constructed net trained on against the same depth from scratch: is what was given kept?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import formats
from analysis.evidence.claims import test_error, train_error
from analysis.evidence.continuation import Study
from analysis.figures import theme
from analysis.runs import Run
from analysis.text import _

COLUMNS = ("series", "run", "net", "seed", "epoch", "measure", "error")

_SCRATCH = "#8a857f"
"""Of the net from scratch: it has the constructed one's own colour by its name."""


def construction_info(study: Study) -> pd.DataFrame:
    """A row an error: of the shallower net, the constructed one, and the same depth from scratch.

    Columns: series (shallow, constructed, scratch), run, net, seed, epoch, measure (running:
    training error on augmented batches; clean: on the clean training images; test), error
    (percent). The shallower net has its last epoch alone; the constructed one begins at epoch 0
    with what was measured before any step.

    Raises:
        RunDamaged: a run's history is not whole.
    """
    rows: list[tuple] = []
    rows += _shallow(study)
    for run in study.trained_on or [study.built]:
        rows += _of_history("constructed", run, study.built)
        if run is not study.built:
            rows += [row for row in _of_history("constructed", run, run) if row[4] > 0]
    for run in study.scratch:
        rows += _of_history("scratch", run, run)
    return pd.DataFrame(rows, columns=list(COLUMNS)).dropna(subset="error", ignore_index=True)


def _shallow(study: Study) -> list[tuple]:
    """The shallower net's last errors: as measured beside the constructed net, else as recorded."""
    run, origin = study.shallow, study.built.construction
    assert origin is not None
    if origin.errors is not None:
        errors = {"clean": origin.errors.train, "test": origin.errors.test}
    else:
        errors = {"clean": train_error(run), "test": test_error(run)} if run else {}
    seed, epoch = (run.config.seed, run.status.epoch) if run else (study.built.config.seed, 0)
    own = ("shallow", origin.run, origin.net, seed, epoch)
    return [(*own, name, error) for name, error in errors.items()]


def _of_history(series: str, run: Run, of: Run) -> list[tuple]:
    """The history of `of` as rows of `run`."""
    columns = {"train_error": "running", "train_error_clean": "clean", "test_error": "test"}
    history = of.history()[["epoch", *columns]].melt("epoch")
    own = (series, run.id, run.net, run.config.seed)
    return [
        (*own, int(epoch), columns[name], error)
        for epoch, name, error in history.itertuples(index=False)
    ]


def blocks_words(blocks: pd.DataFrame) -> pd.DataFrame:
    """The table of `lens.construction.block_differences` for people."""
    yes, no = _("yes"), _("no")
    return pd.DataFrame(
        {
            _("Block"): blocks["block"],
            _("Stage"): blocks["stage"],
            _("Inserted"): [yes if inserted else no for inserted in blocks["inserted"]],
            _("Compared with"): blocks["compared_to"],
            _("Largest output"): blocks["largest"],
            _("Largest difference"): [formats.small(d) for d in blocks["difference"]],
        }
    )


def same_function_words(built: Run) -> str:
    """Training and test error of the constructed net and its origin; empty: not measured."""
    origin, status = built.construction, built.status
    errors = origin.errors if origin else None
    trained, tested = status.train_error_clean, status.test_error
    if errors is None or trained is None or tested is None:
        return ""
    values = {"training": (errors.train, trained), "test": (errors.test, tested)}
    return " ".join(_error_words(name, *both) for name, both in values.items())


def _error_words(name: str, before: float, after: float) -> str:
    """Both nets' error: once where it is the same to four places."""
    words = {
        ("training", True): _("Training error: {a} in both nets."),
        ("training", False): _("Training error: {a} in the shallower net, {b} in the deeper one."),
        ("test", True): _("Test error: {a} in both nets."),
        ("test", False): _("Test error: {a} in the shallower net, {b} in the deeper one."),
    }
    same = round(before, 4) == round(after, 4)
    places = 2 if same else 4
    return words[name, same].format(
        a=formats.percent(before, places), b=formats.percent(after, places)
    )


def given(info: pd.DataFrame) -> float:
    """Clean training error of the constructed net before any step, percent; NaN: not measured."""
    rows = info[(info["series"] == "constructed") & (info["measure"] == "clean")]
    first = rows.loc[rows["epoch"] == 0, "error"]
    return float(first.iloc[0]) if len(first) else float("nan")


def kept_words(info: pd.DataFrame, names: Mapping[str, str] | None = None) -> list[str]:
    """What became of the training error that was given: a sentence a run that has finished.

    Args:
        info: from `construction_info`.
        names: what runs are called, by id; the id where that is not said.
    """
    names = names or {}
    start = given(info)
    clean = info[(info["measure"] == "clean") & (info["epoch"] > 0)]
    lines = [_("Given: {error:.2f} % training error at epoch 0").format(error=start)]
    for series, run, error in clean[["series", "run", "error"]].itertuples(index=False):
        if series == "constructed":
            words = (
                _("Trained on: {error:.2f} %, kept (not above what was given): {run}")
                if error <= start
                else _("Trained on: {error:.2f} %, not kept (above what was given): {run}")
            )
            lines.append(words.format(error=error, run=names.get(run, run)))
        elif series == "scratch":
            words = _("From scratch: {error:.2f} %: {run}")
            lines.append(words.format(error=error, run=names.get(run, run)))
    return lines


def plot_construction(info: pd.DataFrame) -> go.Figure:
    """Training error (thick) and test error (thin) by epoch, and the shallower net's as levels.

    Args:
        info: from `construction_info`.
    """
    title = _("Does training preserve the constructed solution?")
    if info.empty:
        return theme.empty_figure(_("Nothing measured yet."), title)
    last = max(int(info["epoch"].max()), 1)
    traces: list[dict[str, Any]] = []
    for (series, run), rows in info.groupby(["series", "run"], sort=False):  # ty: ignore[not-iterable]
        if series == "shallow":
            traces += _levels(rows, last)
        else:
            traces += _curves(rows, str(series), str(run), info)
    subtitle = _(
        "Thick: training error, running on augmented batches; diamonds: on clean images.<br>"
        "Thin, dotted: test error. Horizontal: the shallower net's end."
    )
    axes = {
        "xaxis": {
            "title": {"text": _("Epoch")},
            "range": [-0.03 * last, 1.03 * last],
            "dtick": max(1, round(last / 10)),
        },
        "yaxis": {"title": {"text": _("Error (%)")}, "rangemode": "tozero"},
    }
    labels = [t["name"] for t in traces if t["showlegend"]]
    layout = theme.layout(title, subtitle, labels, 380, hovermode="closest", **axes)
    return go.Figure({"data": traces, "layout": layout})


def _levels(rows: pd.DataFrame, last: int) -> list[dict[str, Any]]:
    net = rows["net"].iloc[0]
    words = {
        "clean": _("{net} at its end, training").format(net=net),
        "test": _("{net} at its end, test").format(net=net),
    }
    return [
        {
            "type": "scatter", "mode": "lines", "name": words[row["measure"]],
            "x": [0, last], "y": [row["error"]] * 2, "showlegend": row["measure"] == "clean",
            "line": {"color": theme.net_colour(net), "dash": "solid" if row["measure"] == "clean"
                     else "dot", "width": 2 if row["measure"] == "clean" else 1.2},
            "hovertemplate": words[row["measure"]] + " <b>%{y:.2f} %</b><extra></extra>",
        }
        for row in rows.to_dict("records")
    ]  # fmt: skip


def _curves(rows: pd.DataFrame, series: str, run: str, info: pd.DataFrame) -> list[dict[str, Any]]:
    net, seed = rows["net"].iloc[0], rows["seed"].iloc[0]
    name = (
        _("{net}, constructed") if series == "constructed" else _("{net}, from scratch")
    ).format(net=net)
    if info.loc[info["series"] == series, "seed"].nunique() > 1:
        name += ", " + _("seed {seed}").format(seed=seed)
    colour = theme.net_colour(net) if series == "constructed" else _SCRATCH
    common = {"type": "scatter", "legendgroup": run}
    styles = {
        "running": {"mode": "lines", "line": {"color": colour, "width": 3}},
        "clean": {"mode": "markers", "marker": {"color": colour, "size": 11, "symbol": "diamond"}},
        "test": {"mode": "lines+markers", "marker": {"size": 4, "color": colour},
                 "line": {"color": colour, "width": 1.2, "dash": "dot"}},
    }  # fmt: skip
    words = {"running": _("training, running"), "clean": _("training, clean images"),
             "test": _("test")}  # fmt: skip
    named = next((m for m in ("running", "clean", "test") if m in set(rows["measure"])), "")
    return [
        {
            **common, **styles[measure], "name": name, "x": own["epoch"], "y": own["error"],
            "showlegend": measure == named,
            "hovertemplate": f"{name}, {words[measure]} <b>%{{y:.2f}} %</b><extra></extra>",
        }
        for measure, own in ((m, rows[rows["measure"] == m].sort_values("epoch")) for m in styles)
        if len(own)
    ]  # fmt: skip
