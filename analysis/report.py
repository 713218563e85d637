"""Runs beside each other as one HTML file that needs nothing else: curves, responses, summary.

For sending to someone without the app. Plotly's script is inside, so it opens offline.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import figures
from analysis.escape import visible
from analysis.runs import Comparable, SavedRecording
from analysis.runs.files import write_text
from analysis.runs.format import now
from analysis.text import _

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; font-size: 13px } .wide { overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: right;
  white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.note { border-left: 4px solid #c60; padding: .3rem .8rem; background: #fff7ee }
"""


def write_report(runs: Sequence[Comparable], path: Path | str, **contents: Any) -> None:
    """Write the report, whole or not at all.

    Args:
        runs: one or more; comparability is to the first.
        path: the HTML file.
        contents: other than the usual, as `report` takes them.

    Raises:
        RunDamaged: a table of a run is not whole.
        RunError: the file can't be written.
    """
    text = report(runs, **contents)
    write_text(Path(path), text)


def report(
    runs: Sequence[Comparable],
    title: str = "",
    drawn: Sequence[go.Figure] = (),
    tables: Sequence[tuple[str, pd.DataFrame]] = (),
    notes: Sequence[str] = (),
) -> str:
    """The report as HTML text.

    Args:
        runs: one or more.
        title: the heading; by default the nets.
        drawn: its figures; by default error curves and layer responses.
        tables: (heading, table of words) before the summary.
        notes: before those on comparability.
    """
    title = title or " | ".join(dict.fromkeys(run.net for run in runs))
    drawn = drawn or [
        figures.plot_error_curves(
            figures.error_curves_info(runs), without=figures.without_history(runs)
        ),
        figures.plot_responses(figures.responses_info(runs)),
    ]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *(f'<p class="note">{html.escape(note)}</p>' for note in [*notes, *_notes(runs)]),
        *(_figure(figure, first=index == 0) for index, figure in enumerate(drawn)),
        *(f"<h2>{html.escape(heading)}</h2>{_table(table)}" for heading, table in tables),
        f"<h2>{html.escape(_('Summary'))}</h2>",
        _table(figures.summary_table(figures.summary_info(runs))),
        f"<h2>{html.escape(_('How the runs were made'))}</h2>",
        *(_origin(run) for run in runs),
        f"<p><small>Residual Lens, {now()}</small></p>",
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>" + "\n".join(parts) + "</html>"
    )


def _figure(figure: go.Figure, first: bool) -> str:
    return figures.restyle(figure, "print").to_html(full_html=False, include_plotlyjs=first)


def _notes(runs: Sequence[Comparable]) -> list[str]:
    return [
        _("{run} is not directly comparable with {first}: {reason}").format(
            run=run.id, first=runs[0].id, reason=reason
        )
        for run in runs
        if (reason := figures.comparability(runs)[run.id])
    ]


def _table(table: pd.DataFrame) -> str:
    known = table.astype(object).where(table.notna(), "\u2013")  # pandas writes <NA> for a count
    known = known.map(lambda value: visible(value) if isinstance(value, str) else value)
    text = known.to_html(index=False, border=0, float_format=lambda v: f"{v:.3g}")
    return f'<div class="wide">{text}</div>'


def _origin(run: Comparable) -> str:
    if isinstance(run, SavedRecording):
        words = _("a recording of layer responses: no net, no history")
        return f"<p>{html.escape(run.id)}<br>{html.escape(words)}</p>"
    machine = ", ".join(str(value) for value in run.status.machine.values())
    facts = [run.id, run.config.command, machine]
    return "<p>" + "<br>".join(html.escape(fact) for fact in facts if fact) + "</p>"
