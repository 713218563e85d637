"""A net drawn from its NetSpec, as in Fig. 3: stages, filters, maps, shortcuts solid or dotted."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.figures import theme
from analysis.specs import NetSpec, plan
from analysis.text import _

_STAGE_COLOURS = ("#8a857f", "#7f4ce6", "#0b8f4f", "#c2410c", "#0171b9", "#8a857f")


def diagram_info(spec: NetSpec) -> pd.DataFrame:
    """A row a box and a row a shortcut, in forward order.

    Columns: element (layer or shortcut), text, stage, map_size (pixels), start and end (position
    of the boxes, from 0; a shortcut spans its block's), line (solid: identity, dotted: dimensions
    change, as in Fig. 3; empty for layers).
    """
    rows, place, first = [], 0, {}
    for layer in plan.layers(spec):
        if layer.role == "projection":
            continue
        text = f"{layer.kernel}x{layer.kernel} conv, {layer.c_out}" + (
            ", /2" if layer.stride > 1 else ""
        )
        if layer.role == "head":
            text = f"avg pool, fc {layer.c_out}"
        first.setdefault(layer.block_name, place)
        rows.append(("layer", text, layer.stage, layer.map_size, place, place, ""))
        place += 1
    for block in plan.blocks(spec):
        if block.shortcut != "none":
            start = first[block.name]
            convs = len(plan.block_convs(spec, block))
            dotted = block.stride > 1 or block.c_in != block.c_out
            rows.append(
                ("shortcut", block.shortcut, block.stage, 0, start, start + convs - 1,
                 "dot" if dotted else "solid")
            )  # fmt: skip
    columns = ["element", "text", "stage", "map_size", "start", "end", "line"]
    return pd.DataFrame(rows, columns=columns)


def plot_diagram(info: pd.DataFrame, title: str) -> go.Figure:
    """Boxes from top to bottom, one a layer, with arcs for the shortcuts."""
    layers = info[info["element"] == "layer"]
    shapes: list[dict[str, Any]] = []
    for row in layers.itertuples():
        colour = _STAGE_COLOURS[row.stage % len(_STAGE_COLOURS)]
        shapes.append(
            {"type": "rect", "x0": 0, "x1": 1, "y0": row.start + 0.14, "y1": row.start + 0.86,
             "line": {"color": colour, "width": 1.5}, "fillcolor": colour, "opacity": 0.28}
        )  # fmt: skip
    for row in info[info["element"] == "shortcut"].itertuples():
        top, bottom = row.start, row.end + 1.0
        shapes.append(
            {"type": "path", "path": f"M 1,{top} C 1.35,{top} 1.35,{bottom} 1,{bottom}",
             "line": {"color": "#8a857f", "width": 2, "dash": row.line}}
        )  # fmt: skip
    texts = {
        "type": "scatter", "mode": "text", "x": [0.5] * len(layers), "y": layers["start"] + 0.5,
        "text": layers["text"], "hoverinfo": "skip", "showlegend": False, "textfont": {"size": 11},
    }  # fmt: skip
    heads = layers.drop_duplicates("stage")
    sizes = {
        "type": "scatter", "mode": "text", "x": [-0.12] * len(heads), "y": heads["start"] + 0.5,
        "text": [_("map {size}").format(size=size) for size in heads["map_size"]],
        "hoverinfo": "skip", "showlegend": False, "textfont": {"size": 11},
    }  # fmt: skip
    axes = {
        "xaxis": {"visible": False, "range": [-0.3, 1.4], "fixedrange": True},
        "yaxis": {"visible": False, "range": [len(layers) + 0.2, -0.2]},
        "shapes": shapes,
        "hovermode": False,
    }
    height = 90 + 22 * len(layers)
    return go.Figure(
        {"data": [texts, sizes], "layout": theme.layout(title, "", [], height, **axes)}
    )
