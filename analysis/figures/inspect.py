"""One image's way through nets, drawn: layer responses over the data set's, predictions by depth.

Knows tables of `analysis.lens` by their columns, not how they came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.escape import for_plotly
from analysis.figures import theme
from analysis.figures.theme import RunStyle
from analysis.text import _

BAND = 0.16
"""Opacity of the data set's distribution."""


def image_responses_info(
    styles: Sequence[RunStyle],
    responses: Mapping[str, pd.DataFrame],
    spreads: Mapping[str, Mapping[str, np.ndarray]],
    layers: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """A row a run and 3x3 layer: this image's response std and the data set's distribution of it.

    Columns: run, net, kind, label, variant; layer, index (among the 3x3 layers, from 1), std (this
    image's), mean, q05, q25, q50, q75, q95 (of the data set's images; nan where not surveyed).

    Args:
        styles: of the runs, in order.
        responses: by run id, the `responses` table of this image alone.
        spreads: by run id, columns of `lens.survey.distribution`; runs may be missing.
        layers: by run id, the layers that the spreads' rows are of.
    """
    parts = []
    for style in styles:
        table = responses[style.run]
        shown = table[(table["kernel"] == 3) & (table["conv"] != 0)][["layer", "order", "std"]]
        spread = pd.DataFrame(spreads.get(style.run, {}), columns=list(SPREAD), dtype=float)
        spread["layer"] = list(layers.get(style.run, ())) or None
        shown = shown.sort_values("order").merge(spread, on="layer", how="left")
        shown["index"] = np.arange(1, len(shown) + 1)
        parts.append((style, shown))
    return theme.stack(parts, ("layer", "index", "std", *SPREAD))


SPREAD = ("mean", "q05", "q25", "q50", "q75", "q95")


def plot_image_responses(info: pd.DataFrame) -> go.Figure:
    """This image's response by layer (line) over the data set's 5-95 % and 25-75 % (bands)."""
    title = _("Layer responses to this image")
    if info.empty:
        return theme.empty_figure(_("Choose a run above."), title)
    traces: list[dict[str, Any]] = []
    for style, rows, look in theme.looks(info, None):
        for low, high in (("q05", "q95"), ("q25", "q75")):
            if rows[low].notna().any():
                traces.append(_band(rows, low, high, style, look))
        traces.append(
            {
                "type": "scatter",
                "x": rows["index"],
                "y": rows["std"],
                "name": style.label,
                "mode": "lines+markers",
                "customdata": rows["layer"].map(for_plotly),
                "line": {"color": style.colour, "dash": style.dash, "width": 2},
                "marker": {"symbol": style.symbol, "size": 5},
                "hovertemplate": "%{y:.3f} (%{customdata})",
                **look,
            }
        )
    subtitle = _("Line: this image. Bands: 5-95 % and 25-75 % of the data set's test images")
    layout = theme.layout(
        title, subtitle, [trace["name"] for trace in traces if "name" in trace], 400
    )
    layout["xaxis"] = {"title": {"text": _("3x3 layer, original order")}}
    layout["yaxis"] = {
        "title": {"text": _("Standard deviation of the response")},
        "rangemode": "tozero",
    }
    return go.Figure({"data": traces, "layout": layout})


def _band(rows: pd.DataFrame, low: str, high: str, style: RunStyle, look: dict) -> dict:
    red, green, blue = (int(style.colour[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "type": "scatter",
        "x": np.concatenate([rows["index"], rows["index"][::-1]]),
        "y": np.concatenate([rows[low], rows[high][::-1]]),
        "fill": "toself", "fillcolor": f"rgba({red},{green},{blue},{BAND})",
        "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, **look,
    }  # fmt: skip


FORMING = ("place", "depth", "source", "class", "probability", "accuracy")


def forming_info(
    styles: Sequence[RunStyle],
    tables: Mapping[str, pd.DataFrame],
    classes: Mapping[str, Sequence[str]],
    shown: int,
) -> pd.DataFrame:
    """One class's probability by depth: a row a run, place and source (head or readout).

    Args:
        styles: of the runs, in order.
        tables: by run id, from `lens.readout.forming`.
        classes: by run id, class names.
        shown: index of the class.
    """
    parts = []
    for style in styles:
        table = tables[style.run]
        rows = table[table["index"] == shown].copy()
        names = classes[style.run]
        rows["class"] = names[shown] if shown < len(names) else str(shown)
        parts.append((style, rows))
    return theme.stack(parts, FORMING)


def plot_forming(info: pd.DataFrame) -> go.Figure:
    """Class probability against depth: fitted readouts thin, the net's own head thick."""
    title = _("How the prediction forms")
    if info.empty:
        return theme.empty_figure(_("Choose a run above."), title)
    title = _("How the prediction forms: {name}").format(name=for_plotly(info["class"].iloc[0]))
    traces: list[dict[str, Any]] = []
    for style, mine, look in theme.looks(info, None):
        for source, width, name in (
            ("readout", 1.3, _("{net}, readout")), ("head", 3, _("{net}, own classifier")),
        ):  # fmt: skip
            rows = mine[mine["source"] == source]
            if rows.empty:
                continue
            traces.append(
                {
                    "type": "scatter",
                    "x": rows["depth"],
                    "y": rows["probability"],
                    "mode": "lines+markers",
                    "name": name.format(net=style.label),
                    "line": {
                        "color": style.colour,
                        "width": width,
                        "dash": style.dash if source == "head" else "dot",
                    },
                    "marker": {"symbol": style.symbol, "size": 6},
                    "customdata": rows["place"].map(for_plotly),
                    "hovertemplate": "%{y:.3f} (%{customdata})",
                    **look,
                }
            )
    subtitle = _("Thick: the net's own classifier. Dotted: a linear readout fitted on that block")
    layout = theme.layout(title, subtitle, [trace["name"] for trace in traces], 420)
    layout["xaxis"] = {"title": {"text": _("Weighted layers passed")}}
    layout["yaxis"] = {"title": {"text": _("Probability")}, "range": [-0.02, 1.02]}
    return go.Figure({"data": traces, "layout": layout})


def plot_sanity(table: pd.DataFrame, style: RunStyle) -> go.Figure:
    """Similarity to the trained net's map against the layers that were drawn anew."""
    title = _("Does the map depend on what was learned?")
    labels = [for_plotly(part) or _("trained") for part in table["randomised"]]
    trace = {
        "type": "scatter", "x": labels, "y": table["correlation"], "mode": "lines+markers",
        "name": for_plotly(style.label), "line": {"color": style.colour}, "showlegend": False,
        "hovertemplate": "%{y:.2f}",
    }  # fmt: skip
    layout = theme.layout(title, "", [], 300)
    layout["xaxis"] = {"title": {"text": _("Drawn anew, from the head down to")}}
    layout["yaxis"] = {"title": {"text": _("Rank correlation")}, "range": [-0.3, 1.05]}
    return go.Figure({"data": [trace], "layout": layout})


def plot_tiles(
    pixels: np.ndarray, centres: np.ndarray, labels: Sequence[str], title: str
) -> go.Figure:
    """A tiled picture whose tiles can be clicked: markers over it, as only those are selectable."""
    from PIL import Image

    height, width = pixels.shape[:2]
    trace = {
        "type": "scatter", "x": centres[:, 0], "y": centres[:, 1], "mode": "markers",
        "marker": {"size": 24, "opacity": 0, "color": "#888888", "symbol": "square"},
        "text": list(labels), "hovertemplate": "%{text}<extra></extra>", "showlegend": False,
        "selected": {"marker": {"opacity": 0.01}}, "unselected": {"marker": {"opacity": 0.01}},
    }  # fmt: skip
    axis = {"visible": False, "fixedrange": True, "constrain": "domain"}
    picture = {
        "source": Image.fromarray(pixels), "xref": "x", "yref": "y", "x": 0, "y": 0,
        "sizex": width, "sizey": height, "sizing": "stretch", "layer": "below",
    }  # fmt: skip
    layout = theme.layout(title, "", [], round(min(620, 60 + 640 * height / width)))
    layout |= {
        "hovermode": "closest",
        "hoverdistance": -1,  # a click anywhere in a tile is its marker's, the nearest
        "images": [picture],
        "xaxis": {**axis, "range": [0, width]},
        "yaxis": {**axis, "range": [height, 0], "scaleanchor": "x"},
        "margin": {"t": 48, "r": 0, "b": 0, "l": 0},
    }
    return go.Figure({"data": [trace], "layout": layout})
