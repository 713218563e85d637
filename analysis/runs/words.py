"""A run or a recording as a small table, for notebooks."""

from __future__ import annotations

from analysis.escape import for_html


def as_html(title: str, facts: dict[str, object]) -> str:
    """A heading and a row a fact that is known; everything as text."""
    rows = "".join(
        f"<tr><th>{for_html(name)}</th><td>{for_html(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in (None, "")
    )
    return f"<strong>{for_html(title)}</strong><table>{rows}</table>"


def percent(value: float | None) -> str:
    """`12.34 %`; empty where none is known."""
    return "" if value is None else f"{value:.2f} %"
