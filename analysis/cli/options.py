"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from analysis.runs import Run

RunsFolder = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        help="Folder of your runs. [default: $RESIDUAL_LENS_RUNS or ./runs]",
        metavar="FOLDER",
    ),
]
DataName = Annotated[
    str, typer.Option(help="cifar10, cifar100, digits, or folder:PATH (train/ and test/ in it).")
]
DataTitle = Annotated[str, typer.Option(help="What figures call the data.")]
Epochs = Annotated[int | None, typer.Option(help="Instead of the recipe's.", min=1)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.", min=1)]
RunName = Annotated[
    str,
    typer.Argument(
        help="A run's id or path, any unique part of its id, or its net.", metavar="RUN"
    ),
]


def folders(runs: Path | None) -> list[Path]:
    """Where commands look for runs: the bundled ones and the user's."""
    from analysis.runs import BUNDLED, default_folder

    return [BUNDLED, runs or default_folder()]


def known_runs(runs: Path | None) -> list[Run]:
    """The readable runs of these folders."""
    from analysis.runs import Run, list_runs

    return [run for run in list_runs(folders(runs)) if isinstance(run, Run)]
