"""What the Compare page shows, read off an AppTest."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest


def figures(page: AppTest) -> tuple[dict, dict]:
    """The two figures as the browser gets them."""
    assert not page.exception, page.exception[0].message
    curves, responses = (json.loads(chart.proto.spec) for chart in page.get("plotly_chart"))
    return curves, responses


def drawn(figure: dict) -> list[dict]:
    """The runs' own lines: no band, nothing that carries labels."""
    return [trace for trace in figure["data"] if "meta" not in trace]


def legend(figure: dict) -> list[str]:
    return [trace["name"] for trace in figure["data"] if trace.get("showlegend")]
