"""The paper's figures from runs of one data set and recipe: which it takes, which are there.

An experiment names its nets; `jobs.parts` finds the run of each; `write_figure` draws what has
finished.
Training what is missing is the command line's affair (`analysis.cli.reproduce`). No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from analysis import figures
from analysis.errors import SpecError
from analysis.figures.depth import depth_info, plot_depth
from analysis.figures.refinement_depth import by_depth_info, plot_by_depth
from analysis.figures.report import refinement_figures, write_report
from analysis.figures.table6 import table6_info, table6_words
from analysis.runs import Run
from analysis.text import _


@dataclass(frozen=True)
class Experiment:
    """One figure or table of the paper and the nets behind it."""

    name: str
    source: str
    """Where in the paper."""
    title: Callable[[], str]
    nets: tuple[str, ...]
    draw: Callable[[Sequence[Run]], list[go.Figure]]


def _figure_6(runs: Sequence[Run]) -> list[go.Figure]:
    return [figures.plot_error_curves(figures.error_curves_info(runs), arrangement="panels")]


def _figure_7(runs: Sequence[Run]) -> list[go.Figure]:
    return [figures.plot_responses(figures.responses_info(runs))]


def _table_6(runs: Sequence[Run]) -> list[go.Figure]:
    return [plot_depth(depth_info(runs))]


def _refinement(runs: Sequence[Run]) -> list[go.Figure]:
    depths = by_depth_info(runs)
    return [*refinement_figures(runs), plot_by_depth(depths, "ratio")]


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "fig6",
            "Fig. 6",
            lambda: _("Training of plain and residual nets"),
            ("plain-20", "plain-32", "plain-44", "plain-56", "resnet-20", "resnet-32", "resnet-44",
             "resnet-56", "resnet-110"),
            _figure_6,
        ),
        Experiment(
            "fig7",
            "Fig. 7",
            lambda: _("Layer responses of plain and residual nets"),
            ("plain-20", "plain-56", "resnet-20", "resnet-56", "resnet-110"),
            _figure_7,
        ),
        Experiment(
            "table6",
            "Table 6",
            lambda: _("Test error of residual nets"),
            ("resnet-20", "resnet-32", "resnet-44", "resnet-56", "resnet-110"),
            _table_6,
        ),
        Experiment(
            "refinement",
            "Section 4.2",
            lambda: _("Small refinements: how much each block changes its input"),
            ("resnet-20", "resnet-56", "resnet-110"),
            _refinement,
        ),
    )
}  # fmt: skip
"""ResNet-1202 of Fig. 6 and Table 6 is left to whoever asks for it: 11 times ResNet-110's cost."""


def experiment(name: str) -> Experiment:
    """By its name: fig6, fig7, table6, refinement. Raises SpecError with the names there are."""
    found = EXPERIMENTS.get(name.lower())
    if found is None:
        raise SpecError(
            "{name!r} can't be reproduced; there are {experiments}",
            name=name,
            experiments=", ".join(EXPERIMENTS),
        )
    return found


def bundled(experiment: Experiment, runs: Iterable[Run]) -> list[Run]:
    """The finished bundled runs of an experiment's nets: of the data and recipe with most of them.

    Raises:
        SpecError: there are none.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        serves = run.bundled and run.from_scratch and run.state == "finished"
        if serves and run.net in experiment.nets:
            groups.setdefault(run.comparison_key, []).append(run)
    found = max(groups.values(), key=len, default=[])
    if not found:
        raise SpecError(
            "no bundled run is of {source}; leave --bundled out to train", source=experiment.source
        )
    return _in_order(experiment, found)


def _in_order(experiment: Experiment, runs: Iterable[Run]) -> list[Run]:
    place = {net: index for index, net in enumerate(experiment.nets)}
    return sorted(runs, key=lambda run: (place.get(run.net, len(place)), run.config.seed))


def write_figure(experiment: Experiment, runs: Sequence[Run], path: Path | str) -> None:
    """The experiment as one HTML file: figure, numbers, how the runs were made.

    Args:
        experiment: what to draw.
        runs: finished ones, at least one; a net that is not there yet is left out and named.
        path: the file, replaced whole.

    Raises:
        RunDamaged: a table of a run is not whole.
        RunError: the file can't be written.
    """
    first = runs[0]
    title = f"{experiment.source}: {experiment.title()} ({first.data_title}, {first.recipe})"
    tables = []
    if experiment.name == "table6":
        tables.append((experiment.source, table6_words(table6_info(runs))))
    write_report(
        runs, path, title=title, drawn=experiment.draw(runs), tables=tables,
        notes=_missing(experiment, runs),
    )  # fmt: skip


def _missing(experiment: Experiment, runs: Sequence[Run]) -> list[str]:
    absent = [net for net in experiment.nets if net not in {run.net for run in runs}]
    if not absent:
        return []
    if all(run.bundled for run in runs):
        words = _("Not among the runs that came along, so not in the figure: {nets}.")
    else:
        words = _("Not trained yet, so not in the figure: {nets}.")
    return [words.format(nets=", ".join(absent))]
