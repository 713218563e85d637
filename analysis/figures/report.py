"""Runs beside each other as one HTML file that needs nothing else: curves, responses, summary.

For sending to someone without the app. Plotly's script is inside, so it opens offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import figures
from analysis.escape import for_html
from analysis.figures import curves, html, refinement, responses, theme
from analysis.figures.refinement_training import plot_training, training_info
from analysis.runs import Comparable, Run
from analysis.runs.files import write_text
from analysis.runs.format import now
from analysis.text import _, current_language

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; font-size: 13px } .wide { overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: right }
td:first-child { white-space: nowrap }
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
        drawn: its figures; by default error curves, layer responses and what is known of blocks.
        tables: (heading, table of words) before the summary.
        notes: before those on comparability.
    """
    nets = list(dict.fromkeys(run.net for run in runs))
    title = title or (" | ".join(nets) if len(nets) <= _NAMED else _("Plain vs residual nets"))
    drawn = drawn or [*_compared(runs), *refinement_figures(runs)]
    parts = [
        f"<h1>{for_html(title)}</h1>",
        *(f'<p class="note">{for_html(note)}</p>' for note in [*notes, *_notes(runs)]),
        *(html.figure(theme.sign(figure, figures.conditions(runs))) for figure in drawn),
        *(f"<h2>{for_html(heading)}</h2>{html.table(table)}" for heading, table in tables),
        f"<h2>{for_html(_('Summary'))}</h2>",
        html.table(summary(runs)),
        f"<h2>{for_html(_('How the runs were made'))}</h2>",
        *(f"<p>{'<br>'.join(map(for_html, html.origin(run)))}</p>" for run in runs),
        f"<p><small>Residual Lens, {now()}</small></p>",
        f'<script type="text/plain" id="plotly">{html.packed_plotly()}</script>',
        f"<script>{html.DRAW}</script>",
    ]
    lang = current_language().replace("_", "-")
    return (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{for_html(title)}</title><style>{_STYLE}</style>" + "\n".join(parts) + "</html>"
    )


_NAMED = 4
"""Nets that a heading has room for."""


def _compared(runs: Sequence[Comparable]) -> list[go.Figure]:
    """Both figures of Compare, as it opens: one line for all seeds, panels where they are fit."""
    errors, stds = figures.error_curves_info(runs), figures.responses_info(runs)
    return [
        figures.plot_error_curves(
            curves.over_seeds(errors, runs), arrangement=curves.fitting_arrangement(runs),
            without=figures.without_history(runs),
        ),
        figures.plot_responses(responses.over_seeds(stds, runs)),
    ]  # fmt: skip


def refinement_figures(runs: Sequence[Comparable]) -> list[go.Figure]:
    """How small the blocks' refinements are, as far as the runs recorded it; none where none did.

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    ours = [run for run in runs if isinstance(run, Run)]
    info = refinement.refinement_info(ours)
    if info.empty:
        return []
    drawn = [refinement.plot_by_block(info), refinement.plot_sorted(info)]
    drawn.append(refinement.plot_by_block(info, "cosine"))
    course = training_info(ours, "ratio")
    return drawn if course.empty else [*drawn, plot_training(course, "ratio")]


def _notes(runs: Sequence[Comparable]) -> list[str]:
    return [
        _("{run} is not directly comparable with {first}: {reason}").format(
            run=run.id, first=runs[0].id, reason=reason
        )
        for run in runs
        if (reason := figures.comparability(runs)[run.id])
    ]


def summary(runs: Sequence[Comparable]) -> pd.DataFrame:
    """The summary without what is the same of all runs or in their names: it has to fit a page."""
    words = figures.summary_words(figures.summary_info(runs))
    headings = figures.summary_titles()
    plain = [headings[name] for name in ("depth", "shortcut")]
    same = [headings[name] for name in ("state", "recipe", "data")
            if words[headings[name]].nunique() == 1]  # fmt: skip
    return words.drop(columns=[*plain, *same])
