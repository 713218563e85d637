"""What fitting the identity looked like: loss by step, gradients and kernels by layer."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from analysis.figures import theme
from analysis.specs import KINDS
from analysis.text import _

COLOURS = {str(kind): theme.kind_colour(kind) for kind in KINDS}


def plot_losses(losses: pd.DataFrame, floor: float, steps: int) -> go.Figure:
    """Loss of both nets by step, on a logarithmic axis.

    Args:
        losses: kind, step, loss (relative to the mean square of H).
        floor: the least that a net ending in ReLU can reach; drawn where above 0.
        steps: the whole length, so that the axis stays while the curves grow.
    """
    names = {str(kind): str(info.title) for kind, info in KINDS.items()}
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": names[str(kind)], "x": rows["step"],
            "y": rows["loss"], "line": {"color": COLOURS[str(kind)], "width": 2.5},
            "hovertemplate": names[str(kind)] + " <b>%{y:.4f}</b><extra></extra>",
        }
        for kind, rows in losses.groupby("kind")
    ]  # fmt: skip
    if floor > 0:
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": _("cut off by the last ReLU"),
                "x": [0, steps], "y": [floor, floor],
                "line": {"color": "#8a857f", "dash": "dash", "width": 1.2},
                "hovertemplate": "%{y:.3f}<extra></extra>",
            }
        )  # fmt: skip
    axes = {
        "xaxis": {"title": {"text": _("Step")}, "range": [0, steps]},
        "yaxis": {"title": {"text": _("Loss / mean square of H")}, "type": "log"},
    }
    title = _("Fitting the identity")
    return go.Figure(
        {
            "data": traces,
            "layout": theme.layout(title, "", [t["name"] for t in traces], 340, **axes),  # ty: ignore[invalid-argument-type]
        }
    )


def plot_layers(layers: pd.DataFrame, column: str) -> go.Figure:
    """One value a layer, at the first and the last recorded step.

    Args:
        layers: kind, step, layer, gradient_norm, dirac_distance.
        column: `gradient_norm` or `dirac_distance`.
    """
    gradient = column == "gradient_norm"
    title = _("Gradient norm by layer") if gradient else _("Distance from a Dirac kernel")
    traces = []
    for step, dash in ((layers["step"].min(), "dot"), (layers["step"].max(), "solid")):
        for kind, rows in layers[layers["step"] == step].groupby("kind"):
            words = _("{kind}, step {step}")
            name = words.format(kind=KINDS[kind].title, step=step)
            traces.append(
                {
                    "type": "scatter", "mode": "lines+markers", "name": name, "x": rows["layer"],
                    "y": rows[column], "line": {"color": COLOURS[str(kind)], "dash": dash},
                    "hovertemplate": name + " <b>%{y:.4f}</b><extra></extra>",
                }
            )  # fmt: skip
    axes = {
        "xaxis": {"title": {"text": _("Layer")}, "dtick": 1},
        "yaxis": {
            "title": {"text": title},
            **({"type": "log"} if gradient else {"range": [0, 1.05]}),
        },
    }
    return go.Figure(
        {
            "data": traces,
            "layout": theme.layout(title, "", [t["name"] for t in traces], 340, **axes),  # ty: ignore[invalid-argument-type]
        }
    )
