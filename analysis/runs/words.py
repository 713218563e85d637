"""A run or a recording as a small table, for notebooks."""

from __future__ import annotations

import html


def as_html(title: str, facts: dict[str, object]) -> str:
    """A heading and a row a fact that is known; everything as text."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in (None, "")
    )
    return f"<strong>{html.escape(title)}</strong><table>{rows}</table>"


def percent(value: float | None) -> str:
    """`12.34 %`; empty where none is known."""
    return "" if value is None else f"{value:.2f} %"
