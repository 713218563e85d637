"""The app's figures in a notebook: `compare(runs)`, `refinement(runs)`, `study(name)`; no torch.

Runs are named as on the command line (an id, a part of one, a net, a path, a recording's title), or
given as objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from analysis import figures
from analysis.errors import RunError
from analysis.figures.refinement import plot_by_block, refinement_info
from analysis.jobs import Study, study_parts
from analysis.runs import Comparable, Run, find_comparable, list_runs

Named = Comparable | str | Path


@dataclass(frozen=True)
class Comparison:
    """Compare's figures and table; shown where it is the last line of a cell."""

    errors: go.Figure
    """Training and test error by epoch (Fig. 6)."""
    responses: go.Figure
    """Layer responses in original order and sorted (Fig. 7)."""
    summary: pd.DataFrame
    """What the runs are, and how they ended."""

    def _repr_html_(self) -> str:
        drawn = (
            figure.to_html(full_html=False, include_plotlyjs="cdn" if first else False)
            for figure, first in ((self.errors, True), (self.responses, False))
        )
        return "".join(drawn) + self.summary.to_html(index=False, border=0)


def compare(
    runs: Named | Iterable[Named], folders: Iterable[Path | str] | None = None
) -> Comparison:
    """Error curves, layer responses and the summary of any runs and recordings.

    Args:
        runs: one or more; the first is the one that the others are compared with.
        folders: where to look for names; by default the bundled runs and the user's.

    Raises:
        RunError: a name that none or several have.
        RunDamaged: a table of a run is not whole.
    """
    found = _found(runs, folders)
    without = figures.without_history(found)
    return Comparison(
        figures.plot_error_curves(figures.error_curves_info(found), without=without),
        figures.plot_responses(figures.responses_info(found)),
        figures.summary_words(figures.summary_info(found)),
    )


def refinement(
    runs: Named | Iterable[Named], folders: Iterable[Path | str] | None = None
) -> go.Figure:
    """rms(F)/rms(x) by block of residual nets and of recordings; arguments and errors as above."""
    return plot_by_block(refinement_info(_found(runs, folders)))


def study(name: str, folders: Iterable[Path | str] | None = None) -> Study:
    """The runs of a study (`python -m analysis study NAME`), shown as a table.

    Raises:
        RunError: no run belongs to a study of this name.
    """
    found = study_parts(name, (run for run in list_runs(folders) if isinstance(run, Run)))
    if not found:
        raise RunError("there is no run of a study {name}", name=name)
    return Study(found)


def _found(
    runs: Named | Iterable[Named], folders: Iterable[Path | str] | None
) -> Sequence[Comparable]:
    given = [runs] if isinstance(runs, Comparable | str | Path) else list(runs)
    places = None if folders is None else list(folders)
    return [
        find_comparable(str(run), places) if isinstance(run, str | Path) else run for run in given
    ]
