"""A map of one net to click on: stages are rows, blocks are squares in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.figures import theme
from analysis.specs import NetSpec, plan
from analysis.text import _


def netmap_info(spec: NetSpec, values: Mapping[str, float]) -> pd.DataFrame:
    """A row a block, the stem first: name, stage (0 for the stem), block, value.

    Args:
        spec: the net.
        values: by block name, what colours it.
    """
    rows = [("stem", 0, 1, values.get("stem"))]
    rows += [(i.name, i.stage, i.block, values.get(i.name)) for i in plan.blocks(spec)]
    table = pd.DataFrame(rows, columns=["name", "stage", "block", "value"])
    return table.astype({"value": float})


def plot_netmap(info: pd.DataFrame, colour: str, chosen: str, meaning: str) -> go.Figure:
    """Blocks as squares; the chosen one has a ring, the larger the value the more solid.

    Args:
        info: from `netmap_info`.
        colour: of the net.
        chosen: name of the block that is looked at.
        meaning: what the values are.
    """
    values = info["value"].fillna(info["value"].min()).fillna(0)
    above = values - values.min()
    strength = (0.2 + 0.8 * above / (above.max() or 1)).clip(upper=1)  # rounding may exceed 1
    said = [_("no BN") if np.isnan(v) else f"{meaning} {v:.3f}" for v in info["value"]]
    is_chosen = info["name"] == chosen
    trace = {
        "type": "scatter", "x": info["block"], "y": info["stage"], "mode": "markers",
        "marker": {"symbol": "square", "size": 18, "color": colour, "opacity": strength},
        "customdata": info[["name"]].assign(said=said), "showlegend": False,
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
        "selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.6}},
    }  # fmt: skip
    ring = {
        "type": "scatter", "x": info["block"][is_chosen], "y": info["stage"][is_chosen],
        "mode": "markers", "hoverinfo": "skip", "showlegend": False,
        "marker": {"symbol": "square-open", "size": 26, "color": colour, "line": {"width": 3}},
    }  # fmt: skip
    stages = sorted(info["stage"].unique())
    words = [_("stem") if s == 0 else _("stage {number}").format(number=s) for s in stages]
    layout = theme.layout(
        _("Click a block"),
        _("Darker = larger: {meaning}").format(meaning=meaning),
        [],
        height=110 + 38 * len(stages),
    )
    layout |= {
        "hovermode": "closest",
        "dragmode": False,
        "xaxis": {"title": {"text": _("Block")}, "dtick": 1, "fixedrange": True,
                  "range": [0.5, max(6.5, info["block"].max() + 0.5)]},
        "yaxis": {"tickvals": stages, "ticktext": words, "autorange": "reversed",
                  "fixedrange": True, "showgrid": False},
    }  # fmt: skip
    if info["block"].max() > 12:
        layout["xaxis"]["dtick"] = 5
    return go.Figure({"data": [ring, trace], "layout": layout})
